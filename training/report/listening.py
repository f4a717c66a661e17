"""Localization against listening: every run and floor as a point, in a drawing that follows the page's colours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase

from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.scores import task_values
from training.report.comparison import HEARS, Found, Line, configurations, heard_lines
from training.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from training.report.results import Run, fullest

ACROSS, UP = "vssl_ciou", HEARS
COLOURS = 8  # of runs, on the page
LINE = 13  # of a letter in the drawing
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Point:
    """A run (`run` numbers the runs of the page) or a floor (None): its place in the drawing, and the numbers there.

    Runs that differ by their seed alone are one point at their mean, with the number of one of them; `seeds` are lines
    (x1, y1, x2, y2) from the lowest seed to the highest, across and up. `heard` says how much is heard, in words.
    `letter` names a floor in the drawing, `above` says how far over its place the letter stands, so that the letters of
    floors beside one another do not cover each other.
    """

    title: str
    run: int | None
    x: float
    y: float
    located: float
    hears: float
    heard: str
    seeds: tuple[tuple[float, float, float, float], ...] = ()
    letter: str = ""
    above: int = 0


@dataclass(frozen=True)
class Plot:
    """One test set under one protocol. `unknown` names the runs that were shown no clip with a foreign sound,
    `unplaced` those that have no mean cIoU."""

    title: str
    points: tuple[Point, ...]
    unknown: tuple[str, ...]
    unplaced: tuple[str, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def listening_plots(runs: Sequence[Run], titles: Sequence[str], unfinished: Sequence[Path] = ()) -> list[Plot]:
    """A drawing for each measurement of listening; runs that were not asked have no point.

    `unfinished` are folders of runs that are still to be finished: a mean says that it is not of all seeds.
    """
    together: dict[tuple[str, str, str], list[Found]] = {}
    for run, title in zip(runs, titles, strict=True):
        for evaluation in run.every_evaluation:
            if evaluation.facts.get("task") == "listening" and not evaluation.is_early_stopped:
                together.setdefault(evaluation.comparable, []).append((run, title, evaluation))
    return [_plot(found, runs, unfinished) for found in together.values()]


def _plot(found: Sequence[Found], runs: Sequence[Run], unfinished: Sequence[Path]) -> Plot:
    first = found[0][2]
    floors = fullest(one for _, _, one in found).facts["floors"]
    points = [_point(Line(name.replace("_", " "), name, task_values(own), {}), None) for name, own in floors.items()]
    numbers, asked = {run.path: number for number, run in enumerate(runs)}, list[Line]()
    taken = set[int]()
    for own, seeds in configurations(found, runs, unfinished):
        number = _free([numbers[run.path] for run, _, _ in own], taken)
        lines = [line for line in heard_lines(own, seeds, (ACROSS, UP)) if line.map == AUDIO_VISUAL]
        points += [_point(line, number) for line in lines]
        asked += lines
    return Plot(
        f"{first.test_set} under {first.measured}",
        tuple(_lettered([point for point in points if point is not None])),
        tuple(line.run for line in asked if not line.heard),
        tuple(line.run for line in asked if line.heard and ACROSS not in line.values),
        tuple((across(value), f"{value:g}") for value in TICKS),
        tuple((up(value), f"{value:g}") for value in TICKS),
    )


def _free(numbers: Sequence[int], taken: set[int]) -> int:
    """Of the numbers of a configuration's runs the first whose colour no other has taken; it is taken then."""
    number = next((one for one in numbers if one % COLOURS not in taken), numbers[0])
    taken.add(number % COLOURS)
    return number


def _point(line: Line, run: int | None) -> Point | None:
    """Where a line of a table lies in the drawing; None where it is not known how much it hears, or how well it
    localizes."""
    if not line.heard or ACROSS not in line.values:
        return None
    located, hears = line.values[ACROSS], line.values[UP]
    x, y, seeds = across(located), up(hears), ()
    if UP in line.spreads:
        wide, high = line.spreads[ACROSS], line.spreads[UP]
        seeds = (across(wide.low), y, across(wide.high), y), (x, up(high.low), x, up(high.high))
    return Point(line.run, run, x, y, located, hears, line.heard, seeds)


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
