"""The weights a later stage begins with: those of a finished run, as far as the two methods have them in common."""

from pathlib import Path

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.methods.contract import BaseMethod
from training.parts.clustering import PseudoLabels
from training.runs import known_contents, load_run
from training.trained_on import Seen, seen_by


def take_over_weights(method: BaseMethod, run: Path, store: ShardStore) -> Seen:
    """Copy into a method what a finished run has under the same names; returns what that run was trained on.

    InputError when they have nothing in common, a tensor has another shape, the run knows other spectrograms, or its
    list of training clips is not the one it was made with.
    """
    earlier = load_run(run)
    if earlier.front_end != store.front_end:
        raise InputError(
            f"run {earlier.folder} was trained on spectrograms {earlier.front_end!r}, these shards hold "
            f"{store.front_end!r}. Begin with a run on shards like these."
        )
    theirs, mine = earlier.method.state_dict(), method.state_dict()
    shared = {name: value for name, value in theirs.items() if name in mine}
    if not shared:
        raise InputError(f"run {earlier.folder} ({earlier.config.method.name}) has no weights that this method knows.")
    try:
        method.load_state_dict(shared, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"the weights of run {earlier.folder} do not fit: {reason} Give the encoders and the method the options "
            "of that run."
        ) from error
    if (clips := known_contents(earlier.folder).get("training_clips")) is not None:
        for labels in (part for part in method.modules() if isinstance(part, PseudoLabels)):
            labels.known_from(clips)
    return seen_by(earlier.folder)
