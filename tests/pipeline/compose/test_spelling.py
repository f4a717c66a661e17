"""Names in lists and annotations, and on disk, are the same in either form of Unicode, and with space around them."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from material import write_photograph, write_tone
from PIL import Image

from manifests.files.spelling import as_on_disk
from pipeline.compose.finding import find_objects
from pipeline.compose.recordings import find_recordings
from pipeline.sources.frames_and_audio import pair_up

VOC = "<annotation><filename>{0}.jpg</filename><object><name>cat</name><bndbox><xmin>31</xmin><ymin>21</ymin>\
<xmax>90</xmax><ymax>60</ymax></bndbox></object></annotation>"
COCO = {
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [30, 20, 60, 40]}],
    "categories": [{"id": 1, "name": "cat"}],
}


@pytest.fixture(params=["NFC NFC", "NFD NFC", "NFC NFD", "NFD NFD", "space"])
def forms(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A folder and a name, as they are on disk and in lists."""
    if request.param == "space":
        return " hats/ kitten", "hats/kitten"
    on_disk, listed = (unicodedata.normalize(form, "hüte/kätzchen") for form in request.param.split())
    return on_disk, listed


def found_object(root: Path) -> tuple[Path, bool]:
    """The image of the only object, and whether it has a mask; nothing is left out."""
    ((item,), rejected) = find_objects(root, None)
    assert not rejected
    assert item.label == "cat"
    return item.path, item.outline.mask is not None


def write_mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((90, 120), 255, np.uint8)).save(path)


def test_coco(tmp_path: Path, forms: tuple[str, str]) -> None:
    on_disk, listed = forms
    write_photograph(tmp_path / f"{on_disk}.jpg")
    (tmp_path / "a.json").write_text(json.dumps(COCO | {"images": [{"id": 1, "file_name": f"{listed}.jpg"}]}))
    assert found_object(tmp_path) == (tmp_path / f"{on_disk}.jpg", False)


def test_voc(tmp_path: Path, forms: tuple[str, str]) -> None:
    on_disk, listed = forms
    write_photograph(tmp_path / "JPEGImages" / f"{on_disk}.jpg")
    write_mask(tmp_path / "SegmentationObject" / f"{Path(on_disk).name}.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / f"{Path(listed).name}.xml").write_text(VOC.format(listed))
    assert found_object(tmp_path) == (tmp_path / "JPEGImages" / f"{on_disk}.jpg", True)


def test_masks_and_boxes_in_folders(tmp_path: Path, forms: tuple[str, str]) -> None:
    on_disk, listed = forms
    write_photograph(tmp_path / "images" / "cat" / f"{on_disk}.jpg")
    write_mask(tmp_path / "masks" / "cat" / f"{listed}.png")
    (tmp_path / "boxes.csv").write_text(f"file,class\nimages/cat/{listed}.jpg,cat\n")
    assert found_object(tmp_path) == (tmp_path / "images" / "cat" / f"{on_disk}.jpg", True)


@pytest.mark.parametrize("where", ["esc50.csv", "meta/esc50.csv"])
def test_lists_of_sounds(tmp_path: Path, forms: tuple[str, str], where: str) -> None:
    on_disk, listed = forms
    write_tone(tmp_path / f"{on_disk}.wav", 400, 0.5)
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text(f"filename,category,src_file\n{listed}.wav,dog,{listed}.ogg\n")
    ((recording,), rejected) = find_recordings(tmp_path)
    assert not rejected
    assert (recording.labels, recording.source) == (("dog",), unicodedata.normalize("NFC", f"{listed}.ogg"))


def test_a_list_above_names_its_folder(tmp_path: Path, forms: tuple[str, str]) -> None:
    """And what lies outside of it is not taken for one of its files."""
    on_disk, listed = forms
    folder = Path(on_disk).parent
    write_tone(tmp_path / folder / "a.wav", 400, 0.5)
    write_tone(tmp_path / f"{on_disk}s" / "a.wav", 400, 0.5)
    (tmp_path / "manifest.csv").write_text(f"file,class\n{Path(listed).parent}/a.wav,dog\n{listed}s/gone.wav,cat\n")
    found, rejected = find_recordings(tmp_path / folder)
    assert {each.path.relative_to(tmp_path): each.labels[0] for each in found}[folder / "a.wav"] == "dog"
    assert [each.reason for each in rejected] == ["not_found"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        write_photograph(tmp_path / f"{unicodedata.normalize(form, 'kätzchen')}.jpg")
    (tmp_path / "a.json").write_text(json.dumps(COCO | {"images": [{"id": 1, "file_name": "kätzchen.jpg"}]}))
    found, rejected = find_objects(tmp_path, None)
    assert (found, {each.reason for each in rejected}) == ([], {"several_fit"})


def test_images_and_sounds_of_folders(forms: tuple[str, str]) -> None:
    on_disk, listed = forms
    images = {f"frames/{on_disk}": ("1.jpg",), "frames/dog": ("1.jpg",)}
    found = pair_up([f"audio/{listed}/1.wav", "audio/dog/1.wav"], images, [])
    assert {(pair.image, pair.audio) for pair in found.pairs} == {
        (f"frames/{on_disk}/1.jpg", f"audio/{listed}/1.wav"), ("frames/dog/1.jpg", "audio/dog/1.wav")
    }  # fmt: skip


def test_a_file_is_opened_as_its_folder_spells_it(tmp_path: Path, forms: tuple[str, str]) -> None:
    on_disk, listed = forms
    assert as_on_disk(tmp_path / listed) == tmp_path / listed
    (tmp_path / on_disk).mkdir(parents=True)
    assert as_on_disk(tmp_path / listed) == tmp_path / on_disk
    assert as_on_disk(tmp_path / listed / "ä") == tmp_path / on_disk / "ä"
