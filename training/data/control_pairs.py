"""Which sounds an image is shown with to find out whether a model listens: its controls.

Silence and noise are made; an off-screen sound is one of another class, a swapped one another clip's of the same class.
Both are drawn by the seed and the clip's own name alone, so a pair does not change with the order or number of
processes. A clip without a partner has no such pair; whoever asks can see which are missing. AVSBench-Robust draws its
off-screen sounds otherwise: of another broad group of classes (`manifests.sound_groups`), each class as often.
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from manifests.sound_groups import standing_in
from training.data.made_sounds import NOISE, SILENCE
from training.data.pairs import EvaluationPair

OFF_SCREEN, SWAPPED, OTHER_GROUP = "offscreen", "swapped", "othergroup"
_SEPARATOR = "\t"  # never part of a clip's name


def control_name(name: str, control: str) -> str:
    """What the pair of a clip and a control is called."""
    return f"{name}{_SEPARATOR}{control}"


def control_pairs(
    pairings: Sequence[EvaluationPair], classes: Mapping[str, frozenset[str]], seed: int = 0
) -> tuple[list[EvaluationPair], dict[str, dict[str, str]]]:
    """Every control of every pairing, and which clip's sound it is: control -> clip -> clip.

    `classes`: what is known to sound or be seen in each clip; a clip of which nothing is known has no partners.
    """
    by_name = {pairing.name: pairing for pairing in pairings}
    order = sorted(by_name)
    donors: dict[str, dict[str, str]] = {OFF_SCREEN: {}, SWAPPED: {}}
    found = []
    for own in pairings:
        found += [
            EvaluationPair(control_name(own.name, kind), own.image_row, own.audio_row, kind)
            for kind in (SILENCE, NOISE)
        ]
        for control, partners in _partners(own, order, by_name, classes).items():
            if partners:
                donors[control][own.name] = chosen = _drawn(partners, own.name, control, seed)
                found.append(EvaluationPair(control_name(own.name, control), own.image_row, by_name[chosen].audio_row))
    return found, donors


def _partners(
    own: EvaluationPair,
    order: Sequence[str],
    by_name: Mapping[str, EvaluationPair],
    classes: Mapping[str, frozenset[str]],
) -> dict[str, list[str]]:
    """Clips with another sound, by control: of none of the own classes, or of the very same ones."""
    known = classes.get(own.name, frozenset())
    others = [name for name in order if classes.get(name) and by_name[name].audio_row != own.audio_row]
    if not known:
        return {}
    return {
        OFF_SCREEN: [name for name in others if known.isdisjoint(classes[name])],
        SWAPPED: [name for name in others if known == classes[name]],
    }


def group_pairs(
    pairings: Sequence[EvaluationPair], labels: Mapping[str, str | None], seed: int = 0
) -> tuple[list[EvaluationPair], dict[str, dict[str, str]]]:
    """Off-screen pairs as AVSBench-Robust has them, where the labels are AVSBench's; and whose sounds they are."""
    by_label: dict[str, list[EvaluationPair]] = {}
    for pairing in sorted(pairings, key=lambda one: one.name):
        if label := labels.get(pairing.name):
            by_label.setdefault(label, []).append(pairing)
    found, donors = [], dict[str, str]()
    for own in pairings:
        allowed = standing_in(labels.get(own.name) or "", by_label)
        if allowed:
            partners = by_label[_drawn(allowed, own.name, OTHER_GROUP, seed)]
            chosen = partners[_number(len(partners), own.name, f"{OTHER_GROUP}/of", seed)]
            donors[own.name] = chosen.name
            found.append(EvaluationPair(control_name(own.name, OTHER_GROUP), own.image_row, chosen.audio_row))
    return found, {OTHER_GROUP: donors}


def _drawn(partners: Sequence[str], name: str, control: str, seed: int) -> str:
    return partners[_number(len(partners), name, control, seed)]


def _number(count: int, name: str, control: str, seed: int) -> int:
    """One of 0 to `count` - 1."""
    random = np.random.default_rng([seed, crc32(f"{control}/{name}".encode())])
    return int(random.integers(count))
