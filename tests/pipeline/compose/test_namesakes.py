"""Files of one name in several folders of material: none gets the truth of another."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from material import write_photograph, write_tone
from PIL import Image

from manifests.errors import InputError
from pipeline.compose.files import Rejection
from pipeline.compose.finding import find_objects
from pipeline.compose.object_images import ObjectImage
from pipeline.compose.recordings import find_recordings
from pipeline.compose.voc import find_voc

BOX = (30.0, 20.0, 90.0, 60.0)
OTHER = (1.0, 2.0, 30.0, 40.0)
Told = list[tuple[str, str]]


def objects(root: Path) -> tuple[list[ObjectImage], list[Rejection]]:
    return find_objects(root, None)


def labels(root: Path, found: list[ObjectImage]) -> Told:
    return sorted((item.path.relative_to(root).as_posix(), item.label) for item in found)


def reasons(root: Path, bad: list[Rejection]) -> Told:
    return sorted((each.path.removeprefix(f"{root}/"), each.reason) for each in bad)


def coco(path: Path, label: str, *names: str) -> None:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    boxes = [{"image_id": number, "category_id": 1, "bbox": [30, 20, 60, 40]} for number in range(len(names))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": label}]}), "utf-8"
    )


def photographs(root: Path, *names: str) -> None:
    for name in names:
        write_photograph(root / name)


def tones(root: Path, *names: str) -> None:
    for name in names:
        write_tone(root / name, 400, 0.5)


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]), "utf-8")


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((90, 120), 255, np.uint8)).save(path)


@pytest.mark.parametrize(
    "jsons",
    [
        ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
        ("annotations/instances_train.json", "annotations/instances_valid.json"),
    ],
)
@pytest.mark.parametrize("below", ["", "images/"])
def test_a_json_is_of_the_images_in_its_folder_or_in_the_one_it_is_named_for(
    tmp_path: Path, jsons: tuple[str, str], below: str
) -> None:
    photographs(tmp_path, f"train/{below}0.jpg", f"valid/{below}0.jpg", f"valid/{below}1.jpg")
    coco(tmp_path / jsons[0], "cat", "0.jpg", "1.jpg")
    coco(tmp_path / jsons[1], "dog", "0.jpg")
    found, bad = objects(tmp_path)
    assert labels(tmp_path, found) == [(f"train/{below}0.jpg", "cat"), (f"valid/{below}0.jpg", "dog")]
    assert reasons(tmp_path, bad) == [("1.jpg", "not_found"), (f"valid/{below}1.jpg", "no_class")]


def test_a_json_apart_from_its_images_means_the_only_one_that_fits(tmp_path: Path) -> None:
    photographs(tmp_path, "train/0.jpg", "train/1.jpg", "val/1.jpg", "val/2.jpg", "masks/2.png", "backgrounds/2.jpg")
    coco(tmp_path / "all.json", "cat", "0.jpg", "1.jpg", "2.jpg", "train/2.jpg", "val\\1.jpg", "/train/0.jpg")
    found, bad = objects(tmp_path)
    assert labels(tmp_path, found) == [("train/0.jpg", "cat"), ("val/1.jpg", "cat"), ("val/2.jpg", "cat")]
    assert reasons(tmp_path, bad) == [
        ("/train/0.jpg", "not_found"), ("train/1.jpg", "several_fit"), ("train/2.jpg", "not_found"),
    ]  # fmt: skip
    assert "names 1.jpg, and 2 files fit" in next(each.message for each in bad if each.reason == "several_fit")


def test_an_annotation_that_fits_several_is_told_also_where_others_say_what_they_are(tmp_path: Path) -> None:
    photographs(tmp_path, "train/0.jpg", "val/0.jpg")
    coco(tmp_path / "train/a.json", "cat", "0.jpg")
    coco(tmp_path / "val/a.json", "dog", "0.jpg")
    coco(tmp_path / "all.json", "cow", "0.jpg")
    found, bad = objects(tmp_path)
    assert [label for _, label in labels(tmp_path, found)] == ["cat", "dog"]
    assert reasons(tmp_path, bad) == [("0.jpg", "several_fit")]


def test_voc_in_several_folders(tmp_path: Path) -> None:
    said = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
    for year, label in (("VOC2007", "cat"), ("VOC2012", "dog")):
        photographs(tmp_path, f"{year}/JPEGImages/000001.jpg")
        write(tmp_path / year / "Annotations/000001.xml", f"<annotation>{said.format(label)}</annotation>")
    mask(tmp_path / "VOC2012/SegmentationObject/000001.png")
    found = find_voc(tmp_path)
    assert found is not None
    assert {item.source: (item.label, item.outline.mask) for item in found[0]} == {
        "VOC2007/JPEGImages/000001.jpg": ("cat", None),
        "VOC2012/JPEGImages/000001.jpg": ("dog", tmp_path / "VOC2012/SegmentationObject/000001.png"),
    }


@pytest.mark.parametrize("inside", ["", "images/"])
@pytest.mark.parametrize("lists", [("dog/boxes.csv", "cat/boxes.csv"), ("meta/dog.csv", "meta/boxes_cat.csv")])
def test_a_list_is_of_the_files_in_its_folder_or_in_the_one_it_is_named_for(
    tmp_path: Path, inside: str, lists: tuple[str, str]
) -> None:
    photographs(tmp_path, f"dog/{inside}0.jpg", f"cat/{inside}0.jpg", f"cat/{inside}1.jpg")
    write(tmp_path / lists[0], "file,x1,y1,x2,y2", "0.jpg,30,20,90,60", "1.jpg,30,20,90,60")
    write(tmp_path / lists[1], "file,x1,y1,x2,y2", "0.jpg,1,2,30,40")
    found, bad = objects(tmp_path)
    assert {item.source: item.outline.box for item in found} == {
        f"dog/{inside}0.jpg": BOX, f"cat/{inside}0.jpg": OTHER, f"cat/{inside}1.jpg": None,
    }  # fmt: skip
    assert reasons(tmp_path, bad) == [("1.jpg", "not_found")]


def test_labels_of_two_folders(tmp_path: Path) -> None:
    tones(tmp_path, "train/0.wav", "test/0.wav")
    write(tmp_path / "train/meta.csv", "fname,label", "0,dog")
    write(tmp_path / "test/meta.csv", "filename,label", "0.wav,cat")
    found, bad = find_recordings(tmp_path)
    assert {each.source: each.labels for each in found} == {"train/0.wav": ("dog",), "test/0.wav": ("cat",)}
    assert not bad


def test_a_row_that_fits_several_files_leaves_out_those_of_which_no_other_says_more(tmp_path: Path) -> None:
    tones(tmp_path, "dog/0.wav", "cat/0.wav", "cat/1.wav", "cat/1.ogg", "0.ogg")
    write(tmp_path / "list.csv", "file,label", "0.wav,dog", "1,cat", "0.ogg,cow")
    write(tmp_path / "dog/list.csv", "file,label", "0.wav,wolf")
    found, bad = find_recordings(tmp_path)
    assert {each.source: each.labels for each in found} == {"dog/0.wav": ("wolf",), "0.ogg": ("cow",)}
    assert reasons(tmp_path, bad) == [(name, "several_fit") for name in ("cat/0.wav", "cat/1.ogg", "cat/1.wav")]
    write(tmp_path / "cat/list.csv", "file,label", "0.wav,lynx", "1.ogg,cat", "1.wav,cat")
    assert reasons(tmp_path, find_recordings(tmp_path)[1]) == [("0.wav", "several_fit"), ("1", "several_fit")]


def test_lists_of_other_things_in_other_folders_say_nothing(tmp_path: Path) -> None:
    photographs(tmp_path, "cat/0.png", "dog/1.jpg", "backgrounds/1.jpg")
    tones(tmp_path, "dog/0.wav")
    write(tmp_path / "dog/sounds.csv", "fname,label", "0,wolf")
    write(tmp_path / "backgrounds/list.csv", "file,source_id", "1.jpg,a place")
    found, bad = objects(tmp_path)
    assert sorted((item.label, item.source) for item in found) == [("cat", "cat/0.png"), ("dog", "dog/1.jpg")]
    assert not bad


def test_a_manifest_above_is_of_what_lies_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tones(tmp_path, "dog/0.wav", "sounds/dog/0.wav", "sounds/dog/1.wav")
    write(tmp_path / "manifest.csv", "file,label", "dog/0.wav,wolf", "sounds/dog/1.wav,hound")
    for root in (Path("sounds"), Path("."), Path("../sounds")):
        monkeypatch.chdir(tmp_path if root.name == "sounds" and root.parts[0] != ".." else tmp_path / "sounds")
        found, bad = find_recordings(root)
        assert {each.source: each.labels for each in found} == {"dog/0.wav": ("dog",), "dog/1.wav": ("hound",)}
        assert not bad


def test_segments_of_the_folder_count_first_and_a_whole_video_is_of_one_only(tmp_path: Path) -> None:
    clip, video, other = "AbCdEfGh_-1_000030.wav", "-ZyXwVuTs09.wav", "00000000000.wav"
    tones(tmp_path, f"a/{clip}", f"b/{clip}", f"c/{clip}", video, other)
    ids = "AbCdEfGh_-1, 30, 40"
    write(tmp_path / "a/segments.csv", f"{ids}, dog", "-ZyXwVuTs09, 0, 10, dog", "-ZyXwVuTs09, 50, 60, cat")
    write(tmp_path / "b/segments.csv", f"{ids}, cat", "00000000000, 0, 10, cow", "00000000000, 50, 60, cow")
    found, bad = find_recordings(tmp_path)
    assert {each.path.relative_to(tmp_path).as_posix(): each.labels for each in found} == {
        f"a/{clip}": ("dog",), f"b/{clip}": ("cat",), f"c/{clip}": ("dog", "cat"), other: ("cow",),
    }  # fmt: skip
    assert reasons(tmp_path, bad) == [(video, "several_fit")]
    assert bad[0].message == "lists name segments of its video that are of dog or cat, and it may be of each"


def test_class_ids_are_explained_by_the_file_beside_the_list(tmp_path: Path) -> None:
    for folder, name in (("a", "dog"), ("b", "cat")):
        tones(tmp_path, f"{folder}/{folder * 11}.wav")
        write(tmp_path / folder / "class_labels_indices.csv", "index,mid,display_name", f"0,/m/1,{name}")
        write(tmp_path / folder / "segments.csv", f"{folder * 11}, 0, 10, /m/1")
    assert [each.labels for each in find_recordings(tmp_path)[0]] == [("dog",), ("cat",)]
    write(tmp_path / "segments.csv", "AbCdEfGh_-1, 0, 10, /m/1")
    with pytest.raises(InputError, match="Put the right one beside the list"):
        find_recordings(tmp_path)


def test_an_image_that_lists_give_two_classes_is_left_out(tmp_path: Path) -> None:
    photographs(tmp_path, "cat/0.jpg", "cat/1.jpg")
    rows = ("0.jpg,cat,,,,", "0.jpg,dog,,,,", "1.jpg,cat,30,20,90,60", "1.jpg,dog,1,2,30,40")
    write(tmp_path / "list.csv", "file,label,x1,y1,x2,y2", *rows)
    found, bad = objects(tmp_path)
    assert labels(tmp_path, found) == [("cat/1.jpg", "cat"), ("cat/1.jpg", "dog")]
    assert reasons(tmp_path, bad) == [("cat/0.jpg", "several_classes")]


@pytest.mark.parametrize(
    "place",
    ["train/cat/1_mask.png", "masks/train/cat/1.png", "train/masks/cat/1.png", "train/cat/masks/1.png"],
)
def test_a_mask_is_of_the_photograph_beside_it_or_in_the_folder_that_its_own_mirrors(
    tmp_path: Path, place: str
) -> None:
    photographs(tmp_path, "train/cat/1.jpg", "test/cat/1.jpg")
    sides = [place, place.replace("train", "test")]
    mask(tmp_path / sides[0])
    found, bad = objects(tmp_path)
    assert {item.source: item.outline.mask for item in found} == {
        "train/cat/1.jpg": tmp_path / sides[0], "test/cat/1.jpg": None,
    }  # fmt: skip
    mask(tmp_path / sides[1])
    found, more = objects(tmp_path)
    assert {item.source: item.outline.mask for item in found} == {
        "train/cat/1.jpg": tmp_path / sides[0], "test/cat/1.jpg": tmp_path / sides[1],
    }  # fmt: skip
    assert not [*bad, *more]


@pytest.mark.parametrize(
    ("images", "masks", "expected"),
    [
        (("train/cat/1.jpg", "test/cat/1.jpg"), ("masks/cat/1.png",), None),
        (("cat/1.jpg", "cat/1.png"), ("cat/1_mask.png",), None),
        (("cat/1.jpg",), ("cat/1_mask.png", "cat/1-mask.png"), None),
        (("cat/1.jpg",), ("masks/cat/1.png", "segmentation/cat/1.png"), None),
        (("set/cat/1.jpg",), ("masks/cat/1.png",), {"set/cat/1.jpg": "masks/cat/1.png"}),
        (("cat/1.jpg",), ("masks/cat/1.png", "cat/1_mask.png"), {"cat/1.jpg": "cat/1_mask.png"}),
        (("train/cat/1.jpg",), ("masks/test/cat/1.png",), {"train/cat/1.jpg": None}),
        (("set/cat/1.jpg", "cat/1.jpg"), ("cat/1_mask.png",), {"cat/1.jpg": "cat/1_mask.png", "set/cat/1.jpg": None}),
    ],
)
def test_masks_that_fit_several_photographs_and_photographs_with_several(
    tmp_path: Path, images: tuple[str, ...], masks: tuple[str, ...], expected: dict[str, str | None] | None
) -> None:
    photographs(tmp_path, *images)
    for name in masks:
        mask(tmp_path / name)
    found, bad = objects(tmp_path)
    own: dict[str, Any] = {item.source: item.outline.mask for item in found}
    assert own == {name: each and tmp_path / each for name, each in (expected or {}).items()}
    assert reasons(tmp_path, bad) == ([] if expected else sorted((name, "several_fit") for name in images))
