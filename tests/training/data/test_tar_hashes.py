"""Bytes that changed within a tar's members, and tars that go while a run reads them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from damaged_tars import FIRST, SECOND, equal_shards
from runs_in_processes import write_small

from manifests.errors import InputError
from manifests.machine import MachineFailed
from pipeline.shards.joined import open_shards
from pipeline.shards.store import ShardStore
from training.config import Data, load_config
from training.data.order import Streams
from training.data.stream import TrainingStream
from training.data.tar_hashes import TarHashes
from training.data.tar_samples import TarRange
from training.loop.start import start


def noted_shards(folder: Path, first: int = 0) -> Path:
    """Shards of 24 clips with ingest's note of each tar, as far as it is read here."""
    equal_shards(folder, first=first)
    (folder / "done").mkdir()
    for number, tar in enumerate(sorted(folder.glob("*.tar"))):
        noted = {"name": tar.name, "sha256": hashlib.sha256(tar.read_bytes()).hexdigest()}
        (folder / "done" / f"{number:06d}.json").write_text(json.dumps({"tar": noted}))
    return folder


def zero(tar: Path, size: int = 3000) -> None:
    """Zeros over a part of the middle of the tar: of a spectrogram's numbers, which are numbers still."""
    content = bytearray(tar.read_bytes())
    row = ShardStore.open(tar.parent).row_of("clip006")
    place = int(ShardStore.open(tar.parent).table["spec_offset"][row].as_py()) + 9000
    content[place : place + size] = bytes(size)
    tar.write_bytes(content)


def compared(folder: Path, rows: list[int]) -> None:
    hashes = TarHashes(open_shards(folder), rows)
    hashes.start()
    hashes.finish()


def test_changed_bytes_within_a_member_are_found(tmp_path: Path) -> None:
    compared(folder := noted_shards(tmp_path / "shards"), list(range(24)))
    zero(folder / FIRST)
    with pytest.raises(InputError, match=rf"{FIRST} is damaged: its content is not what ingest wrote.*Fetch that tar"):
        compared(folder, [3])
    compared(folder, [12])  # of the other tar


def test_tars_without_a_note_are_taken_as_they_are(tmp_path: Path) -> None:
    zero((folder := equal_shards(tmp_path / "shards")) / FIRST)
    compared(folder, list(range(24)))


def test_of_folders_read_together_each_has_its_own_notes(tmp_path: Path) -> None:
    folders = noted_shards(tmp_path / "one"), noted_shards(tmp_path / "two", first=100)
    zero(folders[0] / FIRST)
    store = open_shards(folders)
    with pytest.raises(InputError, match=f"one/{FIRST}"):
        TarHashes(store, range(48)).start()


def test_a_run_on_such_a_tar_ends_before_its_first_step(tmp_path: Path) -> None:
    zero((folder := noted_shards(tmp_path / "shards")) / FIRST)
    config = load_config(write_small(tmp_path / "small.yaml", folder))
    with pytest.raises(InputError, match=f"{FIRST} is damaged"):
        start(config, tmp_path / "runs", "cpu")
    assert not list((tmp_path / "runs").rglob("DONE"))
    assert not list((tmp_path / "runs").rglob("last.pt"))


def test_a_run_that_was_stopped_after_its_last_step_compares_before_it_is_done(tmp_path: Path) -> None:
    folder = noted_shards(tmp_path / "shards")
    config = load_config(write_small(tmp_path / "small.yaml", folder))
    run, _ = start(config, tmp_path / "runs", "cpu")
    (run / "DONE").unlink()
    zero(folder / FIRST)
    with pytest.raises(InputError, match=f"{FIRST} is damaged"):
        start(config, tmp_path / "runs", "cpu")
    assert not (run / "DONE").exists()


def stream_of(store: ShardStore) -> TrainingStream:
    return TrainingStream(store, Data(image_size=32, shuffle=1), np.ones(24, bool), Streams(6, 1, 1), 0, range(1), None)


def read_all(stream: TrainingStream, epoch: int) -> None:
    stream.start(epoch)
    assert len(list(stream)) == 4


@pytest.mark.parametrize("tar", [FIRST, SECOND])
def test_a_shard_that_disappears_between_two_epochs_is_a_sentence(tmp_path: Path, tar: str) -> None:
    """It was read, and is open somewhere still."""
    stream = stream_of(ShardStore.open(folder := equal_shards(tmp_path / "shards")))
    read_all(stream, 0)
    (folder / tar).unlink()
    with pytest.raises(InputError, match=rf"{tar} cannot be read \(No such file.*Fetch that tar again"):
        read_all(stream, 1)


def test_a_shard_that_is_cut_off_while_it_is_read_is_a_sentence(tmp_path: Path) -> None:
    stream = stream_of(ShardStore.open(folder := equal_shards(tmp_path / "shards")))
    steps = iter(stream)
    next(steps)
    for tar in (FIRST, SECOND):
        with (folder / tar).open("r+b") as file:
            file.truncate(file.seek(0, 2) // 2)
    with pytest.raises(InputError, match=r"shard-00000[01]\.tar .*Fetch that tar again"):
        list(steps)


def test_a_short_batch_is_never_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever made the stream end early."""
    stream = stream_of(ShardStore.open(equal_shards(tmp_path / "shards")))
    samples = TrainingStream._samples
    monkeypatch.setattr(TrainingStream, "_samples", lambda self, rows: list(samples(self, rows))[:-1])
    with pytest.raises(InputError, match="gave 5 of the 6 clips of part 0 of step 3 in epoch 0"):
        list(stream)


def test_a_member_of_another_shape_is_damage(tmp_path: Path) -> None:
    """Of as many bytes as before: the header of the array is another."""
    tar = equal_shards(tmp_path / "shards") / FIRST
    content = tar.read_bytes()
    tar.write_bytes(content.replace(b"(257, 300)", b"(300, 257)", 1))
    with pytest.raises(InputError, match=r"clip\d+\.spec\.npy .*its shape is \(300, 257\), where \(257, 300\)"):
        list(stream_of(ShardStore.open(tar.parent)))


@pytest.mark.parametrize("error", [MachineFailed("The storage is gone. Repeat the command."), ValueError("no header")])
def test_an_error_while_a_tar_is_read_is_told_in_its_own_words(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WebDataset puts the stream behind them, as python writes an object."""

    def fails(_self: TarRange, _size: int) -> bytes:
        raise error

    stream = stream_of(ShardStore.open(equal_shards(tmp_path / "shards")))
    monkeypatch.setattr(TarRange, "read", fails)
    with pytest.raises((MachineFailed, InputError)) as told:
        read_all(stream, 0)
    words = str(error)
    assert "object at" not in str(told.value)
    assert str(told.value) == words if isinstance(error, MachineFailed) else f"({words})" in str(told.value)
