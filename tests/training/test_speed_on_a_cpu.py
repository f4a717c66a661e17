"""The benchmark of a step's feeds on a CPU, small, and the processes that it asks in turns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from benchmarks.asked import asked
from benchmarks.step.verdict import MISSING
from benchmarks.training.speed import FIELD, PLAN, rate

COUNTS = """
from benchmarks.asked import answer_with
asked = []
def work():
    print("working")  # is no answer
    asked.append(1)
    return {"times": len(asked)}
answer_with(work)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_dry_run_measures_every_feed_and_sums_up(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    command = [sys.executable, "-m", "benchmarks.training.speed", "--dry", "--batch", "4", "--turns", "1",
               "--threads", "1", "--out", str(out)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(out.read_text())
    assert (found["threads"], found["batch"], found["machine"]) == (1, 4, "shared")
    assert set(found["rates"]) == {"fixed", "streamed", "resident"}
    assert all(each["samples_per_second"] > 0 for each in [*found["rates"].values(), found["as_the_field"]])
    assert set(found["seconds_of_turns"]) == {*found["rates"], FIELD}
    assert "gflop_per_s" not in found["as_the_field"]
    assert found["readers_alone"] > found["rates"]["streamed"]["samples_per_second"]
    summary = found["summary"]
    assert set(summary["share_of_limits"]["fixed"]) == set(summary["limits"])
    assert summary["learnt_nothing"] == []
    assert MISSING not in [row["reached"] for row in summary["goals"]]
    assert len(summary["goals"]) == len(PLAN.feeds) * len(PLAN.goals)
    assert "of tensors at least 95 %, streamed: " in done.stdout


def test_the_rate_of_turns_is_that_of_the_median_one() -> None:
    turns = [{"seconds": seconds, "waited": waited, "loss": 2.0, "memory_gb": 1.0}
             for seconds, waited in ((2.0, 0.1), (10.0, 0.0), (4.0, 0.35))]  # fmt: skip
    found = rate(turns, batch=16)
    assert (found["samples_per_second"], found["ms_per_step"]) == (4, 4000)
    assert found["gflop_per_s"] == pytest.approx(4 * 27.7)
    assert found["waited_for_data"] == pytest.approx((0.2 + 1.4) / 16)  # of all the time of all turns


def test_a_process_works_when_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "counts.py").write_text(COUNTS)
    with asked("counts", [], {**os.environ, "PYTHONPATH": str(tmp_path)}) as ask:
        assert [ask(), ask()] == [{"times": 1}, {"times": 2}]


def test_a_process_that_ends_without_an_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import sys\nsys.exit('out of eggs')\n")
    with (
        pytest.raises(RuntimeError, match=r"^-m ends --now ended without an answer; it says why above$"),
        asked("ends", ["--now"], {**os.environ, "PYTHONPATH": str(tmp_path)}) as ask,
    ):
        ask()
