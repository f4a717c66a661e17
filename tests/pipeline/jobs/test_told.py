"""What jobs tell of their clips while they work, and how it is shown."""

import pytest

from pipeline.jobs import told
from pipeline.jobs.cluster import connected, run_all
from pipeline.jobs.told import ClipsDone, SomeTimes, Tell, heard_by


def test_clips_of_unfinished_tasks_are_shown_once() -> None:
    shown: list[int] = []
    count = ClipsDone(lambda amount=1, said="": shown.append(amount))
    for task, clips in [(0, 0), (0, 10), (3, 5), (0, 10), (0, 4)]:  # the last: its worker was lost, and it began anew
        count.heard(task, clips)
    count.ended(20)  # of the first task; of the second one nothing more was heard
    count.ended(30)
    assert shown == [0, 10, 5, 5, 30]


def test_a_job_does_not_speak_of_every_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[tuple[int, int]] = []
    now = [100.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: now[0])
    say = SomeTimes(lambda task, clips: spoken.append((task, clips)), 7)
    for clips in range(1, 13):
        now[0] += 0.25
        say(40, clips)
    assert spoken == [(7, 0), (7, 44), (7, 48), (7, 52)]
    SomeTimes(None, 7)(0, 1)


def count_to(end: int, tell: Tell) -> int:
    for clips in range(end + 1):
        tell(1, clips)
    return end


def test_a_worker_is_heard_before_its_job_has_ended() -> None:
    shown: list[int] = []
    with connected(None, 1) as client:
        tell = heard_by(client, ClipsDone(lambda amount=1, said="": shown.append(amount)))
        assert list(run_all(client, count_to, [(4, tell)])) == [4]
    assert shown == [0, 1, 1, 1, 1]
