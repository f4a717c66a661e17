"""Numbered points with spreads as a small SVG, and the names of the numbers beside it.

Names of twenty methods whose places lie close together would cover one another; their numbers find room.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels
INK, FLOOR, FAINT = "#1f4e79", "#a04000", "#999999"
SIZE = (8.5, 6.0)  # inches
KEY_ROW = 0.04  # of the plot's height, at most
KEY_HEIGHT = 1.1  # of the plot's, of which the last tenth is beside the lower axis
KEY = 1.02  # where the names begin, in widths of the plot
RINGS, TURNS = 30, 16  # how far a number may go from its point, and in how many directions
STEP = 6.0  # points between two rings
FIRST = 10.0  # points from a point to the nearest ring
APART = 1.5  # pixels that stay free around a number


@dataclass(frozen=True)
class Mark:
    """A point of the plot: its name, its place and the standard deviations there; a floor has a form of its own."""

    title: str
    x: float
    y: float
    x_spread: float = 0.0
    y_spread: float = 0.0
    floor: bool = False


def draw(marks: Sequence[Mark], path: Path, across: str, up: str) -> None:
    """Write the plot as SVG: the same bytes for the same marks."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "chart", "font.family": "sans-serif"}):
        figure, axes = plt.subplots(figsize=SIZE)
        try:
            _fill(axes, marks, across, up)
            figure.savefig(path, metadata={"Date": None})
        finally:  # pyplot keeps a figure that is not closed
            plt.close(figure)


def _fill(axes: Any, marks: Sequence[Mark], across: str, up: str) -> None:
    """The points, their numbers, and the key beside them."""
    for mark in marks:
        axes.errorbar(mark.x, mark.y, mark.y_spread or None, mark.x_spread or None, color=_colour(mark),
                      elinewidth=0.8, marker="s" if mark.floor else "o", markersize=4)  # fmt: skip
    axes.set(xlabel=across, ylabel=up)
    axes.margins(0.08)
    axes.grid(linewidth=0.3, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.subplots_adjust(left=0.1, bottom=0.1, right=0.74, top=0.97)
    _number(axes, marks)
    height = min(KEY_ROW, KEY_HEIGHT / max(len(marks), 1))
    for row, mark in enumerate(marks):
        axes.text(KEY, 1 - row * height, f"{row + 1}  {mark.title}", transform=axes.transAxes, fontsize=8,
                  va="top", color=_colour(mark))  # fmt: skip


def _colour(mark: Mark) -> str:
    return FLOOR if mark.floor else INK


def _number(axes: Any, marks: Sequence[Mark]) -> None:
    """Each number beside its point, or further out with a line to it where others stand there."""
    from matplotlib.text import Text

    axes.figure.canvas.draw()
    renderer = axes.figure.canvas.get_renderer()
    taken = [box for mark in marks for box in _drawn(axes, mark)]
    for row, mark in enumerate(marks):
        for distance, offset in _places():
            line = {"arrowstyle": "-", "linewidth": 0.5, "color": FAINT} if distance > FIRST else None
            text = axes.annotate(str(row + 1), (mark.x, mark.y), offset, textcoords="offset points", fontsize=8,
                                 va="center", ha="center", color=_colour(mark), arrowprops=line)  # fmt: skip
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer)  # without the line, which begins at the point
            found = (box.x0 - APART, box.y0 - APART, box.x1 + APART, box.y1 + APART)
            if axes.bbox.contains(*box.p0) and axes.bbox.contains(*box.p1) and not any(_meet(found, o) for o in taken):
                break
            text.remove()
        else:
            raise ValueError(f"there is no room for the number of {mark.title!r} among {len(marks)} points")
        taken.append(found)


def _drawn(axes: Any, mark: Mark) -> list[Box]:
    """What a mark covers, in pixels: its point, and the bars of its spreads."""
    x, y = axes.transData.transform((mark.x, mark.y))
    right, above = axes.transData.transform((mark.x + mark.x_spread, mark.y + mark.y_spread)) - (x, y)
    return [(x - 4, y - 4, x + 4, y + 4), (x - right, y - 1, x + right, y + 1), (x - 1, y - above, x + 1, y + above)]


def _places() -> Iterator[tuple[float, tuple[float, float]]]:
    """Offsets from a point and their length, in points: the nearest first, to the right before others."""
    for ring in range(RINGS):
        distance = FIRST + ring * STEP
        for turn in range(TURNS):
            angle = (turn + 1) // 2 * (-1) ** turn * 2 * pi / TURNS
            yield distance, (distance * cos(angle), distance * sin(angle))


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
