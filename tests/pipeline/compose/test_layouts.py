"""How material may lie: VOC, COCO, folders with masks or boxes; ESC-50, UrbanSound8K, AudioSet, manifests."""

import json
from pathlib import Path

import numpy as np
import pytest
from material import write_cut_out, write_photograph, write_tone
from PIL import Image

from manifests.errors import InputError
from manifests.files.folders import files_below
from manifests.files.suffixes import IMAGE_SUFFIXES
from pipeline.compose.coco import decoded_runs, find_coco
from pipeline.compose.corpus import MaterialFolders, write_composed
from pipeline.compose.files import Rejection, Unusable, class_by_folder
from pipeline.compose.finding import find_material
from pipeline.compose.material import ready_background, ready_object
from pipeline.compose.object_images import ObjectImage, Outline, find_in_folders
from pipeline.compose.recordings import find_recordings
from pipeline.compose.settings import Settings
from pipeline.compose.voc import find_voc

LONG = "1" * 5000  # digits; python itself reads 4300
RED = (30, 20, 90, 60)  # where write_photograph's object is
VOC = """<annotation><filename>{name}.jpg</filename>
<object><name>{label}</name><bndbox><xmin>31</xmin><ymin>21</ymin><xmax>90</xmax><ymax>60</ymax></bndbox></object>
</annotation>"""


def cut(tmp_path: Path, item: ObjectImage) -> np.ndarray:
    """(H, W, 4) of the object as it is kept."""
    ready = ready_object(tmp_path / "kept.npy", item)
    pixels = np.load(tmp_path / "kept.npy")
    assert pixels.shape[1::-1] == ready.size
    return pixels


def is_the_object(pixels: np.ndarray, tolerance: int = 0) -> bool:
    size_fits = abs(pixels.shape[0] - 40) <= tolerance and abs(pixels.shape[1] - 60) <= tolerance
    inside = pixels[pixels[..., 3] > 127].astype(int)
    return size_fits and bool((inside[:, 0] - inside[:, 1] > 100).mean() > 0.9)


def write_voc(root: Path, name: str, label: str, masked: bool, grey: int = 120) -> None:
    write_photograph(root / "JPEGImages" / f"{name}.jpg", grey=grey)
    (root / "Annotations").mkdir(exist_ok=True)
    (root / "Annotations" / f"{name}.xml").write_text(VOC.format(name=name, label=label))
    if masked:
        (root / "SegmentationObject").mkdir(exist_ok=True)
        mask = np.zeros((90, 120), np.uint8)
        mask[20:60, 30:90] = 1
        mask[80:, :] = 255  # VOC's border, which is nobody's
        image = Image.fromarray(mask, "P")
        image.putpalette([0, 0, 0, 128, 0, 0] + 250 * [0, 64, 0] + 12 * [0])
        image.save(root / "SegmentationObject" / f"{name}.png")


@pytest.mark.parametrize("masked", [True, False])
def test_voc(tmp_path: Path, masked: bool) -> None:
    write_voc(tmp_path, "000001", "cat", masked)
    (tmp_path / "Annotations" / "broken.xml").write_text("<annotation>")
    found = find_voc(tmp_path)
    assert found is not None
    ((item,), (bad,)) = found
    assert (item.label, item.source, bad.reason) == ("cat", "JPEGImages/000001.jpg", "unreadable")
    assert is_the_object(cut(tmp_path, item))


@pytest.mark.parametrize("name", ["../../outside", "/outside"])
def test_voc_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    root = tmp_path / "voc"
    write_voc(root, "1", "cat", masked=False)
    write_photograph(tmp_path / "outside.jpg")
    (root / "Annotations" / "2.xml").write_text(VOC.format(name=name, label="cat"))
    (root / "Annotations" / "3.xml").write_text('<?xml version="1.0" encoding="foo"?><annotation/>')
    found = find_voc(root)
    assert found is not None
    assert [item.source for item in found[0]] == ["JPEGImages/1.jpg"]
    assert [each.reason for each in found[1]] == ["leads_out", "unreadable"]


def coco_below(root: Path) -> tuple[list[ObjectImage], list[Rejection]] | None:
    return find_coco(root, files_below(root, IMAGE_SUFFIXES))


