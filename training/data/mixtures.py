"""Several images that all hear the same mixture: what NoPrior shows a model, case by case.

A mixture is the mean of the clips' log-spectrograms, as its released loader makes it (of a method that takes waveforms,
the mean of these). Every image of a case goes through the model by itself: the released model sees them below one
another in one tall image, so that what it makes of one image's border depends on the next.
"""

from collections.abc import Iterable, Sequence

from training.data.pairs import EvaluationPair

_SEPARATOR = "\t"  # never part of a clip's name
Case = tuple[str, ...]  # the names of its images


def mixture_names(case: Case) -> list[str]:
    """What the pairs of a case are called, in the order of its images."""
    return [_SEPARATOR.join((name, "mixed", *case)) for name in case]


def mixture_pairs(cases: Iterable[Case], pairings: Sequence[EvaluationPair]) -> list[EvaluationPair]:
    """Every image of every case with the mixture of the case's sounds; a case of which a clip is absent has none."""
    by_name = {pairing.name: pairing for pairing in pairings}
    return [
        EvaluationPair(name, by_name[image].image_row, by_name[case[0]].audio_row, mixed=_others(case, by_name))
        for case in dict.fromkeys(cases)
        if by_name.keys() >= set(case)
        for name, image in zip(mixture_names(case), case, strict=True)
    ]


def _others(case: Case, by_name: dict[str, EvaluationPair]) -> tuple[int, ...]:
    return tuple(by_name[name].audio_row for name in case[1:])
