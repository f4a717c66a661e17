"""Reading a finished shard folder at random: any member of any clip by its manifest row.

Training streams the tars in order; whoever needs single clips (neighbours, evaluation, embeddings, reports) reads them
here, through the manifest's offsets, with one `pread` per member. An unfinished folder is refused.
"""

import json
import os
from functools import cached_property, lru_cache
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from manifests.errors import InputError
from pipeline.shards.codecs import decode_image, decode_npy
from pipeline.shards.companion_store import Companions
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, SCHEMA_VERSION, SPECTROGRAM
from pipeline.storage.files import read_table
from pipeline.storage.remote import Place, RemotePath, place

if TYPE_CHECKING:
    import numpy as np

MANIFEST, REJECTS, INDEX = "manifest.parquet", "rejects.parquet", "index.json"
COLUMN_OF = {FRAME: "frame", FACTS: "json", SPECTROGRAM: "spec"}
OPEN_SHARDS = 256


def read_index(folder: Place | str) -> dict[str, object]:
    """What the finished folder says of itself. InputError when it is missing, unfinished or of another version."""
    folder = place(folder)
    if not folder.is_dir():
        raise InputError(
            f"There is no shard folder {folder}. Make it with `pipeline ingest --src VIDEOS --out {folder}`."
        )
    try:
        index = json.loads((folder / INDEX).read_bytes())
    except FileNotFoundError as error:
        began = (folder / "plan").is_dir()
        state = (
            "is unfinished: repeat its `pipeline ingest` command" if began else "holds no shards: give another folder"
        )
        raise InputError(f"The folder {folder} has no {INDEX}, so it {state}.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{folder / INDEX} is damaged ({error}). Repeat the `pipeline ingest` command.") from error
    if index.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"The shards in {folder} have schema version {index.get('schema_version')}, this program reads "
            f"{SCHEMA_VERSION}. Ingest the videos again into a new folder."
        )
    return cast(dict[str, object], index)


class ShardStore:
    """A finished shard folder. Rows are positions in the manifest; safe to use in forked workers."""

    def __init__(self, folder: Place, index: dict[str, object], table: pa.Table) -> None:
        self.folder = folder
        self.table = table
        self.front_end = str(index["front_end"])
        self.short_side = int(cast(int, index["short_side"]))  # pixels; frames of smaller videos are stored smaller
        self.manifest_sha256 = str(index["manifest_sha256"])
        self._opened = lru_cache(OPEN_SHARDS)(self._open_shard)
        self._shards = table.column("shard").to_pylist()
        self._places = {
            member: (table.column(f"{name}_offset").to_numpy(), table.column(f"{name}_size").to_numpy())
            for member, name in COLUMN_OF.items()
        }

    @classmethod
    def open(cls, folder: Place | str) -> "ShardStore":
        """Open a folder `pipeline ingest` has finished. InputError when missing, unfinished or of another version."""
        folder = place(folder)
        index = read_index(folder)
        try:
            table = read_table(folder / MANIFEST, MANIFEST_SCHEMA)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(
                f"{folder / MANIFEST} cannot be read ({error}). Repeat the `pipeline ingest` command into a new folder."
            ) from error
        return cls(folder, index, table)

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def keys(self) -> list[str]:
        """Keys in row order."""
        return cast(list[str], self.table.column("key").to_pylist())

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.keys)}

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def row_of(self, key: str) -> int:
        """The row of a key. InputError names key and folder when it is not there."""
        row = self._rows.get(key)
        if row is None:
            raise InputError(
                f"The clip {key} is not among the {len(self)} clips of {self.folder}. {self.folder / REJECTS} says "
                "whether it was rejected; otherwise it was not in the ingested folder."
            )
        return row

    def alone(self, row: int) -> "tuple[ShardStore, int]":
        """The store of the one folder that holds a row, and the row's number there."""
        return self, row

    def read(self, row: int, member: str) -> bytes:
        """One member's content; `member` is one of `pipeline.shards.record.MEMBERS`. InputError when the shard is
        damaged.
        """
        offsets, sizes = self._places[member]
        size = int(sizes[row])
        content = self.content(self._shards[row], int(offsets[row]), size)
        if len(content) != size:
            raise InputError(
                f"{self.folder / self._shards[row]} ends before the {member} of {self.keys[row]}: the shard is "
                "truncated. Copy it again, or ingest again into a new folder."
            )
        return content

    def frame(self, row: int) -> "np.ndarray":
        """uint8 (H, W, 3) RGB."""
        return decode_image(self.read(row, FRAME))

    def spectrogram(self, row: int) -> "np.ndarray":
        """float16 (frequencies, times), read-only; see `front_end`."""
        return decode_npy(self.read(row, SPECTROGRAM))

    def facts(self, row: int) -> dict[str, object]:
        """The json member: source, times, sizes, label, flags."""
        return cast(dict[str, object], json.loads(self.read(row, FACTS)))

    @cached_property
    def companions(self) -> Companions:
        """Waveforms, further images and proposals, where ingest was asked to make them."""
        return Companions(self.folder, self.keys, self.content)

    def content(self, shard: str, offset: int, size: int) -> bytes:
        """A piece of any tar of the folder; shorter where the tar ends before. InputError when there is no such tar."""
        if not isinstance(self.folder, RemotePath):
            return self._opened(shard).read(size, offset)
        try:
            return (self.folder / shard).read_range(offset, size)
        except OSError as error:
            raise self._unopened(shard, str(error)) from error

    def shard_path(self, row: int) -> Place:
        """The tar that holds a row."""
        return self.folder / self._shards[row]

    def byte_range(self, first: int, last: int) -> tuple[int, int]:
        """Start and end (bytes) of the whole members of rows first..last, headers and padding included.

        Both rows are in one shard. What lies between is a valid tar without its closing blocks.
        """
        is_first_of_shard = first == 0 or self._shards[first - 1] != self._shards[first]
        return 0 if is_first_of_shard else self._end(first - 1), self._end(last)

    def _end(self, row: int) -> int:
        """Where the row's last member ends, padded to the tar's blocks."""
        end = max(int(offsets[row]) + int(sizes[row]) for offsets, sizes in self._places.values())
        return -(-end // BLOCKSIZE) * BLOCKSIZE

    def _open_shard(self, shard: str) -> "_OpenShard":
        try:
            return _OpenShard(Path(self.folder, shard))
        except OSError as error:
            raise self._unopened(shard, str(error.strerror)) from error

    def _unopened(self, shard: str, problem: str) -> InputError:
        return InputError(
            f"{self.folder / shard} cannot be opened ({problem}). The folder is incomplete: copy that shard "
            "again, or ingest again into a new folder."
        )


class _OpenShard:
    """An open file, closed with its last reference: never in the middle of a read, whichever thread forgets it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)
