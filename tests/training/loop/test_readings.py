"""Losses on their way back from the device: in order, none lost, read at once where nothing is gained by waiting."""

import torch

from training.loop.checkpoint import Progress
from training.loop.readings import Readings, Step


def steps_read(found) -> list[tuple[int, dict[str, float]]]:
    return [(step.done.step, losses) for step, losses in found]


def test_on_a_cpu_a_step_is_read_when_it_is_done() -> None:
    readings = Readings()
    readings.put(Step(Progress(1), 0.1, ["a"]), ["total", "own"], torch.tensor([2.0, 0.5]))
    assert steps_read(readings.arrived()) == [(1, {"total": 2.0, "own": 0.5})]
    assert steps_read(readings.arrived()) == steps_read(readings.rest()) == []


def test_nothing_is_left_unread_at_the_end() -> None:
    readings = Readings()
    for number in range(3):
        readings.put(Step(Progress(number), 0.1, []), ["total"], torch.tensor([float(number)]))
    assert steps_read(readings.rest()) == [(number, {"total": float(number)}) for number in range(3)]
