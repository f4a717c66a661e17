"""Collages of four clips, two of them heard: of drawn and of composed corpora."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from material import write_material
from PIL import Image

from manifests.errors import InputError
from manifests.truth import read_truth
from pipeline.compose.collage import write_collages
from pipeline.compose.corpus import MaterialFolders, write_composed
from pipeline.compose.settings import Settings
from pipeline.compose.solos import find_solos, read_clip

CLASSES = ("flute", "guitar", "trumpet", "violin", "cat")
COLLAGES = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_material(tmp_path_factory.mktemp("instruments"), CLASSES, files=3)
    out = tmp_path_factory.mktemp("composed") / "corpus"
    plain = Settings(clips=80, several=0, distractors=0, interactive=0, off_screen=0, silent=0)
    write_composed(out, MaterialFolders(root, root), plain, workers=2)
    return out


@pytest.fixture(scope="module")
def collages(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("collages") / "made"
    write_collages(source, out, COLLAGES, 2, workers=2)
    return out


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_four_different_classes_two_of_them_heard_all_of_one_side(source: Path, collages: Path) -> None:
    splits = {row["key"]: row["split"] for row in pq.read_table(source / "truth.parquet").to_pylist()}
    rows = pq.read_table(collages / "collages.parquet").to_pylist()
    assert len(rows) == 4 * COLLAGES
    for start in range(0, len(rows), 4):
        four = rows[start : start + 4]
        assert [row["quarter"] for row in four] == [0, 1, 2, 3]
        assert len({row["label"] for row in four}) == 4
        assert "cat" not in {row["label"] for row in four}
        assert sorted(row["gain"] > 0 for row in four) == [False, False, True, True]
        assert max(row["gain"] for row in four) == 1
        assert {splits[row["clip"]] for row in four} == {four[0]["split"]}


def test_frames_are_in_their_quarters_and_boxes_with_them(source: Path, collages: Path) -> None:
    solos = {row["key"]: row for row in pq.read_table(source / "truth.parquet").to_pylist()}
    truth = pq.read_table(collages / "truth.parquet").to_pylist()
    placed = pq.read_table(collages / "collages.parquet").to_pylist()
    for row, part in zip(truth, placed, strict=True):
        solo = solos[part["clip"]]
        left, top = part["quarter"] % 2 / 2, part["quarter"] // 2 / 2
        expected = [left + solo["x1"] / 2, top + solo["y1"] / 2, left + solo["x2"] / 2, top + solo["y2"] / 2]
        assert [row["x1"], row["y1"], row["x2"], row["y2"]] == pytest.approx(expected, abs=1e-5)
        assert (row["sounding"], row["object_label"]) == (part["gain"] > 0, solo["object_label"])
        if row["key"] in (placed[0]["key"], placed[-1]["key"]):  # one of the training side, one of the test side
            image = np.asarray(Image.open(collages / "frames" / f"{row['key']}.jpg"), float)
            quarter = image[int(top * 224) :, int(left * 224) :][:112, :112]
            frame = Image.fromarray(read_clip(source, solo)[0]).resize((112, 112))
            assert np.abs(quarter - np.asarray(frame, float)).mean() < 6


def test_music_reads_every_test_collage(collages: Path) -> None:
    found = read_truth(collages / "music" / "box", "music")
    assert found.music is not None
    assert len(found.music.frames) == COLLAGES // 5
    assert all(len(frame.boxes) == 2 for frame in found.music.frames)
    assert len(read_truth(collages / "vggss.json", "vggss").test_set.keys) == COLLAGES // 5


def test_the_same_bytes_again(source: Path, collages: Path, tmp_path: Path) -> None:
    write_collages(source, tmp_path / "again", COLLAGES, 2, workers=1)
    assert digests(tmp_path / "again") == digests(collages)
    assert write_collages(source, collages, COLLAGES, 2, workers=2)["clips"] == COLLAGES
    with pytest.raises(InputError, match="other options"):
        write_collages(source, collages, COLLAGES, 3, workers=2)


def test_collages_of_another_corpus_are_not_taken_for_these(source: Path, collages: Path, tmp_path: Path) -> None:
    other = shutil.copytree(source, tmp_path / "other")  # its clips have the same names
    described = json.loads((other / "corpus.json").read_text())
    described["options"]["material"] = "other"
    (other / "corpus.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="other options"):
        write_collages(other, collages, COLLAGES, 2, workers=2)


def test_a_sound_that_was_cut_off_is_refused(source: Path, tmp_path: Path) -> None:
    solo = next(row for row in pq.read_table(source / "truth.parquet").to_pylist())
    for kind in ("frames", "audio"):
        (tmp_path / kind).mkdir()
    shutil.copy(source / "frames" / f"{solo['key']}.jpg", tmp_path / "frames")
    whole = (source / "audio" / f"{solo['key']}.wav").read_bytes()
    (tmp_path / "audio" / f"{solo['key']}.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"the data end at .*Make the corpus of solos again"):
        read_clip(tmp_path, solo)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"split": "val"}, "split of the clip .* is 'val', which is neither train nor test"),
        ({"split": None}, "split of the clip .* is None"),
        ({"object_label": None}, "has no label"),
        ({"sounding": None}, "seen and heard"),
        ({"moment": float("inf")}, "moment of the clip .* is inf"),
        ({"x1": float("nan")}, "box of .* of the clip .* is .nan"),
        ({"x2": 7.0}, "no part of a frame"),
        ({"y1": None}, "no part of a frame"),
        ({"y1": 0.9, "y2": 0.1}, "no part of a frame"),
        ({"key": "../../outside"}, "names a clip '../../outside'"),
        ({"key": None}, "names a clip None"),
    ],
)
def test_a_table_that_says_what_none_does_is_refused(source: Path, tmp_path: Path, changed: dict, said: str) -> None:
    table = pq.read_table(source / "truth.parquet")
    first, *others = table.to_pylist()
    pq.write_table(pa.Table.from_pylist([*others, first | changed], table.schema), tmp_path / "truth.parquet")
    with pytest.raises(InputError, match=rf"truth\.parquet is damaged: .*{said}.* Make the corpus of solos again"):
        find_solos(tmp_path)


def test_what_makes_no_collages_is_refused(collages: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no truth\.parquet"):
        write_collages(tmp_path, tmp_path / "out", 4, 0, workers=2)
    (beside := tmp_path / "shards").mkdir()
    pq.write_table(pa.table({"key": ["a"], "shard": ["truth-000000.tar"]}), beside / "truth.parquet")
    with pytest.raises(InputError, match=r"truth\.parquet names no object that sounds"):
        write_collages(beside, tmp_path / "out", 4, 0, workers=2)
    with pytest.raises(InputError, match="needs 4"):
        write_collages(corpus, tmp_path / "out", 4, 0, workers=2)
    with pytest.raises(InputError, match="at least one clip"):
        write_collages(corpus, tmp_path / "out", 0, 0, workers=2)
    assert json.loads((collages / "corpus.json").read_text())["counts"]["with several sources"] == COLLAGES


def test_only_listed_clips_are_shown(source: Path, tmp_path: Path) -> None:
    rows = pq.read_table(source / "truth.parquet").to_pylist()
    (tmp_path / "a.txt").write_text("".join(f"{row['key']}\n" for row in rows if row["object_label"] != "violin"))
    found = find_solos(source, [tmp_path / "a.txt"])  # without violins only three of the classes are instruments
    assert {split: sorted(classes) for split, classes in found.items()} == {
        split: ["cat", "flute", "guitar", "trumpet"] for split in ("train", "test")
    }
    (tmp_path / "b.txt").write_text("AAAAAAAAAAA_000000\n")
    with pytest.raises(InputError, match=r"b\.txt names 1 clip that .* has not"):
        find_solos(source, [tmp_path / "a.txt", tmp_path / "b.txt"])
