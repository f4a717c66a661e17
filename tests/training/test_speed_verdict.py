"""What the benchmarks of speed derive from their rates, by hand."""

import math
from typing import Any

import pytest

from benchmarks.step.limits import BY_COPIES, BY_PRODUCTS, pairs_per_second
from benchmarks.step.verdict import MISSING, Goal, Plan, Switch, Way, lines, verdict

PLAN = Plan(
    switches=(Switch("wings", on="tensors", off="tensors, no wings"),),
    feeds={"streamed": (Way("streamed", "tensors"), Way("compiled, streamed", "compiled, tensors"))},
    goals=(Goal("samples_per_second", 100), Goal("of_tensors", 0.95), Goal("stall", 0.05, below=True),
           Goal("times_the_field", 10, remark="far")),
)  # fmt: skip
LIMITS = {"by something": 400.0}


def rates(**samples: float) -> dict[str, dict[str, Any]]:
    names = {"plain": "streamed", "compiled": "compiled, streamed", "without": "tensors, no wings",
             "compiled_tensors": "compiled, tensors"}  # fmt: skip
    return {names.get(name, name): {"samples_per_second": rate, "last_loss": 1.0} for name, rate in samples.items()}


def test_everything_that_follows_from_a_whole_measurement() -> None:
    found = rates(tensors=100, without=80, plain=90)
    found["streamed"]["waited_for_data"] = 0.07
    told = verdict(found, 6.0, LIMITS, PLAN)
    assert told["limits"] == LIMITS
    assert told["share_of_limits"] == {"tensors": {"by something": 0.25}, "streamed": {"by something": 0.225}}
    assert told["switches"] == {"wings": {"with": "tensors", "without": "tensors, no wings", "ratio": 1.25}}
    assert told["end_to_end"]["streamed"] == {
        "samples_per_second": 90, "of_tensors": 0.9, "stall": 0.1, "waited_for_data": 0.07, "times_the_field": 15,
    }  # fmt: skip
    assert [row["reached"] for row in told["goals"]] == [False, False, False, True]
    assert list(lines(told))[2:] == [
        "stall below 5 %, streamed: NOT reached: 0.1 by 'streamed'",
        "times the field at least 10 (far), streamed: reached: 15.0 by 'streamed'",
    ]


def test_goals_are_of_the_fastest_way_of_a_feed_against_its_own_tensors() -> None:
    told = verdict(rates(tensors=100, plain=90, compiled=150, compiled_tensors=151), None, {}, PLAN)
    assert {row["contender"] for row in told["goals"]} == {"compiled, streamed"}
    assert [row["figure"] for row in told["goals"]] == [150, 0.993, 0.007, MISSING]
    assert [row["reached"] for row in told["goals"]] == [True, True, True, MISSING]


@pytest.mark.parametrize(("rate", "share", "reached"), [(95, 0.95, True), (94.9, 0.949, False), (104, 1.04, True)])
def test_a_goal_is_reached_at_its_bound(rate: float, share: float, reached: bool) -> None:
    row = verdict(rates(tensors=100, plain=rate), None, {}, PLAN)["goals"][1]
    assert (row["figure"], row["reached"]) == (share, reached)


def test_a_stall_at_its_bound_is_not_below_it() -> None:
    assert not Goal("stall", 0.05, below=True).reached(0.05)
    assert Goal("stall", 0.05, below=True).reached(0.0499)


def test_of_nothing_measured_nothing_is_said() -> None:
    told = verdict({}, None, {}, PLAN)
    assert told["switches"]["wings"]["ratio"] == MISSING
    assert set(told["end_to_end"]["streamed"].values()) == {MISSING}
    assert {row["reached"] for row in told["goals"]} == {row["contender"] for row in told["goals"]} == {MISSING}
    assert list(lines(told))[1] == "of tensors at least 95 %, streamed: not measured"


def test_a_rate_at_which_nothing_is_learnt_counts_for_nothing() -> None:
    found = rates(tensors=100, plain=90, compiled=150, compiled_tensors=151)
    found["compiled, streamed"]["last_loss"] = math.nan
    told = verdict(found, None, LIMITS, PLAN)
    assert told["learnt_nothing"] == ["compiled, streamed"]
    assert {row["contender"] for row in told["goals"]} == {"streamed"}
    assert told["end_to_end"]["compiled, streamed"]["samples_per_second"] == MISSING
    assert "compiled, streamed" not in told["share_of_limits"]


def test_limits_of_a_device() -> None:
    """The issue's own: 400 TFLOP/s, and 80 % of 3.35 TB/s; float32 moves twice as much."""
    limits = pairs_per_second(400e12, 0.8 * 3.35e12, "bfloat16")
    assert limits == {BY_PRODUCTS: pytest.approx(14_440, rel=1e-3), BY_COPIES: pytest.approx(13_400)}
    assert pairs_per_second(400e12, 0.8 * 3.35e12, "float32")[BY_COPIES] == pytest.approx(6_700)
