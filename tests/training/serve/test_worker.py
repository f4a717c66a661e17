"""The desk apart from the server: answers come through, a crash and endless work end it and nothing else."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest

from manifests.errors import InputError, WorkFailed
from training.serve.limits import Refused
from training.serve.worker import CRASHED, DEFECT, STOPPED, Pool, Stopped, Worker, Working


def attend(pipe: Connection, behaviour: str) -> None:
    """A desk without models, in a process of its own: a job is what it shall do."""
    if behaviour == "refuse":
        pipe.send(("refused", "no run there"))
        return
    if behaviour == "crash":
        os.abort()
    pipe.send(("ready", os.getpid()))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(("working", (f"at {job}", 0.5)))
        if job == "crash":
            os.abort()
        if job == "endless":
            time.sleep(60)
        while job == "talkative":
            pipe.send(("working", ("at it", 0.5)))
        pipe.send(
            {"refuse": ("refused", "too long."), "fail": ("failed", "Traceback")}.get(
                job, ("done", {"pid": os.getpid()})
            )
        )


@contextmanager
def working(longest: float) -> Iterator[Worker]:
    made = Worker(("work",), longest=longest, attend=attend)
    made.start()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def worker() -> Iterator[Worker]:
    with working(1.5) as made:
        yield made


def test_a_job_tells_how_far_it_is_and_then_its_answer(worker: Worker) -> None:
    said, answer = worker.ask("this")
    assert said == Working("at this", 0.5)
    (_, again) = worker.ask("that")
    assert answer == again  # by the same process


def test_refusals_and_defects_leave_the_desk_alive(worker: Worker, capsys: pytest.CaptureFixture) -> None:
    (_, before) = worker.ask("this")
    with pytest.raises(Refused, match=r"^too long\.$"):
        list(worker.ask("refuse"))
    with pytest.raises(Refused, match=DEFECT):
        list(worker.ask("fail"))
    assert "Traceback" in capsys.readouterr().err
    assert list(worker.ask("this"))[-1] == before


@pytest.mark.parametrize(("job", "sentence"), [("crash", CRASHED), ("endless", "more than 2 s")])
def test_a_crash_or_endless_work_costs_its_own_job(worker: Worker, job: str, sentence: str) -> None:
    (_, before) = worker.ask("this")
    began = time.monotonic()
    with pytest.raises(Refused, match=sentence):
        list(worker.ask(job))
    assert time.monotonic() - began < 20
    said = list(worker.ask("this"))
    assert said[0] == Working("Loading the model again", 0.0)
    assert said[-1] != before


def test_who_leaves_ends_the_work_and_frees_the_place(worker: Worker) -> None:
    pool = Pool([worker])
    pool.start()
    asked = pool.ask("endless")
    assert next(asked) == Working("at endless", 0.5)
    asked.close()
    assert list(pool.ask("this"))[-1]["pid"]
    pool.end()
    with pytest.raises(Refused, match="stopped"):
        list(pool.ask("this"))


def test_a_model_that_is_being_loaded_again_can_be_stopped_too(worker: Worker) -> None:
    worker.end()
    stop = threading.Event()
    asked = worker.ask("this", stop)
    assert next(asked) == Working("Loading the model again", 0.0)
    stop.set()
    with pytest.raises(Stopped):
        next(asked)
    assert "pid" in list(worker.ask("this"))[-1]


@pytest.mark.parametrize("job", ["endless", "talkative"])
def test_a_visitor_can_stop_a_job_and_the_next_one_is_answered(job: str) -> None:
    with working(100) as worker:
        stop = threading.Event()
        asked = worker.ask(job, stop)
        assert next(asked) == Working(f"at {job}", 0.5)
        stop.set()
        began = time.monotonic()
        with pytest.raises(Stopped, match=STOPPED):
            list(asked)
        assert time.monotonic() - began < 50  # not at the end of its time
        assert "pid" in list(worker.ask("this", threading.Event()))[-1]


def test_two_desks_work_at_once() -> None:
    pool = Pool([Worker(("work",), longest=20, attend=attend) for _ in range(2)])
    pool.start()
    busy = pool.ask("endless")
    assert next(busy) == Working("at endless", 0.5)
    assert list(pool.ask("this"))[-1]["pid"]
    busy.close()
    pool.end()


def test_runs_that_cannot_be_opened_are_said_before_anything_is_served() -> None:
    with pytest.raises(InputError, match="no run there"):
        Worker(("refuse",), 1, attend).start()
    with pytest.raises(WorkFailed, match="before they were loaded"):
        Worker(("crash",), 1, attend).start()