def coco(annotation: dict) -> dict:
    whole = {"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0, **annotation}
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "gone.jpg"}]
    missing = {"id": 2, "image_id": 8, "category_id": 3, "iscrowd": 0, "bbox": [1, 2, 3, 4]}
    crowd = {"id": 3, "image_id": 7, "category_id": 3, "iscrowd": 1, "segmentation": {"counts": [1]}}
    return {"images": images, "annotations": [whole, missing, crowd], "categories": [{"id": 3, "name": "cat"}]}


def runs_of(mask: np.ndarray) -> list[int]:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
    return np.diff(np.concatenate([[0], edges])).tolist()


@pytest.mark.parametrize("kind", ["box", "polygon", "runs"])
def test_coco(tmp_path: Path, kind: str) -> None:
    mask = np.zeros((90, 120), int)
    mask[20:60, 30:90] = 1
    annotation = {
        "box": {"bbox": [30, 20, 60, 40]},
        "polygon": {"bbox": [0, 0, 9, 9], "segmentation": [[30, 20, 89, 20, 89, 59, 30, 59]]},
        "runs": {"bbox": [0, 0, 9, 9], "segmentation": {"counts": runs_of(mask), "size": [90, 120]}},
    }[kind]
    write_photograph(tmp_path / "train2017" / "a.jpg")
    (tmp_path / "instances.json").write_text(json.dumps(coco(annotation)))
    found = coco_below(tmp_path)
    assert found is not None
    ((item,), (crowd, bad)) = found
    assert (item.label, bad.reason, bad.path) == ("cat", "not_found", "gone.jpg")
    assert (crowd.reason, crowd.message) == ("crowd", "annotation 2 (id 3) is of a crowd in a.jpg")
    assert is_the_object(cut(tmp_path, item))


def test_an_annotation_of_coco_that_cannot_be_used_is_left_out_alone(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.jpg")
    whole = coco({"bbox": [30, 20, 60, 40]})
    good = whole["annotations"][0]
    bad = [
        {"image_id": 999}, {"category_id": []}, {"bbox": None}, {"bbox": [1, 2, 3]}, {"bbox": [float("inf"), 2, 3, 4]},
        {"segmentation": {"counts": [float("inf")]}}, {"segmentation": {}}, {"segmentation": [[1, 2, 3, 4, 5, 6, 7]]},
        {"image_id": LONG}, {"bbox": [1, 2, LONG, 40]}, {"segmentation": {"counts": [LONG]}},
    ]  # fmt: skip
    whole["annotations"] = [good, "none", *({**good, **each} for each in bad)]
    (tmp_path / "instances.json").write_text(json.dumps(whole).replace("Infinity", "1e999").replace(f'"{LONG}"', LONG))
    found = coco_below(tmp_path)
    assert found is not None
    assert len(found[0]) == 1
    assert [each.reason for each in found[1]] == ["bad_annotation"] * (1 + len(bad))
    assert found[1][1].message == "annotation 2 (id 1) cannot be used: its image_id 999 is not listed"


def test_coco_leads_nowhere_else(tmp_path: Path) -> None:
    write_photograph(tmp_path / "outside.jpg")
    write_photograph(tmp_path / "coco" / "a.jpg")
    whole = coco({"bbox": [30, 20, 60, 40]})
    whole["images"][1]["file_name"] = "../outside.jpg"
    (tmp_path / "coco" / "instances.json").write_text(json.dumps(whole))
    found = coco_below(tmp_path / "coco")
    assert found is not None
    assert [item.source for item in found[0]] == ["a.jpg"]
    assert ("not_found", "../outside.jpg") in [(each.reason, each.path) for each in found[1]]


def encoded_runs(runs: list[int]) -> str:
    """COCO's compressed text, written by the description of its API: maskApi.c, rleToString."""
    text = ""
    for place, run in enumerate(runs):
        value = run - (runs[place - 2] if place > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | (0x20 if more else 0)) + 48)
    return text


def test_compressed_runs_are_read() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        runs = rng.integers(0, 40000, rng.integers(1, 30)).tolist()
        assert decoded_runs(encoded_runs(runs)) == runs


def test_folders_with_masks(tmp_path: Path) -> None:
    mask = np.zeros((90, 120), np.uint8)
    mask[20:60, 30:90] = 255
    for place in ("photos/cat/a.jpg", "photos/dog/b.jpg"):
        write_photograph(tmp_path / place)
    (tmp_path / "masks/cat").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks/cat/a.png")
    Image.fromarray(mask).save(tmp_path / "photos/dog/b_mask.png")
    found, unknown = find_in_folders(tmp_path)
    assert {item.label for item in found} == {"cat", "dog"}
    assert not unknown
    assert all(is_the_object(cut(tmp_path, item)) for item in found)


