"""Per-shard journal: which clip is being decoded, and which took a decoder down, so that nobody tries them again.

Every attempt at a shard appends to a file of its own (two workers may hold the same shard when one was cut off). A
verdict once written holds for every later attempt. A worker that dies from outside (killed, out of power) leaves a clip
unfinished without being its fault, so only a clip that was in flight at several deaths is given up.
"""

import json
import uuid
from collections import Counter
from pathlib import Path

from pipeline.record import Rejected

DEATHS_BEFORE_BLAME = 3


class Journal:
    """The journal of one attempt at one shard."""

    def __init__(self, folder: Path, shard: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.known = read_verdicts(folder, shard)
        path = folder / f"{shard:06d}.{uuid.uuid4().hex}.jsonl"
        self._handle = open(path, "a", encoding="utf-8")  # noqa: SIM115  # closed by close()

    def started(self, key: str) -> None:
        """Say that `key` is decoded next."""
        self._append({"started": key})

    def rejected(self, key: str, verdict: Rejected) -> None:
        """Keep a verdict that must survive this worker."""
        self._append({"key": key, "reason": verdict.reason, "message": verdict.message})

    def _append(self, entry: dict[str, str]) -> None:
        self._handle.write(json.dumps(entry) + "\n")
        self._handle.flush()

    def close(self) -> None:
        """End the attempt; the file stays until `forget`."""
        self._handle.close()


def read_verdicts(folder: Path, shard: int) -> dict[str, Rejected]:
    """Clips that must not be decoded again, from every earlier attempt at this shard."""
    verdicts: dict[str, Rejected] = {}
    unfinished: Counter[str] = Counter()
    for path in sorted(folder.glob(f"{shard:06d}.*.jsonl")):
        entries = _entries(path)
        verdicts |= {entry["key"]: Rejected(entry["reason"], entry["message"]) for entry in entries if "key" in entry}
        if entries and "started" in entries[-1]:
            unfinished[entries[-1]["started"]] += 1
    return verdicts | {
        key: Rejected("decoder_crash", f"the worker died {deaths} times while this clip was decoded")
        for key, deaths in unfinished.items()
        if deaths >= DEATHS_BEFORE_BLAME
    }


def _entries(path: Path) -> list[dict[str, str]]:
    """A journal's entries; the last line of a killed writer may be half there."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def forget(folder: Path, shard: int) -> None:
    """Drop a finished shard's journals."""
    for path in folder.glob(f"{shard:06d}.*.jsonl"):
        path.unlink(missing_ok=True)
