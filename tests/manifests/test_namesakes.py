"""A clip that shares its name is found by folders in every file that names it; what could be several is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.namesakes import clips_named
from manifests.readers.annotation_table import read_table, write_table
from manifests.readers.extended import read_extended
from manifests.readers.vggss import read_vggss
from manifests.splits import coverage, read_ids, restrict
from manifests.test_sets import Truth
from training.data.evaluation_pairs import found_pairings, read_pairs
from training.evaluation.raw_maps import match_names
from training.reference_sounds import read_references

SHARDS = ("cat__001", "dog__001", "a__b__003", "a__c__003", "004", "AbCdEfGh_-1_000030")
NAMED = {
    "dog/001.mp4": "dog__001",
    "/data/videos/cat/001.wav": "cat__001",
    "..\\videos\\dog\\001.jpg": "dog__001",
    "b/003": "a__b__003",
    "somewhere/004.mp4": "004",
    "train/AbCdEfGh_-1_30_40.mp4": "AbCdEfGh_-1_000030",
    "dog__001": "dog__001",
    "nowhere/005.mp4": None,
    "cow/001.mp4": None,
}
POSITIVES = ("dog/001.mp4", "cat/001.mp4", "b/003.mp4", "004")
DOUBTFUL = ["001.mp4", "003"]


def vggss(folder: Path, *names: str) -> TestSet:
    entries = [{"file": name, "class": name, "bbox": [[0, 0, 1, 1]]} for name in names]
    (folder / "boxes.json").write_text(json.dumps(entries))
    return read_vggss(folder / "boxes.json")


def table(folder: Path, *names: str) -> TestSet:
    write_table(TestSet("t", tuple(Annotation(name, name, ()) for name in names), "", ""), folder / "t.parquet")
    return read_table(folder / "t.parquet")


def of_truth(read: Callable[..., TestSet], folder: Path, *names: str) -> list[str]:
    return list(Truth("any", read(folder, *names)).known_as(SHARDS).test_set.keys)


def of_list(folder: Path, *names: str) -> list[str]:
    (folder / "l.txt").write_text("\n".join(names))
    return list(read_ids(folder / "l.txt").known_as(SHARDS).ids)


def of_negatives(folder: Path, *names: str) -> list[str]:
    (folder / "n.csv").write_text("video,audio,label\n" + "".join(f"{name},{name},non-sounding\n" for name in names))
    extended = read_extended(folder / "n.csv", vggss(folder, *POSITIVES))
    known = Truth("any", vggss(folder, *POSITIVES), extended=extended).known_as(SHARDS)
    assert known.extended is not None
    assert {pair.kind for pair in known.extended.negatives} == {"real"}
    return [pair.video for pair in known.extended.negatives]


def of_pairs(folder: Path, *names: str) -> list[str]:
    (folder / "p.csv").write_text("name,video,audio\n" + "".join(f"{name},{name},004\n" for name in names))
    found = read_pairs(folder / "p.csv", SHARDS)
    assert {audio for _, audio in found.values()} == {"004"}
    return [video for video, _ in found.values()]


def of_references(folder: Path, *names: str) -> list[str]:
    (folder / "r.csv").write_text("category,clip\n" + "".join(f"x,{name}\n" for name in names))
    return list(read_references(folder / "r.csv", SHARDS).clips)


FILES = {
    "list": of_list, "vggss": lambda *given: of_truth(vggss, *given), "table": lambda *given: of_truth(table, *given),
    "negatives": of_negatives, "pairs": of_pairs, "references": of_references,
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("name", "key"), NAMED.items())
def test_alone(tmp_path: Path, file: str, name: str, key: str | None) -> None:
    (found,) = FILES[file](tmp_path, name)
    assert found == key if key else found not in SHARDS


@pytest.mark.parametrize("file", FILES)
def test_together(tmp_path: Path, file: str) -> None:
    names = ["dog/001.mp4", "cat/001.mp4", "a/c/003.mp4", "b/003.mp4", "cow/001.mp4"]
    found = FILES[file](tmp_path, *names)
    assert found[:4] == ["dog__001", "cat__001", "a__c__003", "a__b__003"]
    assert found[4] not in SHARDS


@pytest.mark.parametrize("file", sorted(FILES.keys() - {"negatives"}))
@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_several_clips_are_called_is_refused(tmp_path: Path, file: str, name: str) -> None:
    with pytest.raises(InputError, match=r"names a clip of which it is not certain .* or .*for example .*/00"):
        FILES[file](tmp_path, name)
    with pytest.raises(InputError, match="names 2 clips of which it is not certain"):
        FILES[file](tmp_path, *DOUBTFUL)


def test_two_folders_that_are_one_clip_in_the_shards_are_not_guessed() -> None:
    assert clips_named(["a/004.mp4", "b/004.mp4"], "x").among(SHARDS) == {}
    assert clips_named(["a/clip.mp4", "b/clip.mp4"], "x").among(["clip", "b__clip"]) == {"a__clip": "clip"}


def test_a_list_narrows_annotations_that_name_clips_in_folders(tmp_path: Path) -> None:
    (tmp_path / "heard.txt").write_text("cat/001.mp4\nvideos/dog/001.mp4\n")
    heard = read_ids(tmp_path / "heard.txt")
    part = restrict(vggss(tmp_path, *POSITIVES), heard)
    assert Truth("any", part).known_as(SHARDS).test_set.keys == ("cat__001", "dog__001")
    assert coverage(heard, SHARDS).found == ("cat__001", "dog__001")
    only = vggss(tmp_path, "dog/001.mp4")
    with pytest.raises(InputError, match="1 of the 2 clips"):
        restrict(only, heard)


def test_samples_are_found_by_pairs_that_name_them_in_folders(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("name,video,audio\ncat/001.mp4,dog/001.mp4,004.mp4\n")
    store = SimpleNamespace(keys=list(SHARDS), folder=tmp_path)
    truth = Truth("any", vggss(tmp_path, "dog/001.mp4", "cat/001.mp4"))
    pairs = read_pairs(tmp_path / "p.csv", SHARDS)
    found = {pair.name: (pair.image_row, pair.audio_row) for pair in found_pairings(store, truth, pairs)}
    assert found == {"cat__001": (1, 4), "dog__001": (1, 1)}


@pytest.mark.parametrize("other", ["v/004", "004.mp4", "004"])
def test_one_sample_of_two_pairs_is_refused(tmp_path: Path, other: str) -> None:
    truth = Truth("any", vggss(tmp_path, "004"))
    store: Any = SimpleNamespace(keys=list(SHARDS), folder=tmp_path)
    first = {"004.wav": ("dog__001", "cat__001")}
    (found,) = found_pairings(store, truth, first | {other: ("dog__001", "cat__001")})
    assert (found.image_row, found.audio_row) == (1, 0)
    with pytest.raises(InputError, match=f"twice, as 004.wav with dog__001 and cat__001 and as {other} with"):
        found_pairings(store, truth, first | {other: ("dog__001", "dog__001")})


@pytest.mark.parametrize("maps", [["dog/001.mp4", "cat/001"], ["dog__001", "cat__001"], ["v/dog/001.jpg", "cat/001.x"]])
def test_maps_of_another_program_may_name_clips_in_folders(tmp_path: Path, maps: list[str]) -> None:
    own = vggss(tmp_path, "cat/001.mp4", "dog/001.mp4")
    expected = {"dog__001": 0, "cat__001": 1}
    if not maps[1].endswith(".x"):
        assert match_names(maps, own) == expected
        assert match_names(np.array(maps), Truth("any", own).known_as(SHARDS).test_set) == expected
    with pytest.raises(InputError, match="not certain"):
        match_names(["001"], own)


def test_maps_of_pairs_may_name_clips_in_folders(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("video,audio,label\ndog/001.mp4,cat/001.mp4,non-sounding\n")
    own = vggss(tmp_path, "cat/001.mp4", "dog/001.mp4")
    extended = read_extended(tmp_path / "n.csv", own)
    names = ["cat/001.wav", "videos/dog/001.mp4+cat/001.mp4", "dog/001"]
    assert match_names(names, own, extended) == {"cat__001": 0, "dog__001+cat__001": 1, "dog__001": 2}


def test_one_clip_twice_is_refused_whatever_its_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="annotates dog/001 twice"):
        vggss(tmp_path, "dog/001.mp4", "cat/001.mp4", "dog/001.mkv")
