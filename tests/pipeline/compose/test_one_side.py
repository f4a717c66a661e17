"""Corpora of material in which files belong together: what is of one photograph or recording is on one side."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from shutil import copy

import pyarrow.parquet as pq
import pytest
from material import write_background, write_cut_out, write_photograph, write_tone

from manifests.errors import InputError
from pipeline.compose.corpus import MaterialFolders, write_composed
from pipeline.compose.recordings import find_recordings
from pipeline.compose.settings import Settings
from pipeline.synth.folder import Counts

OBJECT = """<object><name>{label}</name><bndbox><xmin>{left}</xmin><ymin>21</ymin><xmax>{right}</xmax><ymax>60</ymax>
</bndbox></object>"""
FEW = Settings(clips=30)


def write_voc(root: Path, name: str, labels: Sequence[str], grey: int) -> None:
    """A photograph in which every label names an object of its own."""
    write_photograph(root / "JPEGImages" / f"{name}.jpg", grey=grey)
    (root / "Annotations").mkdir(exist_ok=True)
    objects = [OBJECT.format(label=label, left=10 * n + 1, right=10 * n + 40) for n, label in enumerate(labels)]
    text = f"<annotation><filename>{name}.jpg</filename>{''.join(objects)}</annotation>"
    (root / "Annotations" / f"{name}.xml").write_text(text)


def write_sounds(root: Path, *labels: str, files: int = 4) -> None:
    for number, label in enumerate(labels):
        for each in range(files):
            write_tone(root / label / f"{each}.wav", 300.0 * (number + 1) + 7 * each, 0.5)


def write_cut_outs(root: Path, *labels: str, files: int = 4) -> None:
    for number, label in enumerate(labels):
        for each in range(files):
            write_cut_out(root / label / f"{each}.png", number, each)


def composed(tmp_path: Path, backgrounds: Path | None = None, settings: Settings = FEW) -> Counts:
    material = MaterialFolders(tmp_path / "pictures", tmp_path / "sounds", backgrounds)
    return write_composed(tmp_path / "out", material, settings, workers=1)


def split(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "out" / "corpus.json").read_text())["split"]


def sides(tmp_path: Path, *folders: str) -> dict[bytes, set[str]]:
    """Of every file's content, wherever it lies."""
    found: dict[bytes, set[str]] = defaultdict(set)
    for row in pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist():
        path = next(path for name in folders if (path := tmp_path / name / row["file"]).is_file())
        found[path.read_bytes()].add(row["split"])
    return found


def all_on_one_side(tmp_path: Path, *folders: str) -> bool:
    found = sides(tmp_path, *folders)
    return set().union(*found.values()) == {"train", "test"} and all(len(each) == 1 for each in found.values())


@pytest.mark.parametrize("flock", [["sheep"] * 4, ["sheep", "dog", "sheep", "dog"]], ids=["one class", "two classes"])
def test_objects_of_one_photograph(tmp_path: Path, flock: list[str]) -> None:
    for number in range(2):
        write_voc(tmp_path / "pictures", f"flock{number}", flock, 100 + number)
    for number in range(6):
        write_voc(tmp_path / "pictures", f"cat{number}", ["cat"], 60 + number)
    write_sounds(tmp_path / "sounds", *dict.fromkeys(flock), "cat")
    counts = composed(tmp_path)
    assert all_on_one_side(tmp_path, "pictures", "sounds")
    assert split(tmp_path)["divided file by file"]["image and background"] == sorted(set(flock))
    assert (split(tmp_path)["files"]["image, train"], counts["files left out"]) == (4 + 5, 0)


def test_a_class_of_one_photograph_is_left_out_and_counted(tmp_path: Path) -> None:
    write_voc(tmp_path / "pictures", "flock", ["sheep"] * 4, 100)
    for number in range(8):
        write_voc(tmp_path / "pictures", f"{number}", [("cat", "dog")[number % 2]], 60 + number)
    write_sounds(tmp_path / "sounds", "sheep", "cat", "dog")
    counts = composed(tmp_path)
    assert (counts["left out: image, class_too_small"], counts["left out: audio, class_too_small"]) == (4, 4)
    (said,) = {row["message"] for row in pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()}
    assert "those of one photograph, of one recording or of equal content" in said


