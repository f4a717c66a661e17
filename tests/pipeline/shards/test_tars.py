"""Tars that are not those their manifest describes: told in a sentence, and never the wrong image or sound."""

import errno
import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from damaged_tars import DAMAGE, equal_clips, equal_shards, swap
from fake_ingest import corpus, fingerprints, request_for
from shard_maker import MadeClip, write_shards, write_waveforms

from manifests.errors import InputError, WorkFailed
from pipeline.ingest import run_ingest
from pipeline.shards import tars
from pipeline.shards.store import ShardStore

TOLD = re.compile(
    r"shard-00000[01]\.tar (is not the tar that manifest\.parquet describes: expected .+, found .+|is damaged.+|cannot "
    r"be read.+)Fetch that tar again .* or delete it and repeat its `pipeline ingest` command"
)
RIGHT = {
    "frame": lambda found, row: abs(float(np.mean(found)) - 3 * row) < 1,
    "spectrogram": lambda found, row: (found == -row).all(),
    "facts": lambda found, row: found["key"] == f"clip{row:03d}",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("member", RIGHT)
def test_what_is_read_is_right_or_told(tmp_path: Path, damage: str, member: str) -> None:
    DAMAGE[damage](folder := equal_shards(tmp_path / "shards"))
    store, told = ShardStore.open(folder), 0
    for row in range(len(store)):
        found = answer(getattr(store, member), row)
        told += isinstance(found, InputError)
        assert TOLD.search(str(found)) if isinstance(found, InputError) else RIGHT[member](found, row)
    assert told


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, WorkFailed), (errno.ESTALE, WorkFailed), (errno.ENOENT, InputError), (errno.EACCES, InputError)],
)
@pytest.mark.parametrize("function", ["open", "pread"])
def test_what_a_disk_fails_at_may_pass(tmp_path: Path, monkeypatch, function: str, number: int, kind: type) -> None:
    """A tar that is not there, or that nobody may read, is bad input; a disk or its server that fails is none."""
    store = ShardStore.open(equal_shards(tmp_path / "shards"))

    def fails(*_: object) -> object:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(*((tars, "opened") if function == "open" else (os, "pread")), fails)
        with pytest.raises(kind, match=rf"shard-000000\.tar cannot be read \({os.strerror(number)}\)"):
            store.frame(0)
    assert store.frame(0).mean().round() == 0


def answer(read: Callable[[int], object], row: int) -> object:
    try:
        return read(row)
    except InputError as error:
        return error


def test_names_longer_than_a_header_holds(tmp_path: Path) -> None:
    """Two that differ in their last letter only, of 99 to 101 and of more bytes with their suffix."""
    for length in (89, 90, 91, 200):
        keys = [f"{'ä' * (length // 2 - 1)}{'x' * (length % 2)}{end}" for end in ("ab", "cd")]
        made = [MadeClip(key, each.frame, each.spectrogram) for key, each in zip(keys, equal_clips(2), strict=True)]
        folder = write_shards(tmp_path / f"{length}", made, [1, 1])
        store = ShardStore.open(folder)
        assert [store.frame(row).mean().round() for row in (0, 1)] == [0, 3]
        assert [float(store.spectrogram(row)[0, 0]) for row in (0, 1)] == [0, -1]
        swap(folder)
        with pytest.raises(InputError, match=r"expected ä+x?ab\.json of .* found ä+"):
            ShardStore.open(folder).frame(0)


def test_companions_are_held_to_their_manifest(tmp_path: Path) -> None:
    """Of one size and with all members in the same places, but of other clips."""
    folder = equal_shards(tmp_path / "shards", (4,))
    other = equal_shards(tmp_path / "other", (4,), first=100)
    for each, first in ((folder, 0), (other, 100)):
        tone = np.sin(np.arange(8000, dtype=np.float32) / 9)
        write_waveforms(each, {f"clip{first + number:03d}": tone for number in range(4)}, 8000)
    assert ShardStore.open(folder).companions.waveform(2).rate == 8000
    shutil.copy(other / "context-000000.tar", folder)
    told = (
        r"context-000000\.tar is not the tar that context\.parquet .* expected clip002\.context\.json .* found clip102"
    )
    with pytest.raises(InputError, match=told):
        ShardStore.open(folder).companions.waveform(2)
    shutil.copy(other / "context.parquet", folder)
    with pytest.raises(InputError, match=r"has no context\.json of clip002: its manifest is that of other shards"):
        ShardStore.open(folder).companions.waveform(2)


@pytest.mark.usefixtures("decoded", "here")
def test_ingest_again_makes_again_what_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = corpus(tmp_path / "src", *(f"ok {number}" for number in range(6))), tmp_path / "out"
    run_ingest(request := request_for(source, out, shard_clips=2))
    finished = fingerprints(out)
    swap(out)
    (out / "shard-000002.tar").write_bytes((out / "shard-000002.tar").read_bytes()[:700])
    run_ingest(request)
    assert (
        "3 files are missing or not what was written, such as shard-000000.tar: made again" in capsys.readouterr().out
    )
    assert fingerprints(out) == finished
    (out / "shard-000001.tar").unlink()
    run_ingest(request)
    assert fingerprints(out) == finished
    table = pq.read_table(out / "manifest.parquet")
    pq.write_table(table.slice(0, 3), out / "manifest.parquet")
    run_ingest(request)
    assert "1 file is missing or not what was written, such as manifest.parquet" in capsys.readouterr().out
    assert fingerprints(out) == finished
    run_ingest(request)
    assert "already finished" in capsys.readouterr().out


def test_names_stored_decomposed_are_known_by_their_normal_form(tmp_path: Path) -> None:
    """As the first versions stored what macOS calls files; nothing on disk changes."""
    stored = unicodedata.normalize("NFD", "hündin bellt")
    made = MadeClip(stored, *[getattr(equal_clips(1)[0], name) for name in ("frame", "spectrogram")])
    folder = write_shards(tmp_path / "shards", [made])
    write_waveforms(folder, {stored: np.zeros(100, np.float32)}, 8000)
    store = ShardStore.open(folder)
    key = unicodedata.normalize("NFC", stored)
    assert store.keys == store.table["key"].to_pylist() == [key]
    assert store.row_of(stored) == store.row_of(key) == 0
    assert key in store
    assert stored in store
    assert store.frame(0).shape == (32, 32, 3)
    assert store.companions.waveform(0).rate == 8000
    assert pq.read_table(folder / "manifest.parquet")["key"].to_pylist() == [stored]


def test_two_names_of_one_normal_form_stay_two(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "ä") for form in ("NFC", "NFD")]
    made = [MadeClip(name, each.frame, each.spectrogram) for name, each in zip(names, equal_clips(2), strict=True)]
    store = ShardStore.open(write_shards(tmp_path / "shards", made))
    assert store.keys == names
    assert [store.row_of(name) for name in names] == [0, 1]
    assert [store.frame(row).mean().round() for row in (0, 1)] == [0, 3]
