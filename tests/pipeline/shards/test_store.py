"""Random access to a finished shard folder, and the refusal of every folder that is not one."""

import hashlib
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damaged_tars import equal_clips
from shard_maker import MadeClip, write_shards

from manifests.errors import InputError
from pipeline.exchange.plan import parts_of
from pipeline.shards.codecs import decode_npy, encode_npy
from pipeline.shards.store import ShardStore


def spectrogram_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(-9, 3, (257, 300)).astype(np.float16)


def folder_of(out: Path, clips: int, per_shard: int) -> Path:
    """A shard folder as ingest leaves it, of `clips` clips named k0, k1, ..."""
    made = [
        MadeClip(f"k{number}", np.full((8, 12, 3), 10 * number, np.uint8), spectrogram_of(number), "dog barking", None)
        for number in range(clips)
    ]
    sizes = [min(per_shard, clips - first) for first in range(0, clips, per_shard)]
    return write_shards(out, made, sizes, front_end="a front end")


def test_every_member_of_every_clip(tmp_path: Path) -> None:
    store = ShardStore.open(str(folder := folder_of(tmp_path / "shards", 7, 3)))
    assert (len(store), store.front_end) == (7, "a front end")
    assert store.manifest_sha256 == hashlib.sha256((folder / "manifest.parquet").read_bytes()).hexdigest()
    assert store.keys == [f"k{number}" for number in range(7)]
    for number in (6, 0, 3, 5, 1):  # any order, back and forth between shards
        row = store.row_of(f"k{number}")
        np.testing.assert_array_equal(store.spectrogram(row), spectrogram_of(number))
        assert store.frame(row).shape == (8, 12, 3)
        assert abs(int(store.frame(row).mean()) - 10 * number) <= 1
        assert store.facts(row)["key"] == f"k{number}"
        assert store.table["label"][row].as_py() == "dog barking"


def test_a_process_without_a_copy_of_this_ones_memory_reads_the_same(tmp_path: Path) -> None:
    """Readers are started so on macOS, inside process pools, and by later Pythons everywhere."""
    store = ShardStore.open(folder_of(tmp_path / "shards", 4, 2))
    store.spectrogram(0)
    again = pickle.loads(pickle.dumps(store))
    assert again.keys == store.keys
    for row in (3, 0):
        np.testing.assert_array_equal(again.spectrogram(row), store.spectrogram(row))
    with pytest.raises(InputError, match="--audio context"):
        again.companions.waveform(0)


def test_a_forked_reader_and_its_parent_do_not_disturb_each_other(tmp_path: Path) -> None:
    store = ShardStore.open(folder_of(tmp_path / "shards", 4, 4))
    store.spectrogram(0)
    child = os.fork()
    if child == 0:
        right = all((store.spectrogram(row) == spectrogram_of(row)).all() for row in (3, 1, 2, 0) * 50)
        os._exit(0 if right else 1)
    assert all((store.spectrogram(row) == spectrogram_of(row)).all() for row in (0, 2, 1, 3) * 50)
    assert os.waitpid(child, 0)[1] == 0


def test_threads_share_a_store_that_forgets_open_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that one thread's question pushes out of the few kept open may be in another's middle of a read."""
    monkeypatch.setattr("pipeline.shards.tars.OPEN_TARS", 1)
    store = ShardStore.open(folder_of(tmp_path / "shards", 12, 1))
    expected = [store.facts(row) for row in range(12)]
    with ThreadPoolExecutor(8) as pool:
        rows = np.random.default_rng(0).integers(0, 12, 20_000).tolist()
        assert all(found == expected[row] for row, found in zip(rows, pool.map(store.facts, rows), strict=True))


def test_an_unknown_key_names_key_and_folder(tmp_path: Path) -> None:
    store = ShardStore.open(folder_of(tmp_path / "shards", 2, 2))
    assert "k1" in store
    assert "k2" not in store
    with pytest.raises(InputError, match=r"k2 is not among the 2 clips of .*shards"):
        store.row_of("k2")


def test_folders_that_are_no_finished_shards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no shard folder"):
        ShardStore.open(tmp_path / "gone")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="holds no shards"):
        ShardStore.open(tmp_path / "other")
    (tmp_path / "other" / "plan").mkdir()
    with pytest.raises(InputError, match="unfinished"):
        ShardStore.open(tmp_path / "other")

    out = folder_of(tmp_path / "shards", 2, 2)
    index = json.loads((out / "index.json").read_text())
    (out / "index.json").write_text(json.dumps(index | {"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        ShardStore.open(out)
    (out / "index.json").write_text('{"schema')
    with pytest.raises(InputError, match="damaged"):
        ShardStore.open(out)


def test_damaged_folders_are_named_not_guessed(tmp_path: Path) -> None:
    out = folder_of(tmp_path / "shards", 4, 2)
    os.truncate(out / "shard-000001.tar", 2000)
    store = ShardStore.open(out)
    assert store.facts(0)["key"] == "k0"
    with pytest.raises(InputError, match=r"shard-000001\.tar is not the tar .* expected 317,440 bytes, found 2,000"):
        store.spectrogram(3)
    (out / "shard-000000.tar").unlink()
    fresh = ShardStore.open(out)
    with pytest.raises(InputError, match=r"shard-000000\.tar cannot be read \(No such file"):
        fresh.facts(0)
    (out / "manifest.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(InputError, match=r"manifest\.parquet cannot be read"):
        ShardStore.open(out)


def test_spectrograms_are_views_and_never_pickles() -> None:
    array = spectrogram_of(1)
    view = decode_npy(encode_npy(array))
    np.testing.assert_array_equal(view, array)
    assert view.dtype == np.float16
    assert not view.flags.writeable
    import io

    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="plain"):
        decode_npy(pickled.getvalue())


def test_splits_of_earlier_versions_are_read_by_one_name(tmp_path: Path) -> None:
    spelled = ("Training", "train", "testing", None)
    clips = [replace(clip, split=split) for clip, split in zip(equal_clips(4), spelled, strict=True)]
    store = ShardStore.open(write_shards(tmp_path / "shards", clips))
    assert store.table["split"].to_pylist() == ["train", "train", "test", None]
    assert [store.facts(row).get("split") for row in range(3)] == ["train", "train", "test"]
    assert [part.split for part in parts_of(store, 10, "{}.parquet")] == ["train", "test"]
