"""Whether the tars that a run reads are, byte by byte, those that ingest wrote: found out once per start.

What is read is held to the manifest at once, by names, places and sizes (`pipeline.shards.tars`). Bytes that changed
within a member show in nothing but the tar's hash, which ingest noted when it wrote it. Small corpora are through
before the first step; the rest of a large one is read beside the run, by a thread that lets everything else go first.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.given import not_read
from manifests.machine import MachineFailed, may_pass
from pipeline.jobs.shard_job import marker_path
from pipeline.shards.store import ShardStore
from pipeline.shards.tars import MAKE_AGAIN
from pipeline.storage.files import read_whole

WAITED = 3.0  # seconds before the first step
POLITE = 15  # the thread's nice value


class TarHashes:
    """The comparison of the tars of some rows. Those on object storage, or without a note of ingest, are left out."""

    def __init__(self, store: ShardStore, rows: Iterable[int]) -> None:
        self._tars = list(_with_digests(store, rows))
        self._refusal: InputError | MachineFailed | None = None
        self._thread = threading.Thread(target=self._compare, name="tar hashes", daemon=True)

    def start(self) -> None:
        """Begin. InputError when damage is found at once."""
        self._thread.start()
        self._thread.join(WAITED)
        self.tell()

    def tell(self) -> None:
        """InputError when a damaged tar was met so far, MachineFailed when one could not be read for now."""
        if self._refusal is not None:
            raise self._refusal

    def finish(self) -> None:
        """Wait for the rest, and tell."""
        self._thread.join()
        self.tell()

    def _compare(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), POLITE)
        for path, digest in self._tars:
            try:
                found = file_sha256(path)
            except OSError as error:
                self._refusal = (
                    not_read(path, error)
                    if may_pass(error)
                    else InputError(f"{path} cannot be read ({error.strerror}). {MAKE_AGAIN}.")
                )
                return
            if found != digest:
                self._refusal = InputError(
                    f"{path} is damaged: its content is not what ingest wrote (the checksum is another), although "
                    f"names and sizes are. {MAKE_AGAIN}. Steps that this run has taken since it was started may have "
                    "used it: delete its checkpoints to begin again."
                )
                return


def _with_digests(store: ShardStore, rows: Iterable[int]) -> Iterator[tuple[Path, str]]:
    """The tars of these rows, with the digests that their makers noted."""
    seen = set()
    for row in rows:
        own, number = store.alone(int(row))
        tar = own.table["shard"][number].as_py()
        if (own.folder, tar) in seen or not isinstance(own.folder, Path):
            continue
        seen.add((own.folder, tar))
        if (digest := _noted(own.folder, tar)) is not None:
            yield own.folder / tar, digest


def _noted(folder: Path, tar: str) -> str | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(read_whole(marker_path(folder, int(Path(tar).stem.rpartition("-")[2]))))["tar"]
        return str(noted["sha256"]) if noted["name"] == tar else None
    return None