@pytest.mark.parametrize("row", ["cat/a.jpg,30,20,90,60", f"a.jpg,0.25,{20 / 90},0.75,{60 / 90}"])
def test_folders_with_boxes(tmp_path: Path, row: str) -> None:
    write_photograph(tmp_path / "cat" / "a.jpg")
    (tmp_path / "boxes.csv").write_text(f"file,x1,y1,x2,y2\n{row}\n")
    ((item,), _) = find_in_folders(tmp_path)
    assert is_the_object(cut(tmp_path, item), tolerance=1)
    (tmp_path / "boxes.csv").write_text("file,x1,y1,x2,y2\na.jpg,1,2,3,four\n")
    with pytest.raises(InputError, match="no four numbers"):
        find_in_folders(tmp_path)


def test_an_outline_that_cannot_be_is_told(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.jpg")
    write_cut_out(tmp_path / "b.png", 0, 0)
    other = np.zeros((5, 5), np.uint8)
    other[2:] = 255
    Image.fromarray(other).save(tmp_path / "m.png")
    for path, outline, reason in (
        ("a.jpg", Outline(), "no_outline"),
        ("a.jpg", Outline(box=(200, 200, 300, 300)), "empty_outline"),
        ("a.jpg", Outline(box=(30, 20, 35, 24)), "too_small"),
        ("a.jpg", Outline(mask=tmp_path / "m.png"), "unreadable"),
        ("a.jpg", Outline(mask=tmp_path / "none.png"), "unreadable"),
        ("a.jpg", Outline(runs=(3, 4)), "unreadable"),
        ("c.jpg", Outline(), "not_found"),
    ):
        with pytest.raises(Unusable) as told:
            cut(tmp_path, ObjectImage(tmp_path / path, "cat", path, outline))
        assert told.value.reason == reason


def test_greys_of_16_bits_stay_grey(tmp_path: Path) -> None:
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    deep.save(tmp_path / "a.png")
    deep.save(tmp_path / "b.png", transparency=0)
    ready_background(tmp_path / "kept.npy", tmp_path / "a.png")
    assert (np.load(tmp_path / "kept.npy") == grey[..., None]).all()
    boxed = cut(tmp_path, ObjectImage(tmp_path / "a.png", "cat", "a.png", Outline(box=(0, 0, 64, 48))))
    assert (boxed[..., :3] == grey[..., None]).all()
    clear = cut(tmp_path, ObjectImage(tmp_path / "b.png", "cat", "b.png"))
    assert clear.shape == (48, 63, 4)  # its left column is transparent
    assert (clear[..., 0] == grey[:, 1:]).all()
    Image.fromarray(np.full((48, 64), 1 << 20, np.int32)).save(tmp_path / "c.tif")
    with pytest.raises(Unusable, match="no image of the forms"):
        ready_background(tmp_path / "kept.npy", tmp_path / "c.tif")


def test_classes_are_named_by_the_innermost_folder_that_says_something() -> None:
    for path, label in {
        "dog/audio/1.ogg": "dog",
        "audio/train/dog/1.ogg": "dog",
        "audio_only/rain/1.ogg": "rain",
        "a/b/1.ogg": "b",
        "audio/1.ogg": None,
        "1.ogg": None,
    }.items():
        assert class_by_folder(Path("/root") / path, Path("/root")) == label


@pytest.mark.parametrize("layout", ["voc", "coco", "folders"])
def test_backgrounds_are_no_objects_whatever_their_folder_is_called(tmp_path: Path, layout: str) -> None:
    pictures, sounds = tmp_path / "pictures", tmp_path / "sounds"
    for number, label in enumerate(("cat", "dog")):
        write_tone(sounds / label / "0.wav", 400, 0.5)
        if layout == "voc":
            write_voc(pictures, str(number), label, masked=False)
        else:
            write_cut_out(pictures / label / "0.png", number, 0)
    if layout == "coco":
        names = [{"id": number, "file_name": f"{label}/0.png"} for number, label in enumerate(("cat", "dog"))]
        labels = [{"id": number, "name": label} for number, label in enumerate(("cat", "dog"))]
        boxes = [{"id": 5, "image_id": number, "category_id": number, "bbox": [9, 9, 40, 40]} for number in range(2)]
        whole = {"images": names, "categories": labels, "annotations": boxes}
        (pictures / "instances.json").write_text(json.dumps(whole))
    write_photograph(pictures / "places" / "1.jpg")
    items, rejected = find_material(pictures, sounds, pictures / "places")
    assert sorted(each.stage for each in items) == ["audio", "audio", "background", "image", "image"]
    assert not rejected


def test_files_that_are_listed_but_not_there_are_told(tmp_path: Path) -> None:
    pictures, sounds = tmp_path / "pictures", tmp_path / "sounds"
    for number, label in enumerate(("cat", "dog")):
        write_tone(sounds / label / "0.wav", 400, 0.5)
        write_cut_out(pictures / label / "0.png", number, 0)
    write_photograph(pictures / "backgrounds" / "1.jpg")
    (sounds / "list.csv").write_text("fname,label\ncat/0,cat\ncat/1,cat\ndog/0.wav,dog\ngone.ogg,dog\nnote.txt,dog\n")
    (pictures / "list.csv").write_text("file,label\ncat/0.png,cat\ncat/1.png,cat\ncat/1.png,cat\nsound.wav,cat\n")
    (pictures / "backgrounds" / "list.csv").write_text("file,source_id\n1.jpg,a\n2.jpg,b\n")
    (tmp_path / "manifest.csv").write_text("file,cls\nsounds/dog/9.wav,dog\nelsewhere/1.wav,dog\n")
    rejected = find_material(pictures, sounds, None)[1]
    assert {each.reason for each in rejected} == {"not_found"}
    assert sorted((each.stage, each.path) for each in rejected) == [
        ("audio", "cat/1"), ("audio", "gone.ogg"), ("audio", "sounds/dog/9.wav"),
        ("background", "2.jpg"), ("image", "cat/1.png"),
    ]  # fmt: skip


def test_esc50(tmp_path: Path) -> None:
    for name in ("1-100032-A-0.wav", "1-100032-B-0.wav", "2-5-A-1.wav"):
        write_tone(tmp_path / "audio" / name, 400, 0.5)
    (tmp_path / "meta").mkdir()
    rows = ["1-100032-A-0.wav,1,0,dog,True,100032,A", "1-100032-B-0.wav,1,0,dog,True,100032,B"]
    header = "filename,fold,target,category,esc10,src_file,take"
    (tmp_path / "meta/esc50.csv").write_text("\n".join([header, *rows, "2-5-A-1.wav,2,1,rooster,False,5,A"]))
    found, unknown = find_recordings(tmp_path)
    assert [(each.labels, each.source) for each in found] == [(("dog",), "100032")] * 2 + [(("rooster",), "5")]
    assert not unknown


def test_urban_sounds_are_cut_from_recordings_that_their_names_tell(tmp_path: Path) -> None:
    for name in ("40717-8-0-1.wav", "40717-8-0-7.wav", "9-8-0-0.wav"):
        write_tone(tmp_path / "siren" / name, 400, 0.5)
    found, _ = find_recordings(tmp_path)
    assert [each.source for each in found] == ["freesound 40717", "freesound 40717", "freesound 9"]


def test_fsd50k(tmp_path: Path) -> None:
    for name in ("0.wav", "10.wav"):
        write_tone(tmp_path / "FSD50K.dev_audio" / name, 400, 0.5)
    (tmp_path / "FSD50K.ground_truth").mkdir()
    rows = 'fname,labels,mids,split\n0,"Electric_guitar,Guitar,Music","/m/1,/m/2,/m/3",train\n10,Bark,/m/4,val\n'
    (tmp_path / "FSD50K.ground_truth" / "dev.csv").write_text(rows)
    found, _ = find_recordings(tmp_path)
    assert [each.labels for each in found] == [("Electric_guitar", "Guitar", "Music"), ("Bark",)]


def test_rows_without_a_file_and_seconds_that_are_none(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav", 400, 0.5)
    (tmp_path / "list.csv").write_text('labels,file\ndog\n"Violin, fiddle",a.wav\n')
    assert find_recordings(tmp_path)[0][0].labels == ("Violin, fiddle",)
    for start in ("inf", "nan", "-1"):
        (tmp_path / "segments.csv").write_text(f"AbCdEfGh_-1,0,10,/m/1\nAbCdEfGh_-1,{start},10,/m/2\n")
        with pytest.raises(InputError, match="which is none of a video"):
            find_recordings(tmp_path)


def test_audioset(tmp_path: Path) -> None:
    for name in ("AbCdEfGh_-1_30000_40000.wav", "-ZyXwVuTs09.wav", "Y00000000000.wav"):
        write_tone(tmp_path / "wavs" / name, 400, 0.5)
    (tmp_path / "class_labels_indices.csv").write_text(
        'index,mid,display_name\n0,/m/1,"Violin, fiddle"\n1,/m/2,Music\n'
    )
    (tmp_path / "segments.csv").write_text(
        "# Segments csv created Sun Mar  5 10:54:31 2017\n# YTID, start_seconds, end_seconds, positive_labels\n"
        'AbCdEfGh_-1, 30.000, 40.000, "/m/1,/m/2"\n-ZyXwVuTs09, 0.000, 10.000, "/m/2"\n00000000000, 5, 15, "/m/1"\n'
    )
    found, _ = find_recordings(tmp_path)
    by_source = {each.source: each.labels for each in found}
    assert by_source["AbCdEfGh_-1"] == ("Violin, fiddle", "Music")
    assert set(by_source.values()) == {("Violin, fiddle", "Music"), ("Music",), ("Violin, fiddle",)}


def test_vggsound_and_audioset_with_other_headers(tmp_path: Path) -> None:
    for name in ("AbCdEfGh_-1_000030.wav", "-ZyXwVuTs09_000000.wav"):
        write_tone(tmp_path / "audio" / name, 400, 0.5)
    (tmp_path / "vggsound.csv").write_text('AbCdEfGh_-1,30,"playing violin, fiddle",train\n')
    (tmp_path / "more.csv").write_text("YTID,start_seconds,end_seconds,positive_labels\n-ZyXwVuTs09,0,10,/m/2\n")
    found, _ = find_recordings(tmp_path)
    assert {each.source: each.labels for each in found} == {
        "AbCdEfGh_-1": ("playing violin, fiddle",), "-ZyXwVuTs09": ("/m/2",),
    }  # fmt: skip


def test_a_manifest_tells_the_sources(tmp_path: Path) -> None:
    for copy in range(3):
        write_tone(tmp_path / "tuba" / "audio" / f"{copy}.wav", 400, 0.5)
    rows = [f"tuba,audio,tuba/audio/{copy}.wav,GM program 58" for copy in range(2)]
    (tmp_path / "manifest.csv").write_text("\n".join(["cls,kind,file,source_path", *rows]))
    assert [each.source for each in find_recordings(tmp_path)[0]] == ["GM program 58"] * 2 + ["tuba/audio/2.wav"]
    found, unknown = find_recordings(tmp_path / "tuba")
    assert [each.source for each in found] == ["GM program 58"] * 2
    assert [Path(each.path).name for each in unknown] == ["2.wav"]


def test_a_corpus_of_voc_photographs_and_audioset_names(tmp_path: Path) -> None:
    for number, label in enumerate(("cat", "Violin") * 4):
        write_voc(tmp_path / "voc", f"{number:06d}", label, masked=number % 2 == 0, grey=100 + number)
    for number in range(4):
        write_tone(tmp_path / "audio" / f"{number}0000000000_000001.wav", 300 + number, 0.5)
        write_tone(tmp_path / "audio" / f"{number}1111111111_000001.wav", 600 + number, 0.5)
        write_tone(tmp_path / "audio" / f"{number}2222222222_000001.wav", 600, 0.5)
    write_photograph(tmp_path / "voc" / "JPEGImages" / "nobody.jpg")
    rows = [
        f'{n}0000000000,1,11,"Cat"\n{n}1111111111,1,11,"Violin, fiddle"\n{n}2222222222,1,11,"Cat,Violin"'
        for n in range(4)
    ]
    (tmp_path / "audio" / "segments.csv").write_text(
        "\n".join(["# YTID, start_seconds, end_seconds, positive_labels", *rows])
    )
    counts = write_composed(
        tmp_path / "out", MaterialFolders(tmp_path / "voc", tmp_path / "audio"), Settings(clips=5), workers=1
    )
    assert counts["left out: audio, several_classes"] == 4
    assert counts["left out: image, no_class"] == 1
    assert counts["files left out"] == 5
