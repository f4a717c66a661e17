"""Manifests that are not the one a folder was finished with, and names of tars that lead elsewhere."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from damage import NO_FILE
from damaged_tars import equal_shards
from shard_maker import write_waveforms

from manifests.errors import InputError
from pipeline.shards.store import ShardStore

Change = Callable[[pa.Table], pa.Table]


def rewrite(folder: Path, change: Change, name: str = "manifest.parquet", noted: bool = False) -> None:
    """Write a changed manifest; `noted`: with its checksum in index.json, as somebody would who knows of it."""
    pq.write_table(change(pq.read_table(folder / name)), folder / name)
    if noted:
        index = json.loads((folder / "index.json").read_text())
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "index.json").write_text(json.dumps(index | {"manifest_sha256": digest}))


def with_column(name: str, make: Callable[[list], list]) -> Change:
    def change(table: pa.Table) -> pa.Table:
        field = table.schema.get_field_index(name)
        return table.set_column(
            field, table.schema.field(name), pa.array(make(table[name].to_pylist()), table[name].type)
        )

    return change


EDITS: dict[str, Change] = {
    "half the rows": lambda table: table.slice(0, len(table) // 2),
    "reversed keys": with_column("key", lambda keys: keys[::-1]),
    "reversed rows": lambda table: table.take(pc.sort_indices(table["key"], sort_keys=[("", "descending")])),
    "other labels": with_column("label", lambda labels: ["cat"] * len(labels)),
    "other splits": with_column("split", lambda splits: ["train"] * len(splits)),
    "the same rows, packed otherwise": lambda table: table.replace_schema_metadata({"by": "hand"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_manifest_is_found_when_the_folder_is_opened(tmp_path: Path, edit: str) -> None:
    rewrite(folder := equal_shards(tmp_path / "shards"), EDITS[edit])
    with pytest.raises(
        InputError, match=r"manifest\.parquet is not the one that index\.json speaks of.*Fetch it again"
    ):
        ShardStore.open(folder)


@pytest.mark.parametrize("kind", NO_FILE)
def test_an_index_that_is_no_file_is_not_taken_for_none(tmp_path: Path, kind: str) -> None:
    NO_FILE[kind](equal_shards(tmp_path / "shards") / "index.json")
    with pytest.raises(InputError, match=rf"index\.json is {kind}, not a file"):
        ShardStore.open(tmp_path / "shards")


def test_a_foreign_manifest_is_found_when_the_folder_is_opened(tmp_path: Path) -> None:
    folder, other = equal_shards(tmp_path / "shards"), equal_shards(tmp_path / "other", first=100)
    (folder / "manifest.parquet").write_bytes((other / "manifest.parquet").read_bytes())
    with pytest.raises(InputError, match="edited, damaged or replaced"):
        ShardStore.open(folder)


@pytest.mark.parametrize("name", ["../shard-000000.tar", "/etc/passwd", "..", "", "a/b.tar", "a\0b", None])
def test_a_tar_is_named_never_led_to(tmp_path: Path, name: str | None) -> None:
    rewrite(
        folder := equal_shards(tmp_path / "shards"), with_column("shard", lambda tars: [name] * len(tars)), noted=True
    )
    with pytest.raises(InputError, match=r"bare name of a file|rows without shard"):
        ShardStore.open(folder)


def test_a_companion_s_tar_is_named_never_led_to(tmp_path: Path) -> None:
    folder = equal_shards(tmp_path / "shards", sizes=(4,))
    keys = ShardStore.open(folder).keys
    write_waveforms(folder, {key: np.zeros(100, np.float32) for key in keys}, 8000)
    rewrite(folder, with_column("shard", lambda tars: ["../" + tar for tar in tars]), "context.parquet")
    with pytest.raises(InputError, match="bare name of a file"):
        ShardStore.open(folder).companions.waveform(0)


@pytest.mark.parametrize("column", ["key", "frame_offset", "json_size"])
def test_rows_without_a_place_are_refused(tmp_path: Path, column: str) -> None:
    rewrite(folder := equal_shards(tmp_path / "shards"), with_column(column, lambda old: [None, *old[1:]]), noted=True)
    with pytest.raises(InputError, match=f"has rows without {column}"):
        ShardStore.open(folder)


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    rewrite(folder := equal_shards(tmp_path / "shards"), with_column("key", lambda old: [old[1], *old[1:]]), noted=True)
    with pytest.raises(InputError, match="has a key twice"):
        ShardStore.open(folder)
