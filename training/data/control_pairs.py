"""Which sounds an image is shown with to find out whether a model listens: its controls.

Silence and noise are made; an off-screen sound is one of another class, of none that is seen or heard; a swapped one
is another clip's of the very class that sounds, whatever else is in the image.
Both are drawn among all clips of the truth, by the seed and the clip's own name alone, so a pair does not change with
the order or number of processes, nor with other clips that are missing. Where the clip that is drawn is itself missing,
the own one goes on through the others in an order of its own, and whoever asks can see where that was so. A clip
without a partner has no such pair; these can be seen, too. Released code draws a class first and then a clip of it,
each class as often: vssl_eval among all other classes, AVSBench-Robust among those of other broad groups
(`manifests.sound_groups`). `manifests.sound_draws` says which draw is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from manifests.sound_draws import NOISE, OFF_SCREEN, OTHER_GROUP, SILENCE, SWAPPED, UNLOGGED, SoundDraw
from manifests.sound_groups import standing_in
from training.data.pairs import EvaluationPair

USUAL = SoundDraw()
_SEPARATOR = "\t"  # never part of a clip's name
_Rows = Mapping[str, int]  # of the clips that are there, where the sound of each is


def control_name(name: str, control: str, draw: SoundDraw = USUAL) -> str:
    """What the pair of a clip and a control is called; the same in all draws that make it alike."""
    how = draw.again if control != SILENCE else ""
    if control == OFF_SCREEN and draw.by_class:
        how = f"/byclass{how}"
    if control in (SILENCE, NOISE) and draw.unlogged:
        how += UNLOGGED
    return f"{name}{_SEPARATOR}{control}{how}"


@dataclass(frozen=True)
class Drawn:
    """Pairs of a draw and, by control and clip, whose sound they have; `again` names by control the clips that have
    another one than where no clip is missing."""

    pairs: list[EvaluationPair] = field(default_factory=list)
    donors: dict[str, dict[str, str]] = field(default_factory=dict)
    again: dict[str, set[str]] = field(default_factory=dict)

    def add(self, own: EvaluationPair, control: str, draw: SoundDraw, chosen: "_Choice | None", rows: _Rows) -> None:
        """The pair of a clip under a control, where there is a choice."""
        if chosen is None:
            return
        self.donors[control][own.name] = chosen.clip
        self.pairs.append(EvaluationPair(control_name(own.name, control, draw), own.image_row, rows[chosen.clip]))
        if chosen.again:
            self.again[control].add(own.name)

    def beside(self, other: "Drawn") -> "Drawn":
        """This and what another adds."""
        return Drawn(self.pairs + other.pairs, self.donors | other.donors, self.again | other.again)


@dataclass(frozen=True)
class _Choice:
    clip: str
    again: bool = False


def control_pairs(
    pairings: Sequence[EvaluationPair],
    sounds: Mapping[str, str],
    classes: Mapping[str, frozenset[str]],
    labels: Mapping[str, str | None],
    draw: SoundDraw = USUAL,
) -> Drawn:
    """Every control of every pairing in a draw.

    `sounds`: every clip of the truth, those that are missing too, and which clip's sound it has. `classes`: what is
    known to sound or be seen in each; a clip of which nothing is known has no partners. `labels`: what sounds in it,
    which alone counts for swapped sounds and where a class is drawn first.
    """
    rows, by_label = {own.name: own.audio_row for own in pairings}, _by_label(labels)
    order = sorted(name for name in sounds if classes.get(name))
    found = Drawn([], {OFF_SCREEN: {}, SWAPPED: {}}, {OFF_SCREEN: set(), SWAPPED: set()})
    for own in pairings:
        for kind in (SILENCE, NOISE):
            made, name = f"{kind}{UNLOGGED}" if draw.unlogged else kind, control_name(own.name, kind, draw)
            found.pairs.append(EvaluationPair(name, own.image_row, own.audio_row, made))
        for control, partners in _partners(own.name, order, sounds, classes, labels).items():
            if control == OFF_SCREEN and draw.by_class:
                others = sorted(set(by_label) - classes[own.name])
                chosen = _of_a_class(own.name, others, by_label, (f"{control}/class", control), draw.seed, rows)
            else:
                chosen = _drawn(partners, own.name, control, draw.seed, rows.__contains__)
            found.add(own, control, draw, chosen, rows)
    return found


def group_pairs(pairings: Sequence[EvaluationPair], labels: Mapping[str, str | None], draw: SoundDraw = USUAL) -> Drawn:
    """Off-screen pairs as AVSBench-Robust has them, where the labels, of all clips of the truth, are AVSBench's."""
    rows, by_label = {own.name: own.audio_row for own in pairings}, _by_label(labels)
    found = Drawn([], {OTHER_GROUP: {}}, {OTHER_GROUP: set()})
    for own in pairings:
        allowed = standing_in(labels.get(own.name) or "", by_label)
        chosen = _of_a_class(own.name, allowed, by_label, (OTHER_GROUP, f"{OTHER_GROUP}/of"), draw.seed, rows)
        found.add(own, OTHER_GROUP, draw, chosen, rows)
    return found


def _by_label(labels: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Names of the clips of each label, in order."""
    found: dict[str, list[str]] = {}
    for name in sorted(labels):
        if label := labels[name]:
            found.setdefault(label, []).append(name)
    return found


def _partners(
    own: str,
    order: Sequence[str],
    sounds: Mapping[str, str],
    classes: Mapping[str, frozenset[str]],
    labels: Mapping[str, str | None],
) -> dict[str, list[str]]:
    """Clips with another sound, by control: of none of the classes of the own clip, or of the one that sounds in it."""
    known, label = classes.get(own, frozenset()), labels.get(own)
    if not known:
        return {}
    others = [name for name in order if sounds[name] != sounds[own]]
    return {
        OFF_SCREEN: [name for name in others if known.isdisjoint(classes[name])],
        SWAPPED: [name for name in others if label and labels.get(name) == label],
    }


def _of_a_class(
    own: str, allowed: Sequence[str], by_label: Mapping[str, list[str]], what: tuple[str, str], seed: int, rows: _Rows
) -> _Choice | None:
    """A clip of the class that is drawn first; `what` is drawn, class and clip, tells the two draws from others."""
    of_class = _drawn(allowed, own, what[0], seed, lambda label: not rows.keys().isdisjoint(by_label[label]))
    if of_class is None:
        return None
    chosen = _drawn(by_label[of_class.clip], own, what[1], seed, rows.__contains__)
    return chosen and _Choice(chosen.clip, chosen.again or of_class.again)


def _drawn(among: Sequence[str], name: str, control: str, seed: int, is_there: Callable[[str], bool]) -> _Choice | None:
    """One of these, the first that is there of an order of the clip's own; None where none is."""
    if not among:
        return None
    random = np.random.default_rng([seed, crc32(f"{control}/{name}".encode())])
    first = among[int(random.integers(len(among)))]
    if is_there(first):
        return _Choice(first)
    others = (among[at] for at in random.permutation(len(among)))
    return next((_Choice(each, again=True) for each in others if is_there(each)), None)
