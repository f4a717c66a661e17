"""What a task needs of a truth: refused in one sentence each when it is not there."""

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.pixels import pixel_box
from manifests.test_sets import LOCALIZATION, MULTI_SOURCE, SEGMENTATION, SEMANTIC, Truth
from training.evaluation.protocol import Protocol

SAY_WHERE = frozenset({LOCALIZATION, SEGMENTATION, MULTI_SOURCE})  # tasks of a set that knows where the sound is


def says_where(truth: Truth) -> bool:
    """Whether a set knows where the sound comes from, not only when."""
    return not truth.tasks.isdisjoint(SAY_WHERE)


def require_boxes(truth: Truth, protocol: Protocol, *, or_masks: bool = False) -> None:
    """InputError when nothing says where the sound comes from, or only pixel masks do and the protocol needs boxes."""
    if not says_where(truth):
        raise InputError(
            f"{truth.test_set.source} says when something sounds, not where: {truth.format} has no boxes for the "
            f"protocol {protocol.name}. Evaluate a run on it with --protocol retrieval."
        )
    if truth.masks is None and not any(map(_covers, truth.test_set.annotations)):
        raise InputError(
            f"None of the {len(truth.test_set.keys)} clips of {truth.test_set.source} has a box that covers a pixel, "
            "so there is nothing to localize. Give the clips with their boxes, or evaluate a run with --protocol "
            "retrieval."
        )
    if truth.masks is not None and not or_masks:
        raise InputError(
            f"{truth.test_set.source} holds pixel masks, which protocols such as avsbench measure; {protocol.name} "
            "needs boxes, for example s4_box.json."
        )


def _covers(annotation: Annotation) -> bool:
    """In the whole frame: what a view cuts away of a set is the measurement's, and counts as lost."""
    return any(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in map(pixel_box, annotation.boxes))


def require_classes(truth: Truth, protocol: Protocol, task: str) -> None:
    """InputError when the pixels of frames have no class, or (task "prompted") none is asked for."""
    if task not in truth.tasks:
        known = "AVSBench-semantic, --format avss" if task == SEMANTIC else "DenseAV's prompts, --format ade20k_sound"
        raise InputError(
            f"The protocol {protocol.name} needs a class for every pixel: give {known}. {truth.test_set.source} has no "
            "such thing."
        )


def require_instruments(truth: Truth, protocol: Protocol) -> None:
    """InputError when the boxes are not named by instrument."""
    if truth.music is None:
        raise InputError(f"The protocol {protocol.name} needs boxes by instrument: give --format music.")


def refuse_negatives(truth: Truth, protocol: Protocol) -> None:
    """InputError for negative pairs that a protocol could not tell from positives."""
    if truth.extended is not None:
        how = "give --format vggss without --negatives" if truth.format == "extended" else "leave --negatives out"
        raise InputError(f"The protocol {protocol.name} has no confidence to tell negatives by; {how}.")
