"""`training status`: how far a run is, how fast it goes and when it will end, read from its folder alone.

Neither the run nor its shards are touched, so it can be asked of any machine that sees the folder.
"""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.content import read_content, read_object
from manifests.files.given import has_file, understood
from manifests.files.locks import last_holder
from training.loop.time_left import TimeLeft
from training.run_folders.files import CHECKPOINTS, CONFIG, DONE, FACTS, LOCK, LOG
from training.run_folders.logged import check_sections, log_entry
from training.settings.files import read_mapping

AGAIN = "Copy the run again from where it was made, or start it again."


def status(path: Path, now: float | None = None) -> dict[str, object]:
    """What to say of a run's folder, or of `runs/<name>` that holds one; `now` in seconds since 1970.

    InputError for a folder that holds no run, or several, or whose files are damaged.
    """
    folder = _run_in(path)
    with understood(folder, "cannot be told of", AGAIN):
        return _said(folder, time.time() if now is None else now)


def _said(folder: Path, now: float) -> dict[str, object]:
    rows = _rows(folder / LOG)
    done = has_file(folder / DONE)
    said: dict[str, object] = {"run": folder, "state": _state(folder, rows, done, now)}
    total, epochs = _lengths(folder)
    if rows:
        last = rows[-1]
        said["epoch"] = _progress(last, total, epochs)
        said |= {"loss": f"{last['loss']['total']:.4g}"} if "total" in last["loss"] else {}
        left = TimeLeft(total or 0)
        for row in rows:
            left.note(row["step"], row["seconds"])
        said |= _pace(rows[-1], folder, left.seconds_a_step) | (
            {} if done else {"time left": _told(left.seconds if total else None)}
        )
    return said | {"last checkpoint": _checkpoint(folder, now)}


def _run_in(path: Path) -> Path:
    found = [path] if has_file(path / CONFIG) else [each.parent for each in sorted(path.glob(f"*/{CONFIG}"))]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{path} holds {len(found)} runs, name one: {', '.join(map(str, found))}.")
    raise InputError(f"There is no run at {path}: give a folder that `training run` has made, or runs/<name>.")


def _rows(log: Path) -> list[dict[str, Any]]:
    """What a run has logged; a last line that is being written is left out."""
    text = read_content(log).text() if has_file(log) else ""
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        with understood(f"{log}, line {number},", "is damaged", AGAIN):
            rows.append(log_entry(line, "step", "epoch", "loss", "seconds"))
    return rows


def _state(folder: Path, rows: list[dict[str, Any]], done: bool, now: float) -> str:
    if done:
        return f"finished: {read_content(folder / DONE).text().strip()}"
    log = folder / LOG
    steps = f"its last step was logged {_ago(log, now)}" if rows else "no step is logged yet"
    return f"{_holder(folder / LOCK, now)}; {steps}"


def _holder(lock: Path, now: float) -> str:
    """Whether a run that is not finished is at work."""
    holder, lives = last_holder(lock)
    if lives is None:
        seen = f", last seen {_ago(lock, now)}" if holder else ""
        return f"not known from this machine whether it runs ({holder or lock}{seen})"
    if lives:
        return f"running: {holder}"
    return f"stopped: {holder}, was killed" if holder else "stopped"


def _progress(last: dict[str, Any], total: int | None, epochs: int) -> str:
    steps = f"{total:,}" if total is not None else f"unknown (no {FACTS} says how many)"
    return f"{last['epoch'] + 1} of {epochs}, step {last['step']:,} of {steps}"


def _lengths(folder: Path) -> tuple[int | None, int]:
    """Steps of the whole run, None where no file says how many an epoch has, and its epochs."""
    epochs = _whole(_config(folder).get("optim", {}).get("epochs", 1), folder / CONFIG, "optim.epochs")
    path = folder / FACTS
    facts = read_object(path, remedy=AGAIN) if has_file(path) else {}
    if "steps_per_epoch" not in facts:
        return None, epochs
    return epochs * _whole(facts["steps_per_epoch"], path, "steps_per_epoch"), epochs


def _config(folder: Path) -> dict[str, Any]:
    config = read_mapping(folder / CONFIG)
    check_sections(config, folder / CONFIG, AGAIN)
    return config


def _whole(value: object, path: Path, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{path} is damaged: {name} is {value!r}, not a whole number above zero. {AGAIN}")
    return value


def _pace(last: dict[str, Any], folder: Path, rate: float | None) -> dict[str, object]:
    """The last measured pace; runs of earlier versions have none but the seconds that their steps took."""
    pace = last.get("pace") or {}
    batch = _whole(_config(folder).get("optim", {}).get("batch_size", 1), folder / CONFIG, "optim.batch_size")
    said: dict[str, object] = {"samples/s": f"{batch / rate:,.0f}"} if rate and batch else {}
    if "samples_per_second" in pace:
        said = {"samples/s": f"{pace['samples_per_second']:,.0f}", "stall": f"{pace['stall']:.1%} of the time"}
    return said | ({"GPU memory": f"{pace['gpu_gigabytes']:.1f} GB"} if "gpu_gigabytes" in pace else {})


def _told(seconds: float | None) -> str:
    return "not known yet" if seconds is None else f"{timedelta(seconds=round(seconds))}"


def _checkpoint(folder: Path, now: float) -> str:
    files = sorted((folder / CHECKPOINTS).glob("[!.]*.pt"), key=lambda path: path.stat().st_mtime)
    return f"{files[-1]}, {_ago(files[-1], now)}" if files else "none yet"


def _ago(path: Path, now: float) -> str:
    return f"{timedelta(seconds=max(0, round(now - path.stat().st_mtime)))} ago"
