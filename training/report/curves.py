"""Learning curves as inline drawings: loss against step per configuration, validation scores against epoch.

Losses of different objectives share no unit, so each configuration has a panel of its own and only its seeds share it.
Drawn as plain SVG paths: light, sharp, and they follow the page's colours in light and dark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from training.report.results import Run

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 38
MOST_POINTS = 300
SMOOTHING_WINDOWS = 40  # the bold line averages over a fortieth of the run

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One run in a panel: `raw` and `smooth` are SVG path data, `last` the value at its end."""

    title: str
    run: int
    raw: str
    smooth: str
    last: float


@dataclass(frozen=True)
class Panel:
    """Axes and lines; ticks are (position in the drawing, text)."""

    title: str
    x_title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def loss_panels(runs: list[Run], titles: list[str]) -> list[Panel]:
    """One panel per configuration that logged a total loss, a line per run; none of losses that were never finite."""
    series: dict[str, list[tuple[int, Points]]] = {}
    for position, run in enumerate(runs):
        points = [(entry["step"], entry["loss"]["total"]) for entry in run.log if "total" in entry.get("loss", {})]
        if len(points) > 1 and _finite(points):
            series.setdefault(run.name, []).append((position, points))
    return [_panel(f"{name}: loss", "step", found, titles) for name, found in series.items()]


def validation_panels(runs: list[Run], titles: list[str]) -> list[Panel]:
    """One panel per validation score that was ever finite, a line per run; equal scores share a unit, so all runs share
    the panel."""
    series: dict[str, list[tuple[int, Points]]] = {}
    for position, run in enumerate(runs):
        for name, points in _validation(run).items():
            if len(points) > 1 and _finite(points):
                series.setdefault(name, []).append((position, points))
    return [_panel(f"validation: {name}", "epoch", found, titles) for name, found in series.items()]


def _validation(run: Run) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for entry in run.log:
        scores = entry.get("validation")
        named = scores if isinstance(scores, dict) else {"score": scores}
        for name, value in named.items():
            if isinstance(value, int | float):
                found.setdefault(name, []).append((entry["epoch"], value))
    return found


def _panel(title: str, x_title: str, found: Sequence[tuple[int, Points]], titles: list[str]) -> Panel:
    """The drawing of runs' points, of which each run has a finite one."""
    drawn = [(position, _finite(points)) for position, points in found]
    smoothed = [_smooth(points) for _, points in drawn]
    steps = [x for _, points in drawn for x, _ in points]
    heights = [y for points in smoothed for _, y in points]
    x_axis, y_axis = _Axis(min(steps), max(steps)), _Axis(*_roomy(min(heights), max(heights)))
    lines = tuple(
        Line(titles[position], position, _path(points, x_axis, y_axis), _path(smooth, x_axis, y_axis), smooth[-1][1])
        for (position, points), smooth in zip(drawn, smoothed, strict=True)
    )
    return Panel(
        title,
        x_title,
        lines,
        x_ticks=tuple((x_axis.across(value), f"{value:g}") for value in x_axis.ticks(5)),
        y_ticks=tuple((y_axis.up(value), f"{value:g}") for value in y_axis.ticks(4)),
    )


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    def _part(self, value: float) -> float:
        return (value - self.low) / ((self.high - self.low) or 1.0)

    def across(self, value: float) -> float:
        return LEFT + self._part(value) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        return HEIGHT - BOTTOM - self._part(value) * (HEIGHT - TOP - BOTTOM)

    def ticks(self, about: int) -> Iterable[float]:
        """Round values inside the axis, about that many."""
        rough = ((self.high - self.low) or 1.0) / about
        magnitude = 10.0 ** floor(log10(rough))
        step = next(magnitude * part for part in (1, 2, 5, 10) if magnitude * part >= rough)
        first = ceil(self.low / step - 1e-9)
        last = floor(self.high / step + 1e-9)
        return [round(number * step, 10) for number in range(first, last + 1)]


def _finite(points: Points) -> Points:
    return [(float(x), float(y)) for x, y in points if isfinite(y)]


def _roomy(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return low - room, high + room


def _smooth(points: Points) -> Points:
    """Centred moving average over a fixed share of the run; short series are returned as they are."""
    reach = len(points) // (2 * SMOOTHING_WINDOWS)
    averaged = []
    for place, (x, _) in enumerate(points):
        around = [y for _, y in points[max(0, place - reach) : place + reach + 1]]
        averaged.append((x, sum(around) / len(around)))
    return averaged


def _path(points: Points, x_axis: _Axis, y_axis: _Axis) -> str:
    """SVG path data through at most MOST_POINTS of the points, the last one always among them."""
    every = ceil(len(points) / MOST_POINTS)
    kept = points[::-1][::every][::-1]
    return "M" + "L".join(f"{x_axis.across(x):.1f},{y_axis.up(y):.1f}" for x, y in kept)
