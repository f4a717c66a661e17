"""Time left, the cost said at the beginning of long work, and lengths of time in words."""

import io
import sys

import pytest

from pipeline.console import first_of, progress
from pipeline.remaining import LATEST, Remaining, in_words


class Screen(io.StringIO):
    """A terminal that is read afterwards."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def worked(work: Remaining, clock: Clock, steps: int, seconds: float) -> None:
    """`steps` units of work, each of so many seconds."""
    for _ in range(steps):
        clock.now += seconds
        work.advance(1)


def test_time_left_follows_the_latest_pace() -> None:
    work = Remaining(1000, clock=(clock := Clock()))
    assert work.seconds() is None
    worked(work, clock, 10, 2.0)
    assert work.seconds() == pytest.approx(990 * 2.0)
    worked(work, clock, 400, 0.5)  # longer than what counts: the slow beginning is forgotten
    assert LATEST < 400 * 0.5
    assert work.seconds() == pytest.approx(590 * 0.5, rel=0.02)


def test_a_slow_first_unit_is_forgotten() -> None:
    """It holds what is done once: compiling, filling caches, starting readers."""
    work = Remaining(1000, clock=(clock := Clock()))
    worked(work, clock, 1, 2.0)
    assert work.seconds() is None
    worked(work, clock, 15, 0.1)
    assert work.seconds() == pytest.approx(984 * 0.1)


def test_a_long_first_unit_bounds_the_cost_when_it_is_done() -> None:
    work = Remaining(100, clock=(clock := Clock()))
    worked(work, clock, 1, 5.0)
    assert work.cost() == "takes at most 8 min 20 s in all"
    assert work.cost() is None
    worked(work, clock, 1, 2.0)
    assert work.cost() == "takes about 3 min 20 s in all"
    worked(work, clock, 1, 2.0)
    assert work.cost() is None


@pytest.mark.parametrize(("step", "said"), [(1.1, None), (3.0, "takes about 5 min in all")])
def test_what_was_expected_is_corrected_where_it_was_wrong(step: float, said: str | None) -> None:
    work = Remaining(100, expected=100.0, clock=(clock := Clock()))
    assert work.cost() == "takes about 1 min 40 s in all"
    worked(work, clock, 1, step)
    assert work.cost() is None
    worked(work, clock, 1, step)
    assert work.cost() == said


def test_many_at_once_are_not_taken_for_one() -> None:
    """The first of eight results that are made at the same time is an eighth of what that time brings."""
    work = Remaining(800, at_once=8, clock=(clock := Clock()))
    clock.now += 10.0
    for _ in range(8):
        work.advance(1)
        assert work.seconds() == pytest.approx((800 - work.done) * 10.0 / 8)


def test_getting_ready_tells_nothing_of_the_pace() -> None:
    work = Remaining(100, clock=(clock := Clock()))
    clock.now += 30.0
    work.begin()
    worked(work, clock, 4, 1.0)
    assert work.seconds() == pytest.approx(96.0)
    assert work.elapsed == pytest.approx(34.0)
    work.begin()  # too late: something was done
    worked(work, clock, 1, 1.0)
    assert work.seconds() == pytest.approx(95.0)


def test_what_was_done_before_says_nothing_of_the_pace() -> None:
    work = Remaining(1000, 900, clock=(clock := Clock()))
    worked(work, clock, 5, 1.0)
    assert work.seconds() == pytest.approx(95.0)


@pytest.mark.parametrize(("step", "said"), [(0.5, None), (2.0, "takes about 3 min 20 s in all")])
def test_the_cost_is_said_once_and_only_of_long_work(step: float, said: str | None) -> None:
    work = Remaining(100, clock=(clock := Clock()))
    assert work.cost() is None  # nothing is known yet
    worked(work, clock, 8, step)
    assert work.cost() == said
    worked(work, clock, 8, step)
    assert work.cost() is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "60 s"), (125, "2 min"), (128, "2 min 10 s"), (599, "10 min"), (1500, "25 min"),
     (3600, "1 h"), (7500, "2 h 5 min"), (90_000, "1 day 1 h"), (260_000, "3 days")],
)  # fmt: skip
def test_lengths_of_time_are_said_as_a_person_says_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_log_holds_plain_lines_with_the_loss(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with progress("training x", 3, "steps", 1) as advance:
        advance(1, "loss 2.5")
        advance(1, "loss 1.5")
    assert capsys.readouterr().err == "training x: 2 of 3 steps to do\ntraining x: 3/3 steps, 0 s, loss 1.5\n"


def test_a_cost_that_is_known_before_is_said_before(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with progress("localizing", 9000, "frames", expected=300.0) as advance:
        assert capsys.readouterr().err == "localizing: 9,000 frames to do, takes about 5 min in all\n"
        advance(1)
    with progress("localizing", 9, "frames", expected=30.0):
        assert capsys.readouterr().err == "localizing: 9 frames to do\n"


def test_the_cost_of_several_runs_is_that_of_all(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with first_of(6), progress("training x", 9, "steps", expected=30.0):
        assert capsys.readouterr().err == "training x: 9 steps to do, takes about 30 s in all; 6 of them about 3 min\n"


def test_a_bar_says_the_cost_above_it(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Screen())
    with progress("localizing", 9000, "frames", expected=300.0):
        pass
    assert "localizing: takes about 5 min in all" in shown.getvalue()
    assert "0/9000" in shown.getvalue()


def test_of_several_processes_the_first_one_shows_progress(capsys, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with progress("training x", 1, "steps") as advance:
        advance()
    assert capsys.readouterr().err == ""
