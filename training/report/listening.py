"""Localization against listening: every run and floor as a point, in a drawing that follows the page's colours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from training.evaluation.postprocess import AUDIO_VISUAL
from training.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from training.report.results import Evaluation, Run, fullest

ACROSS, UP = "vssl_ciou", "hears"
LINE = 13  # of a letter in the drawing
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Point:
    """A run (`run` numbers the runs of the page) or a floor (None): its place in the drawing, and the numbers there.

    `letter` names a floor in the drawing, `above` says how far over its place the letter stands, so that the letters of
    floors beside one another do not cover each other.
    """

    title: str
    run: int | None
    x: float
    y: float
    located: float
    hears: float
    letter: str = ""
    above: int = 0


@dataclass(frozen=True)
class Plot:
    """One test set under one protocol. `unknown` names the runs that were shown no clip with a foreign sound."""

    title: str
    points: tuple[Point, ...]
    unknown: tuple[str, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def listening_plots(runs: Sequence[Run], titles: Sequence[str]) -> list[Plot]:
    """A drawing for each measurement of listening; runs that were not asked have no point."""
    together: dict[tuple[str, str, str], list[tuple[int, str, Evaluation]]] = {}
    for number, (run, title) in enumerate(zip(runs, titles, strict=True)):
        for evaluation in run.every_evaluation:
            if evaluation.facts.get("task") == "listening" and not evaluation.is_early_stopped:
                together.setdefault(evaluation.comparable, []).append((number, title, evaluation))
    return [_plot(found) for found in together.values()]


def _plot(found: Sequence[tuple[int, str, Evaluation]]) -> Plot:
    first = found[0][2]
    floors = fullest(one for _, _, one in found).facts["floors"]
    answers = [(name.replace("_", " "), None, scores) for name, scores in floors.items()]
    answers += [(title, number, one.facts["scores"][AUDIO_VISUAL]) for number, title, one in found]
    points = [
        Point(title, number, across(scores[ACROSS]), up(scores[UP]), scores[ACROSS], scores[UP])
        for title, number, scores in answers
        if scores.get(UP) is not None
    ]
    return Plot(
        f"{first.test_set} under {first.measured}",
        tuple(_lettered(points)),
        tuple(title for title, number, scores in answers if number is not None and scores.get(UP) is None),
        tuple((across(value), f"{value:g}") for value in TICKS),
        tuple((up(value), f"{value:g}") for value in TICKS),
    )


def _lettered(points: Sequence[Point]) -> Iterator[Point]:
    """Floors with a letter each, one line higher for each floor that lies close by to the left."""
    letters = iter(ascii_lowercase)
    for number, point in enumerate(points):
        if point.run is not None:
            yield point
            continue
        close = [each for each in points[:number] if each.run is None and abs(each.x - point.x) < LINE]
        yield replace(point, letter=next(letters), above=LINE * (1 + len(close)))


def across(value: float) -> float:
    """Where a share lies from left to right."""
    return LEFT + value * (WIDTH - LEFT - RIGHT)


def up(value: float) -> float:
    """Where a share lies from bottom to top."""
    return HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM)
