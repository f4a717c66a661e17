"""A run's measurements while it trains: `metrics.jsonl` first, TensorBoard events for its viewer."""

import json
from pathlib import Path

from manifests.whole_files import write_text
from training.loop.checkpoint import Progress


class MetricsLog:
    """Appends one JSON object per logged step; steps after the resumed one are forgotten first."""

    def __init__(self, folder: Path, resumed_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = folder / "metrics.jsonl"
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= resumed_step]
        write_text(path, "".join(f"{line}\n" for line in kept))
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._events = SummaryWriter(str(folder / "events"), purge_step=resumed_step + 1)

    def write(self, done: Progress, epoch: int, losses: dict[str, float], learning_rate: float) -> None:
        """Record one step: losses by name, learning rate, seconds spent training so far."""
        seconds = round(done.seconds, 3)
        row = {"step": done.step, "epoch": epoch, "loss": losses, "lr": learning_rate, "seconds": seconds}
        self._file.write(json.dumps(row) + "\n")
        for name, value in losses.items():
            self._events.add_scalar(f"loss/{name}", value, done.step)
        self._events.add_scalar("learning_rate", learning_rate, done.step)

    def close(self) -> None:
        """Flush and close both files."""
        self._file.close()
        self._events.close()


def _lines(path: Path) -> list[str]:
    """Whole lines of a log; a last line cut by a kill is dropped (its step will be run again)."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()
