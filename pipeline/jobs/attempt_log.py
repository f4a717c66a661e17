"""Per-shard journal: which clip is being decoded, and which took a decoder down, so that nobody tries them again.

Every attempt at a shard appends to a file of its own (two workers may hold the same shard when one was cut off). A
verdict once written holds for every later attempt. A worker that dies from outside (killed, out of power) leaves a clip
unfinished without being its fault, so only a clip that was in flight at several deaths within one run is given up; what
was in flight when a whole run ended is nobody's fault.

Object storage cannot append: there every entry sends the attempt's journal again. That is cheap for verdicts, which are
rare; which clip is decoded next is only sent once an earlier attempt at the shard has died.
"""

import json
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from manifests.files.given import understood
from manifests.files.plain_data import object_with
from pipeline.shards.record import Rejected
from pipeline.storage.files import read_whole, write_whole
from pipeline.storage.remote import Place, RemotePath

DEATHS_BEFORE_BLAME = 3
INTERRUPTED = {"interrupted": ""}  # nobody's fault


class Journal:
    """The journal of one attempt at one shard."""

    def __init__(self, folder: Place, shard: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.known = read_verdicts(folder, shard)
        path = folder / f"{shard:06d}.{uuid.uuid4().hex}.jsonl"
        if isinstance(path, RemotePath):
            self._lines: _Lines = _SentAgain(path)
            self._tell_each = bool(folder.glob(f"{shard:06d}.*.jsonl"))
            self._lines.add("")  # that this attempt began: should it die, the next one says what it decodes
        else:
            self._lines = _Appended(path)
            self._tell_each = True

    def started(self, key: str) -> None:
        """Say that `key` is decoded next."""
        if self._tell_each:
            self._append({"started": key})

    def rejected(self, key: str, verdict: Rejected) -> None:
        """Keep a verdict that must survive this worker."""
        self._append({"key": key, "reason": verdict.reason, "message": verdict.message})

    def interrupted(self) -> None:
        """Say that this attempt ends, and not because of the clip that was started last."""
        with suppress(OSError):  # the disk that is full may be this one
            self._append(INTERRUPTED)

    def _append(self, entry: dict[str, str]) -> None:
        self._lines.add(json.dumps(entry) + "\n")

    def close(self) -> None:
        """End the attempt; the file stays until `forget`."""
        self._lines.close()


class _Lines(Protocol):
    def add(self, line: str) -> None: ...

    def close(self) -> None: ...


class _Appended:
    """Lines of a local file, each on disk as soon as it is added."""

    def __init__(self, path: Path) -> None:
        self._handle = open(path, "a", encoding="utf-8")  # noqa: SIM115  # closed by close()

    def add(self, line: str) -> None:
        self._handle.write(line)
        self._handle.flush()

    def close(self) -> None:
        self._handle.close()


class _SentAgain:
    """Lines of an object, all sent again with each one that is added."""

    def __init__(self, path: RemotePath) -> None:
        self._path, self._content = path, ""

    def add(self, line: str) -> None:
        self._content += line
        self._path.write_bytes(self._content.encode())

    def close(self) -> None:
        """Nothing is held open."""


def read_verdicts(folder: Place, shard: int) -> dict[str, Rejected]:
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


def end_attempts(folder: Place) -> None:
    """Say of every attempt so far that it ended with its run, however that ended."""
    for path in folder.glob("*.jsonl"):
        entries = _entries(path)
        if entries and "started" in entries[-1]:
            write_whole(path, "".join(json.dumps(entry) + "\n" for entry in [*entries, INTERRUPTED]).encode())


def _entries(path: Place) -> list[dict[str, str]]:
    """A journal's entries; the last line of a killed writer may be half there. InputError when it is damaged."""
    with understood(path, "is damaged", "Delete it and repeat the command."):
        lines = read_whole(path).decode().splitlines(keepends=True)
        return [object_with(line) for line in lines if line.endswith("\n")]


def forget(folder: Place, shard: int | None = None) -> None:
    """Drop the journals of a finished shard, or of all when every shard is finished."""
    for path in folder.glob("*.jsonl" if shard is None else f"{shard:06d}.*.jsonl"):
        path.unlink(missing_ok=True)
