"""Several shard folders read as one: every member of every clip, whatever the order, and what may not be joined."""

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
from shard_maker import MadeClip, write_shards, write_waveforms

from manifests.errors import InputError
from pipeline.shards.companion_store import Companions
from pipeline.shards.joined import JoinedShards, _JoinedCompanions, open_shards
from pipeline.shards.record import FRAME, SPECTROGRAM
from pipeline.shards.store import ShardStore
from training.data.tar_samples import TarRange


def clip(number: int) -> MadeClip:
    rng = np.random.default_rng(number)
    frame = rng.integers(0, 255, (8, 12 + number, 3), dtype=np.uint8)
    return MadeClip(f"k{number}", frame, rng.normal(-9, 3, (257, 300)).astype(np.float16))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """k0 to k4 in two tars, k5 and k6 in one, k7 in one: tars of all folders have the same names."""
    parts = {"one": (range(5), [3, 2]), "two": (range(5, 7), [2]), "three": (range(7, 8), [1])}
    made = [write_shards(tmp_path / name, [clip(at) for at in own], sizes) for name, (own, sizes) in parts.items()]
    write_waveforms(made[1], {"k5": np.full(100, 0.5, np.float32), "k6": np.full(100, 0.25, np.float32)}, 1000)
    return made


def test_every_member_of_every_clip(folders: list[Path]) -> None:
    joined = open_shards(folders)
    assert isinstance(joined, JoinedShards)
    assert (len(joined), sorted(joined.keys)) == (8, [f"k{number}" for number in range(8)])
    for number in (6, 0, 7, 3, 5, 1, 4, 2):
        row = joined.row_of(f"k{number}")
        assert joined.keys[row] == joined.facts(row)["key"] == f"k{number}"
        np.testing.assert_array_equal(joined.spectrogram(row), clip(number).spectrogram)
        assert joined.frame(row).shape == (8, 12 + number, 3)
        assert joined.table["width"][row].as_py() == 12 + number
    assert "k3" in joined
    assert "k8" not in joined
    with pytest.raises(InputError, match=r"k8 is not among the 8 clips of .*one and .*two and .*three"):
        joined.row_of("k8")


def test_neither_order_nor_place_matters(folders: list[Path], tmp_path: Path) -> None:
    joined = open_shards(folders)
    moved = shutil.copytree(folders[0], tmp_path / "zzz")
    again = open_shards([folders[2], moved, folders[1]])
    assert (again.keys, again.manifest_sha256) == (joined.keys, joined.manifest_sha256)
    assert again.manifest_sha256 not in {ShardStore.open(folder).manifest_sha256 for folder in folders}
    assert open_shards(folders[:2]).manifest_sha256 != joined.manifest_sha256


def test_one_folder_is_the_store_it_was(folders: list[Path]) -> None:
    for given in (folders[0], str(folders[0]), [folders[0]], (folders[0],)):
        store = open_shards(given)
        assert type(store) is ShardStore
        assert store.manifest_sha256 == ShardStore.open(folders[0]).manifest_sha256


def test_streams_of_tars_start_and_end_at_the_right_clips(folders: list[Path]) -> None:
    import tarfile

    joined = open_shards(folders)
    tars = joined.table["shard"].to_pylist()
    assert len(set(tars)) == 4
    for tar in set(tars):
        rows = [row for row, own in enumerate(tars) if own == tar]
        for first, last in ((rows[0], rows[-1]), (rows[-1], rows[-1])):
            piece = TarRange.of_rows(joined, first, last)
            with tarfile.open(fileobj=piece, mode="r|") as stream:
                names = [member.name for member in stream]
            keys = [joined.keys[row] for row in range(first, last + 1)]
            assert [name for name in names if name.endswith(FRAME)] == [f"{key}.{FRAME}" for key in keys]
            assert sum(name.endswith(SPECTROGRAM) for name in names) == len(keys)


def test_companions_are_those_of_the_clips_own_folder(folders: list[Path]) -> None:
    joined = open_shards(folders)
    assert joined.companions.waveform(joined.row_of("k6")).samples.mean() == pytest.approx(0.25, abs=1e-3)
    with pytest.raises(InputError, match="one hold no context companion"):
        joined.companions.waveform(joined.row_of("k0"))


def test_a_key_in_two_folders_is_refused(folders: list[Path], tmp_path: Path) -> None:
    other = write_shards(tmp_path / "other", [clip(20), clip(6)])
    with pytest.raises(InputError, match=r"The clip k6 is both in .*two and in .*other"):
        open_shards([*folders, other])
    with pytest.raises(InputError, match=r"The clip k0 is both in .*one and in .*one"):
        open_shards([folders[0], folders[0]])


def test_two_front_ends_are_refused(folders: list[Path], tmp_path: Path) -> None:
    other = write_shards(tmp_path / "other", [clip(20)], front_end="another")
    with pytest.raises(InputError, match=r"in .*one hold spectrograms 'log-power.*', those in .*other 'another'"):
        open_shards([folders[0], other])


def test_an_absent_folder_is_named(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no shard folder .*nowhere"):
        open_shards([folders[0], tmp_path / "nowhere"])


def test_whatever_is_asked_of_a_row_is_asked_of_its_folder() -> None:
    """A method that the store gains later must be passed on, too; `frame` and its like are made of others."""
    made_of_others = {"frame", "spectrogram", "facts"}
    for kind, joined in ((ShardStore, JoinedShards), (Companions, _JoinedCompanions)):
        methods = {
            name: one for name, one in vars(kind).items() if not name.startswith("_") and inspect.isfunction(one)
        }
        of_rows = {name for name, it in methods.items() if {"row", "first"} & set(inspect.signature(it).parameters)}
        assert of_rows - made_of_others <= set(vars(joined)), kind
