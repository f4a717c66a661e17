"""TensorBoard gets what `training status` says, read back with TensorBoard's own reader."""

import json
import threading
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.loop.checkpoint import Progress
from training.loop.metrics_log import MetricsLog
from training.status import status

PACE = {"samples_per_second": 1280.0, "stall": 0.034, "gpu_gigabytes": 21.5}


def events(folder: Path) -> dict[str, dict[int, float]]:
    """Every curve of a run: its values by step."""
    read = EventAccumulator(str(folder / "events")).Reload()
    return {name: {one.step: one.value for one in read.Scalars(name)} for name in read.Tags()["scalars"]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 400 steps in eight epochs, 0.5 s a step, that was stopped at step 30 and has come to step 150."""
    (tmp_path / "config.yaml").write_text("name: small\noptim: {epochs: 8, batch_size: 640}\n")
    (tmp_path / "data.json").write_text(json.dumps({"steps_per_epoch": 50}))
    for resumed, steps in ((0, range(10, 41, 10)), (30, range(40, 151, 10))):
        log = MetricsLog(tmp_path, resumed, 400)
        for step in steps:
            log.write(Progress(step, step / 2), (step - 1) // 50, {"total": 3 - step / 100}, 1e-4, PACE)
        log.saved(steps[-1])
        log.close()
    return tmp_path


def test_the_viewer_has_the_figures_of_status(run: Path) -> None:
    curves, said = events(run), status(run)
    assert {name: curve[150] for name, curve in curves.items()} == pytest.approx(
        {
            "loss/total": 1.5, "learning_rate": 1e-4, "pace/samples_per_second": 1280, "pace/stall": 0.034,
            "pace/gpu_gigabytes": 21.5, "progress/epoch": 3, "progress/minutes_left": 125 / 60,
            "progress/checkpoint": 150,
        }
    )  # fmt: skip
    assert said["epoch"] == "3 of 8, step 150 of 400"
    assert (said["samples/s"], said["stall"], said["GPU memory"]) == ("1,280", "3.4% of the time", "21.5 GB")
    assert said["time left"] == "0:02:05"


def test_a_step_that_was_run_again_is_one_point(run: Path) -> None:
    """Step 40 was logged by both: the curve has it once; the time left is told from before the stop as well."""
    curves = events(run)
    assert sorted(curves["loss/total"]) == list(range(10, 151, 10))
    assert sorted(curves["progress/minutes_left"]) == list(range(20, 151, 10))


def test_a_run_that_fails_closes_its_log_and_gives_the_hook_of_threads_back(tmp_path: Path) -> None:
    hook = threading.excepthook

    def fails() -> None:
        with MetricsLog(tmp_path, 0, 10) as log:
            assert threading.excepthook is not hook
            log.write(Progress(1, 0.5), 0, {"total": 2.0}, 1e-4, PACE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert threading.excepthook is hook
    assert events(tmp_path)["loss/total"] == {1: 2.0}
