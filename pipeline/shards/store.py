"""Reading a finished shard folder at random: any member of any clip by its manifest row.

Training streams the tars in order; whoever needs single clips (neighbours, evaluation, embeddings, reports) reads them
here, through the manifest's offsets. An unfinished folder is refused, and so is a tar that is not the one the manifest
describes: `pipeline.shards.tars` compares sizes and member headers, and the first time a tar is read here, a few of its
records must say of themselves what the manifest says of them.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from manifests.clip_lists.rows import normal_split
from manifests.errors import InputError
from manifests.files.given import has_file, understood
from manifests.files.parquet import read_table
from manifests.files.plain_data import parse_json_object
from manifests.given_arrays import given_place, given_text
from manifests.keys import normal_key, normal_keys
from manifests.machine import MachineFailed
from pipeline.shards.codecs import decode_image, decode_npy
from pipeline.shards.companion_store import Companions
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, SCHEMA_VERSION, SPECTROGRAM, Member
from pipeline.shards.tars import Decoded, Tars, after_padding
from pipeline.storage.files import read_json_object, read_whole
from pipeline.storage.remote import Place, place

if TYPE_CHECKING:
    import numpy as np

MANIFEST, REJECTS, INDEX = "manifest.parquet", "rejects.parquet", "index.json"
PLAN = "plan"  # the folder of what an ingest was to do, and of its lock
COLUMN_OF = {FRAME: "frame", FACTS: "json", SPECTROGRAM: "spec"}
MEASURED = ("source_sha256", "moment", "width", "height")  # what a record and its row both say, whatever its name
PLACED = ("key", "shard", *(f"{name}_{part}" for name in COLUMN_OF.values() for part in ("offset", "size")))
COMPARED = 4  # records of a tar, spread evenly


def read_index(folder: Place | str) -> dict[str, object]:
    """What the finished folder says of itself. InputError when it is missing, unfinished or of another version."""
    folder = place(folder)
    if not folder.is_dir():
        raise InputError(
            f"There is no shard folder {folder}. Make it with `pipeline ingest --src VIDEOS --out {folder}`."
        )
    if not (has_file(folder / INDEX) if isinstance(folder, Path) else (folder / INDEX).exists()):
        began = (folder / PLAN).is_dir()
        state = (
            "is unfinished: repeat its `pipeline ingest` command" if began else "holds no shards: give another folder"
        )
        raise InputError(f"The folder {folder} has no {INDEX}, so it {state}.")
    with understood(folder / INDEX, "is damaged", "Repeat the `pipeline ingest` command."):
        index = read_json_object(folder / INDEX)
    if index.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"The shards in {folder} have schema version {index.get('schema_version')}, this program reads "
            f"{SCHEMA_VERSION}. Ingest the videos again into a new folder."
        )
    return index


def check_manifest(folder: Place, index: Mapping[str, object], content: bytes, table: pa.Table) -> None:
    """InputError when a manifest is not the one that the folder was finished with, or its rows are none."""
    wrong = ""
    if hashlib.sha256(content).hexdigest() != index["manifest_sha256"]:
        wrong = f"is not the one that {INDEX} speaks of (its checksum is another): it was edited, damaged or replaced"
    elif lacking := [name for name in PLACED if table[name].null_count]:
        wrong = f"has rows without {lacking[0]}"
    elif table["key"].combine_chunks().unique().__len__() != len(table):
        wrong = "has a key twice"
    if wrong:
        raise InputError(
            f"{folder / MANIFEST} {wrong}. Fetch it again from where it was made, or repeat the `pipeline ingest` "
            "command, which makes it again."
        )


class ShardStore:
    """A finished shard folder. Rows are positions in the manifest; safe to use in forked workers."""

    def __init__(self, folder: Place, index: dict[str, object], table: pa.Table) -> None:
        self.folder = folder
        self.stored_keys = cast(list[str], table.column("key").to_pylist())  # in row order, as the tars spell them
        self.keys = normal_keys(self.stored_keys)  # what clips are known by; earlier versions stored names as they were
        splits = map(normal_split, table.column("split").to_pylist())
        self.table = table.set_column(0, "key", pa.array(self.keys, pa.string())).set_column(
            table.schema.get_field_index("split"), "split", pa.array(splits, pa.string())
        )
        self.front_end = str(index["front_end"])
        self.short_side = int(cast(int, index["short_side"]))  # pixels; frames of smaller videos are stored smaller
        self.manifest_sha256 = str(index["manifest_sha256"])
        self._shards = table.column("shard").to_pylist()
        self._places = {
            member: (table.column(f"{name}_offset").to_numpy(), table.column(f"{name}_size").to_numpy())
            for member, name in COLUMN_OF.items()
        }
        self._rows_of = {shard: list(rows) for shard, rows in groupby(range(len(table)), self._shards.__getitem__)}
        ends = {shard: self._end(rows[-1]) for shard, rows in self._rows_of.items()}
        self._tars = Tars(folder, MANIFEST, ends)
        self._compared: set[str] = set()

    @classmethod
    def open(cls, folder: Place | str) -> "ShardStore":
        """Open a folder `pipeline ingest` has finished. InputError when missing, unfinished or of another version."""
        folder = place(folder)
        index = read_index(folder)
        remedy = "Repeat the `pipeline ingest` command into a new folder."
        with understood(folder / MANIFEST, remedy=remedy):
            content = read_whole(folder / MANIFEST)
            table = read_table(io.BytesIO(content), MANIFEST_SCHEMA)
        with understood(folder, "is damaged", remedy):  # columns and facts that no ingest wrote
            check_manifest(folder, index, content, table)
            return cls(folder, index, table)

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.keys)}

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None

    def row_of(self, key: str) -> int:
        """The row of a key. InputError names key and folder when it is not there."""
        row = self._find(given_text(key, "the key of a clip"))
        if row is None:
            raise InputError(
                f"The clip {key} is not among the {len(self)} clips of {self.folder}. {self.folder / REJECTS} says "
                "whether it was rejected; otherwise it was not in the ingested folder."
            )
        return row

    def alone(self, row: int) -> "tuple[ShardStore, int]":
        """The store of the one folder that holds a row, and the row's number there."""
        return self, row

    def _find(self, key: str) -> int | None:
        return self._rows.get(key, self._rows.get(normal_key(key)))

    def read(self, row: int, member: str) -> bytes:
        """One member's content; `member` is one of `pipeline.shards.record.MEMBERS`. InputError when the tar is not the
        one that the manifest describes.
        """
        row = given_place(row, len(self), "the row")
        self._compare(self._shards[row])
        return self._tars.read(*self._where(row, member))

    def frame(self, row: int) -> "np.ndarray":
        """uint8 (H, W, 3) RGB."""
        return self.decoded(row, FRAME, decode_image)

    def spectrogram(self, row: int) -> "np.ndarray":
        """float16 (frequencies, times), read-only; see `front_end`."""
        return self.decoded(row, SPECTROGRAM, decode_npy)

    def decoded(
        self, row: int, member: str, decode: Callable[[bytes], Decoded], content: bytes | None = None
    ) -> Decoded:
        """What `decode` makes of a member, of its `content` where that was read already. InputError as `read`, and when
        `decode` raises OSError or ValueError."""
        content = self.read(row, member) if content is None else content
        return self._tars.decoded(self._shards[row], self._name(row, member), content, decode)

    def facts(self, row: int) -> dict[str, object]:
        """The json member: source, times, sizes, label, flags."""
        facts = cast(dict[str, object], self.decoded(row, FACTS, parse_json_object))
        return facts | ({"split": self.table["split"][row].as_py()} if "split" in facts else {})

    @cached_property
    def companions(self) -> Companions:
        """Waveforms, further images and proposals, where ingest was asked to make them."""
        return Companions(self.folder, self.keys, self.stored_keys)

    def damaged(self, row: int, member: str, seen: object) -> InputError:
        """The error for a member that lies where it should and does not decode: `seen` says what the decoder said."""
        return self._tars.damaged(self._shards[row], self._name(row, member), seen)

    def shard_path(self, row: int) -> Place:
        """The tar that holds a row. InputError when it is not the one that the manifest describes."""
        self._compare(self._shards[row])
        return self._tars.path(self._shards[row])

    def byte_range(self, first: int, last: int) -> tuple[int, int]:
        """Start and end (bytes) of the whole members of rows first..last, headers and padding included.

        Both rows are in one shard. What lies between is a valid tar without its closing blocks.
        """
        is_first_of_shard = first == 0 or self._shards[first - 1] != self._shards[first]
        return 0 if is_first_of_shard else after_padding(self._end(first - 1)), after_padding(self._end(last))

    def check(self, shard: str) -> None:
        """InputError when a few records of a tar, spread evenly, are not those that the manifest describes."""
        rows = self._rows_of[shard]
        for row in {rows[(len(rows) - 1) * number // (COMPARED - 1)] for number in range(COMPARED)}:
            self._check_record(row)

    def check_streamed(self, row: int, key: str, sizes: Mapping[str, int]) -> None:
        """InputError when what a stream of a row's tar met in its place has another name, or members of other `sizes`
        (bytes by member)."""
        wanted = {member: self._place(row, member).size for member in sizes}
        if key != self.stored_keys[row] or sizes != wanted:
            raise self.not_met(row, _described(key, sizes))

    def unreadable(self, row: int, error: OSError) -> InputError | MachineFailed:
        """The error for a row whose tar the system does not read, from one moment to the next."""
        return self._tars.unreadable(self._shards[row], error)

    def not_met(self, row: int, found: str) -> InputError:
        """The error for a row that its tar does not hold where it should, but what was `found`."""
        sizes = {member: self._place(row, member).size for member in (FRAME, SPECTROGRAM)}
        return self._tars.another(self._shards[row], _described(self.stored_keys[row], sizes), found)

    def _compare(self, shard: str) -> None:
        """`check`, once for each process."""
        if shard not in self._compared:
            self.check(shard)
            self._compared.add(shard)

    def _check_record(self, row: int) -> None:
        facts = self.decoded(row, FACTS, parse_json_object, self._tars.read(*self._where(row, FACTS)))
        told = {name: self.table.column(name)[row].as_py() for name in MEASURED} | {"front_end": self.front_end}
        for name, value in told.items():  # a manifest of an earlier version may lack a column
            if value is not None and facts.get(name, value) != value:
                expected, found = (f"{self.keys[row]} with the {name} {each}" for each in (value, facts[name]))
                raise self._tars.another(self._shards[row], expected, found)

    def _where(self, row: int, member: str) -> tuple[str, str, Member]:
        """Tar, name and place of a row's member, as `Tars.read` asks for them."""
        return self._shards[row], self._name(row, member), self._place(row, member)

    def _name(self, row: int, member: str) -> str:
        return f"{self.stored_keys[row]}.{member}"

    def _place(self, row: int, member: str) -> Member:
        offsets, sizes = self._places[member]
        return Member(int(offsets[row]), int(sizes[row]))

    def _end(self, row: int) -> int:
        """Where the row's last member ends."""
        return max(int(offsets[row]) + int(sizes[row]) for offsets, sizes in self._places.values())


def _described(key: str, sizes: Mapping[str, int]) -> str:
    return f"{key} ({', '.join(f'{member} of {size:,} bytes' for member, size in sizes.items())})"
