"""Which sounds an image is shown with to find out whether a model listens: its controls.

Silence and noise are made; an off-screen sound is one of another class, a swapped one another clip's of the same class.
Both are drawn by the seed and the clip's own name alone, so a pair does not change with the order or number of
processes. A clip without a partner has no such pair; whoever asks can see which are missing. Released code draws a
class first and then a clip of it, each class as often: vssl_eval among all other classes, AVSBench-Robust among those
of other broad groups (`manifests.sound_groups`). `manifests.sound_draws` says which draw is asked for.
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from manifests.sound_draws import NOISE, OFF_SCREEN, OTHER_GROUP, SILENCE, SWAPPED, UNLOGGED, SoundDraw
from manifests.sound_groups import standing_in
from training.data.pairs import EvaluationPair

USUAL = SoundDraw()
_SEPARATOR = "\t"  # never part of a clip's name


def control_name(name: str, control: str, draw: SoundDraw = USUAL) -> str:
    """What the pair of a clip and a control is called; the same in all draws that make it alike."""
    how = draw.again if control != SILENCE else ""
    if control == OFF_SCREEN and draw.by_class:
        how = f"/byclass{how}"
    if control in (SILENCE, NOISE) and draw.unlogged:
        how += UNLOGGED
    return f"{name}{_SEPARATOR}{control}{how}"


def control_pairs(
    pairings: Sequence[EvaluationPair],
    classes: Mapping[str, frozenset[str]],
    labels: Mapping[str, str | None],
    draw: SoundDraw = USUAL,
) -> tuple[list[EvaluationPair], dict[str, dict[str, str]]]:
    """Every control of every pairing in a draw, and which clip's sound it is: control -> clip -> clip.

    `classes`: what is known to sound or be seen in each clip; a clip of which nothing is known has no partners.
    `labels`: what sounds in it, which alone counts where a class is drawn first.
    """
    by_name = {pairing.name: pairing for pairing in pairings}
    order, by_label = sorted(by_name), _by_label(pairings, labels)
    donors: dict[str, dict[str, str]] = {OFF_SCREEN: {}, SWAPPED: {}}
    found = []
    for own in pairings:
        for kind in (SILENCE, NOISE):
            made, name = f"{kind}{UNLOGGED}" if draw.unlogged else kind, control_name(own.name, kind, draw)
            found.append(EvaluationPair(name, own.image_row, own.audio_row, made))
        allowed = _partners(own, order, by_name, classes)
        if allowed and draw.by_class:
            allowed[OFF_SCREEN] = _of_one_class(own.name, set(by_label) - classes[own.name], by_label, draw.seed)
        for control, partners in allowed.items():
            if partners:
                donors[control][own.name] = chosen = _drawn(partners, own.name, control, draw.seed)
                name = control_name(own.name, control, draw)
                found.append(EvaluationPair(name, own.image_row, by_name[chosen].audio_row))
    return found, donors


def _by_label(pairings: Sequence[EvaluationPair], labels: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Names of the clips of each label, in order."""
    found: dict[str, list[str]] = {}
    for name in sorted(pairing.name for pairing in pairings):
        if label := labels.get(name):
            found.setdefault(label, []).append(name)
    return found


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


def _of_one_class(name: str, allowed: set[str], by_label: Mapping[str, list[str]], seed: int) -> list[str]:
    """The clips of the class that is drawn for a clip among those allowed; none where none is."""
    order = sorted(allowed)
    return by_label[order[_number(len(order), name, f"{OFF_SCREEN}/class", seed)]] if order else []


def group_pairs(
    pairings: Sequence[EvaluationPair], labels: Mapping[str, str | None], draw: SoundDraw = USUAL
) -> tuple[list[EvaluationPair], dict[str, dict[str, str]]]:
    """Off-screen pairs as AVSBench-Robust has them, where the labels are AVSBench's; and whose sounds they are."""
    by_name, by_label = {pairing.name: pairing for pairing in pairings}, _by_label(pairings, labels)
    found, donors = [], dict[str, str]()
    for own in pairings:
        allowed = standing_in(labels.get(own.name) or "", by_label)
        if allowed:
            partners = by_label[_drawn(allowed, own.name, OTHER_GROUP, draw.seed)]
            donors[own.name] = chosen = _drawn(partners, own.name, f"{OTHER_GROUP}/of", draw.seed)
            name = control_name(own.name, OTHER_GROUP, draw)
            found.append(EvaluationPair(name, own.image_row, by_name[chosen].audio_row))
    return found, {OTHER_GROUP: donors}


def _drawn(partners: Sequence[str], name: str, control: str, seed: int) -> str:
    return partners[_number(len(partners), name, control, seed)]


def _number(count: int, name: str, control: str, seed: int) -> int:
    """One of 0 to `count` - 1."""
    random = np.random.default_rng([seed, crc32(f"{control}/{name}".encode())])
    return int(random.integers(count))