def test_files_of_equal_content(tmp_path: Path) -> None:
    """In one class, of one instrument, and as a background that shows the object of a class."""
    write_cut_outs(tmp_path / "pictures", "cat", "tuba", files=3)
    write_sounds(tmp_path / "sounds", "cat", "tuba")
    for number in range(4):
        copy(tmp_path / "sounds" / "tuba" / f"{number}.wav", tmp_path / "sounds" / "tuba" / f"again{number}.wav")
        write_background(tmp_path / "backgrounds" / f"{number}.jpg", number)
    for label in ("cat", "tuba"):
        copy(tmp_path / "pictures" / label / "0.png", tmp_path / "backgrounds" / f"{label}.png")
        copy(tmp_path / "pictures" / label / "0.png", tmp_path / "pictures" / label / "again.png")
    rows = [f"tuba/{name}{n}.wav,GM program 58" for n in range(4) for name in ("", "again")]
    (tmp_path / "sounds" / "list.csv").write_text("\n".join(["file,source_path", *rows]))
    counts = composed(tmp_path, tmp_path / "backgrounds")
    assert all_on_one_side(tmp_path, "pictures", "sounds", "backgrounds")
    assert split(tmp_path)["divided file by file"]["audio"] == ["tuba"]
    assert sum(split(tmp_path)["files"].values()) == 8 + 12 + 6
    assert counts["files left out"] == 0


def test_a_recording_under_two_labels(tmp_path: Path) -> None:
    """A copy in each folder, and one file that a list names twice: its first label is not the only one."""
    write_cut_outs(tmp_path / "pictures", "cat", "dog", "owl")
    write_sounds(tmp_path / "sounds", "cat", "dog", files=2)
    write_sounds(tmp_path / "sounds", "owl")
    for number in range(2):
        copy(tmp_path / "sounds" / "cat" / f"{number}.wav", tmp_path / "sounds" / "dog" / f"cat{number}.wav")
    write_tone(tmp_path / "sounds" / "both.wav", 900, 0.5)
    (tmp_path / "sounds" / "list.csv").write_text("file,label\nboth.wav,cat\nboth.wav,dog\n")
    recordings, _ = find_recordings(tmp_path / "sounds")
    assert ("cat", "dog") in [each.labels for each in recordings]
    counts = composed(tmp_path)
    assert all_on_one_side(tmp_path, "pictures", "sounds")
    assert (counts["left out: audio, several_classes"], counts["files left out"]) == (1, 1)


def test_segments_of_one_recording(tmp_path: Path) -> None:
    """Two videos of four segments each, also under a class of their own; a class of one video is left out."""
    write_cut_outs(tmp_path / "pictures", "cat", "dog", "owl")
    write_sounds(tmp_path / "sounds", "owl")
    for number, (label, video) in enumerate((label, v) for label in ("cat", "dog") for v in "AB" for _ in range(4)):
        write_tone(tmp_path / "sounds" / label / f"{video * 11}_{number * 10:06d}.wav", 500.0 + number, 0.5)
    write_sounds(tmp_path / "sounds", "rain")
    write_cut_outs(tmp_path / "pictures", "cow")
    for number in range(3):
        write_tone(tmp_path / "sounds" / "cow" / f"CCCCCCCCCCC_{number * 10:06d}.wav", 700.0 + number, 0.5)
    counts = composed(tmp_path)
    by_video: dict[str, set[str]] = defaultdict(set)
    for row in pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist():
        by_video[row["source"]].add(row["split"])
    assert by_video["AAAAAAAAAAA"] | by_video["BBBBBBBBBBB"] == {"train", "test"}
    assert all(len(found) == 1 for found in by_video.values())
    assert (counts["left out: audio, class_too_small"], counts["left out: image, class_too_small"]) == (3, 4)


def test_backgrounds_of_one_content_are_refused(tmp_path: Path) -> None:
    write_cut_outs(tmp_path / "pictures", "cat", "dog")
    write_sounds(tmp_path / "sounds", "cat", "dog")
    for name in "ab":
        write_background(tmp_path / "backgrounds" / f"{name}.jpg", 0)
    with pytest.raises(InputError, match="leaves 2 usable images, and 2 of different photographs are needed"):
        composed(tmp_path, tmp_path / "backgrounds")
