"""`pipeline export`: the clips of shards in other programs' forms, whole, the same every time, and resumed."""

import io
import json
import shutil
import sqlite3
import tarfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from shard_maker import MadeClip, write_shards, write_waveforms
from typer.testing import CliRunner

from manifests.errors import InputError
from pipeline.cli import app
from pipeline.exchange import export, parquet
from pipeline.exchange.export import run_export
from pipeline.shards.codecs import decode_flac
from pipeline.shards.store import ShardStore

SPLITS = ("train", "train", "test", None, "validation", "train", "a b", "train")
RATE = 8000


def made_clips() -> list[MadeClip]:
    rng = np.random.default_rng(0)
    return [
        MadeClip(f"clip{number:07d}_000000", rng.integers(0, 255, (32, 40, 3), dtype=np.uint8),
                 rng.normal(-12, 1, (257, 300)).astype(np.float16), "dog" if number else None, split,
                 ("silent",) if number == 6 else ())
        for number, split in enumerate(SPLITS)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips of four splits in one tar, with their waveforms."""
    folder = write_shards(tmp_path_factory.mktemp("exchange") / "shards", made_clips(), short_side=32)
    tones = {clip.key: np.full(RATE, number / 10, np.float32) for number, clip in enumerate(made_clips())}
    write_waveforms(folder, tones, RATE)
    return folder


@pytest.fixture(scope="module")
def store(shards: Path) -> ShardStore:
    return ShardStore.open(shards)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def clips_of(files: list[str]) -> list[str]:
    return sorted(file for file in files if file != export.ABOUT)


def test_parquet_holds_every_clip_by_split(shards: Path, store: ShardStore, tmp_path: Path) -> None:
    facts = run_export("parquet", [shards], tmp_path / "out", 3)
    assert facts["clips"] == "5 train, 1 test, 1 val, 1 a_b"
    assert clips_of(list(contents(tmp_path / "out"))) == [
        "data/a_b-00000-of-00001.parquet", "data/test-00000-of-00001.parquet", "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet", "data/val-00000-of-00001.parquet",
    ]  # fmt: skip
    rows = [row for path in sorted((tmp_path / "out").rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert sorted(row["key"] for row in rows) == sorted(store.keys)
    for row in rows:
        place = store.row_of(row["key"])
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))), store.frame(place))
        assert np.array_equal(np.array(row["spectrogram"], np.float16), store.spectrogram(place))
        assert np.array_equal(decode_flac(row["audio"]["bytes"]), store.companions.waveform(place).samples)
        split = store.table["split"][place].as_py()
        assert (row["audio_start"], row["split"], row["label"]) == (4.0, split, "dog" if place else None)


def test_datasets_reads_images_and_audio(shards: Path, store: ShardStore, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    run_export("parquet", [shards], tmp_path / "out", 3)
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in found.items()} == {"train": 5, "test": 1, "val": 1, "a_b": 1}
    features = found["train"].features
    assert isinstance(features["image"], datasets.Image)
    assert isinstance(features["audio"], datasets.Audio)
    assert features["audio"].sampling_rate == RATE
    plain = found["train"].cast_column("audio", datasets.Audio(RATE, decode=False))
    assert plain[1]["image"].size == (40, 32)
    assert np.array_equal(decode_flac(plain[1]["audio"]["bytes"]), store.companions.waveform(1).samples)


def test_datasets_needs_torchcodec_for_any_row_with_a_sound(shards: Path, tmp_path: Path) -> None:
    """As docs/exchange.md says: columns without sounds are read without it, and sounds as the files they are."""
    datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")
    if datasets.config.TORCHCODEC_AVAILABLE:
        pytest.skip("torchcodec is installed")
    run_export("parquet", [shards], tmp_path / "out", 3)
    train = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    with pytest.raises(ImportError, match="torchcodec"):
        train[0]
    assert train.remove_columns("audio")[0]["image"].size == (40, 32)
    assert train.cast_column("audio", datasets.Audio(decode=False))[0]["audio"]["bytes"][:4] == b"fLaC"


def test_equal_shards_give_equal_bytes(shards: Path, tmp_path: Path) -> None:
    for form in export.FORMS:
        for name in ("one", "two"):
            run_export(form, [shards], tmp_path / form / name, 3)
        assert contents(tmp_path / form / "one") == contents(tmp_path / form / "two"), form


@pytest.mark.parametrize(
    ("splits", "complaint"),
    [(("train", "测试"), "the split '测试' would be exported as ''"),
     (("train", "-"), "the split '-' would be exported as ''"),
     (("test unseen", "test-unseen"), "'test-unseen' would be exported as 'test_unseen', as the split 'test u"),
     ((None, " train"), "' train' would be exported as 'train', as the split 'train' is")],
)  # fmt: skip
def test_splits_that_names_of_files_do_not_tell_apart_are_refused(
    tmp_path: Path, splits: tuple[str | None, ...], complaint: str
) -> None:
    clips = [replace(clip, split=split) for clip, split in zip(made_clips(), splits, strict=False)]
    shards = write_shards(tmp_path / "shards", clips, short_side=32)
    with pytest.raises(InputError, match=complaint):
        run_export("parquet", [shards], tmp_path / "out", 3)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_export_goes_on(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_export("parquet", [shards], tmp_path / "whole", 3)
    written: list[str] = []

    def counted(store, part, path, advance) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(part.name)
        parquet.write_part(store, part, path, advance)

    with monkeypatch.context() as broken:
        broken.setitem(export.FORMS, "parquet", export.Form(parquet.NAMED, counted))
        with pytest.raises(KeyboardInterrupt):
            run_export("parquet", [shards], tmp_path / "out", 3)
        assert not (tmp_path / "out").exists()
        again: list[str] = []
        broken.setitem(export.FORMS, "parquet", export.Form(parquet.NAMED, lambda store, part, path, advance: (
            again.append(part.name), parquet.write_part(store, part, path, advance))))  # fmt: skip
        run_export("parquet", [shards], tmp_path / "out", 3)
    assert len(again) == 3
    assert not set(again) & set(written)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_again_writes_nothing_and_damage_is_made_good(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "written" in run_export("parquet", [shards], out, 3)
    before, stamps = contents(out), [path.stat().st_mtime_ns for path in sorted(out.rglob("*"))]
    assert "already there" in run_export("parquet", [shards], out, 3)
    assert stamps == [path.stat().st_mtime_ns for path in sorted(out.rglob("*"))]
    (out / "data" / "test-00000-of-00001.parquet").write_bytes(b"cut")
    assert "written" in run_export("parquet", [shards], out, 3)
    assert contents(out) == before
    run_export("energon", [shards], out, 3)
    assert not list(out.rglob("*.parquet"))


def test_it_writes_over_nothing_else(shards: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    run_export("parquet", [shards], mine, 8)
    (mine / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    for out, complaint in ((mine, "not written by `pipeline export`"), (shards, "would be overwritten")):
        with pytest.raises(InputError, match=complaint):
            run_export("parquet", [shards], out, 3)
    assert contents(tmp_path) == before


def test_shards_without_waveforms_say_so(tmp_path: Path) -> None:
    bare = write_shards(tmp_path / "shards", made_clips()[:2], short_side=32)
    said = CliRunner().invoke(
        app, ["export", "--format", "parquet", "--shards", str(bare), "--out", str(tmp_path / "p")]
    )
    assert "`pipeline ingest --audio context` keeps waveforms" in said.output
    (file,) = (tmp_path / "p").rglob("*.parquet")
    assert "audio" not in pq.read_schema(file).names


def test_two_folders_are_one_corpus(shards: Path, tmp_path: Path) -> None:
    more = [MadeClip(f"more{number:07d}_000000", clip.frame, clip.spectrogram) for number, clip in
            enumerate(made_clips()[:2])]  # fmt: skip
    second = write_shards(tmp_path / "second", more, short_side=32)
    facts = run_export("parquet", [shards, second], tmp_path / "out", 100)
    assert facts["clips"].startswith("7 train")
    assert "spectrograms alone" in facts["audio"]


def test_waveforms_of_two_rates_are_refused(shards: Path, tmp_path: Path) -> None:
    more = [MadeClip(f"more{number:07d}_000000", clip.frame, clip.spectrogram) for number, clip in
            enumerate(made_clips()[:2])]  # fmt: skip
    second = write_shards(tmp_path / "second", more, short_side=32)
    write_waveforms(second, {clip.key: np.zeros(9, np.float32) for clip in more}, 11025)
    with pytest.raises(InputError, match="one --audio-rate"):
        run_export("parquet", [shards, second], tmp_path / "out", 100)


def test_an_unknown_form_and_unfinished_shards_are_said(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'csv' is not known; there are: parquet, energon"):
        run_export("csv", [shards], tmp_path / "out", 3)
    with pytest.raises(InputError, match="There is no shard folder"):
        run_export("parquet", [tmp_path / "nothing"], tmp_path / "out", 3)
    damaged = shutil.copytree(shards, tmp_path / "damaged")
    (damaged / "shard-000000.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r"shard-000000\.tar"):
        run_export("parquet", [damaged], tmp_path / "out", 3)


# --- energon ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def energon(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("energon") / "out"
    run_export("energon", [shards], out, 3)
    return out


def test_tars_lie_by_split(energon: Path) -> None:
    split = yaml.safe_load((energon / ".nv-meta" / "split.yaml").read_text())
    assert split["split_parts"]["train"] == ["train-00000-of-00002.tar", "train-00001-of-00002.tar"]
    assert split["split_parts"]["val"] == ["val-00000-of-00001.tar"]
    counts = json.loads((energon / ".nv-meta" / ".info.json").read_text())["shard_counts"]
    assert counts["train-00000-of-00002.tar"] == 3
    assert sum(counts.values()) == len(SPLITS)
    dataset = yaml.safe_load((energon / ".nv-meta" / "dataset.yaml").read_text())
    assert dataset == {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}


def test_every_place_in_the_index_is_that_of_a_sample(energon: Path, store: ShardStore) -> None:
    places = {path.name: np.fromfile(f"{path}.idx", "<u8") for path in energon.glob("*.tar")}
    for name, starts in places.items():
        content = (energon / name).read_bytes()
        for first, after in pairwise(starts):
            with tarfile.open(fileobj=io.BytesIO(content[first:after])) as sample:
                members = sample.getnames()
            assert len({member.partition(".")[0] for member in members}) == 1
            assert [member.partition(".")[2] for member in members] == [
                "context.flac", "context.json", "frame.jpg", "json", "spec.npy"
            ]  # fmt: skip
    tars = list(json.loads((energon / ".nv-meta" / ".info.json").read_text())["shard_counts"])
    rows = sqlite3.connect(energon / ".nv-meta" / "index.sqlite").execute(
        "SELECT samples.tar_file_id, sample_key, part_name, content_byte_offset, content_byte_size FROM samples JOIN "
        "sample_parts USING (tar_file_id, sample_index)"
    ).fetchall()  # fmt: skip
    assert len(rows) == 5 * len(SPLITS)
    for tar, key, part, offset, size in rows:
        if part == "frame.jpg":
            content = (energon / tars[tar]).read_bytes()[offset : offset + size]
            assert content == store.read(store.row_of(key), "frame.jpg")


def test_energon_opens_it(energon: Path, store: ShardStore) -> None:
    library = pytest.importorskip("megatron.energon", reason="megatron-energon is not installed")

    class Clip(library.Sample):
        image: object

    class Task(library.DefaultTaskEncoder):
        cookers = (library.Cooker(library.stateless(lambda raw: raw)),)

        def encode_sample(self, sample):
            return sample

        def batch(self, samples):
            return samples

        def encode_batch(self, batch):
            return batch

    workers = library.WorkerConfig.default_worker_config(0)
    dataset = library.get_train_dataset(
        energon, batch_size=1, shuffle_buffer_size=None, max_samples_per_sequence=None, worker_config=workers,
        task_encoder=Task(), repeat=False,
    )  # fmt: skip
    found = {sample["__key__"] for batch in library.get_loader(dataset) for sample in batch}
    assert found == {key for key, split in zip(store.keys, SPLITS, strict=True) if split in ("train", None)}
