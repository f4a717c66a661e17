"""What measured rates say: each switch by its own ratio, what a feed costs, how near the limits and the goals are.

    told = verdict(rates, field, limits, plan)

`rates` is, by contender, its "samples_per_second", and where they are known the "last_loss" and the share of time
"waited_for_data". Which contenders are held against which is the plan's. Of a measurement that was cut short the
verdict says what can be said, and of the rest that it was not measured.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MISSING = "not measured"
Rates = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Switch:
    """Two contenders that differ in one thing alone: `on` has it, `off` has not."""

    name: str
    on: str
    off: str


@dataclass(frozen=True)
class Way:
    """A contender that trains from end to end, and the same step fed with tensors that lie on the device."""

    name: str
    tensors: str


@dataclass(frozen=True)
class Goal:
    """Of the fastest way of each feed: `figure` is at least `bound`, or below it."""

    figure: str
    bound: float
    below: bool = False
    remark: str = ""

    def __str__(self) -> str:
        bound = f"{self.bound:,g}" if self.bound > 1 else f"{100 * self.bound:g} %"
        words = f"{self.figure.replace('_', ' ')} {'below' if self.below else 'at least'} {bound}"
        return f"{words} ({self.remark})" if self.remark else words

    def reached(self, figure: float) -> bool:
        return figure < self.bound if self.below else figure >= self.bound


@dataclass(frozen=True)
class Plan:
    """What is held against what. `feeds` has the ways of each feed, plain and compiled."""

    feeds: Mapping[str, tuple[Way, ...]]
    goals: tuple[Goal, ...]
    switches: tuple[Switch, ...] = ()


def verdict(rates: Rates, field: float | None, limits: Mapping[str, float], plan: Plan) -> dict[str, Any]:
    """All that follows from the rates, the samples per second of the field's way, and those that limits allow.

    A contender whose last loss is no number learnt nothing, and its rate counts for nothing: it is named and left out.
    """
    counted = {name: each for name, each in rates.items() if math.isfinite(each.get("last_loss", 0.0))}
    speeds = {name: float(each["samples_per_second"]) for name, each in counted.items()}
    ways = [way for several in plan.feeds.values() for way in several]
    figures = {way.name: _figures(way, counted, speeds, field) for way in ways}
    shown = [name for name in dict.fromkeys(name for way in ways for name in (way.tensors, way.name)) if name in speeds]
    return {
        "limits": {name: round(limit, 2) for name, limit in limits.items()},
        "share_of_limits": {
            name: {limit: round(speeds[name] / most, 3) for limit, most in limits.items()} for name in shown
        },
        "switches": {switch.name: _ratio(switch, speeds) for switch in plan.switches},
        "end_to_end": {name: {key: _told(value) for key, value in each.items()} for name, each in figures.items()},
        "goals": list(_goals(plan, figures, speeds)),
        "learnt_nothing": sorted(rates.keys() - counted.keys()),
    }


def _figures(way: Way, counted: Rates, speeds: Mapping[str, float], field: float | None) -> dict[str, float | None]:
    """Of a way from end to end; None where it cannot be told."""
    own, tensors = speeds.get(way.name), speeds.get(way.tensors)
    share = own / tensors if own and tensors else None
    return {
        "samples_per_second": own,
        "of_tensors": share,
        "stall": None if share is None else 1 - share,
        "waited_for_data": counted.get(way.name, {}).get("waited_for_data"),
        "times_the_field": own / field if own and field else None,
    }


def _ratio(switch: Switch, speeds: Mapping[str, float]) -> dict[str, Any]:
    """How many times as quick the step is with it."""
    on, off = speeds.get(switch.on), speeds.get(switch.off)
    return {"with": switch.on, "without": switch.off, "ratio": round(on / off, 2) if on and off else MISSING}


def _goals(
    plan: Plan, figures: Mapping[str, Mapping[str, float | None]], speeds: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """A row for each goal and feed, of the fastest contender that the feed has."""
    for feed, ways in plan.feeds.items():
        fastest = max((way.name for way in ways), key=lambda name: speeds.get(name, 0.0))
        for goal in plan.goals:
            figure = figures[fastest][goal.figure]
            yield {
                "goal": str(goal),
                "feed": feed,
                "contender": fastest if fastest in speeds else MISSING,
                "figure": _told(figure),
                "reached": MISSING if figure is None else goal.reached(figure),
            }


def _told(figure: float | None) -> float | str:
    return MISSING if figure is None else round(figure, 3)


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """A verdict's goals for a person, one a line."""
    for row in told["goals"]:
        words = {True: "reached", False: "NOT reached", MISSING: MISSING}[row["reached"]]
        figure = "" if row["figure"] == MISSING else f": {row['figure']:,} by {row['contender']!r}"
        yield f"{row['goal']}, {row['feed']}: {words}{figure}"
