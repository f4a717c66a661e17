"""Files of a folder: through links, in any case of suffix, without litter, and never two of one key."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from manifests.catalogue import catalogue, locate
from manifests.errors import InputError
from manifests.files.folders import every_file, files_below, files_in
from manifests.readers.avsbench import read_avsbench_masks
from manifests.truth import read_truth

XML = "<a><b><bbox><i>1</i><x>10</x><x>10</x><x>100</x><x>100</x></bbox></b></a>"
NO_UTF8 = os.fsdecode(b"caf\xe9")


def mask(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.zeros((8, 8), np.uint8)
    drawn[2:5] = 255
    Image.fromarray(drawn).save(path, "PNG")
    return path


def test_links_are_followed_and_each_folder_is_met_once_by_its_own_path(tmp_path: Path) -> None:
    for name in ("in/z/1.PNG", "in/z/._2.png", "in/z/3.txt", "far/4.png", "in/@eaDir/5.png"):
        mask(tmp_path / name)
    (tmp_path / "in" / "a").symlink_to(tmp_path / "in" / "z")
    (tmp_path / "in" / "z" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "far")
    names = [path.relative_to(tmp_path / "in").as_posix() for path in files_below(tmp_path / "in", {".png"})]
    assert names == ["b/4.png", "z/1.PNG"]
    assert len(list(every_file(tmp_path / "in"))) == 5
    assert files_in(tmp_path / "in", {".png"}) == files_below(tmp_path / "none", {".png"}) == []
    assert files_in(tmp_path / "in" / "b", {".png"}) == [tmp_path / "in" / "b" / "4.png"]


def test_avsbench_s_masks_are_all_found_and_no_more(tmp_path: Path) -> None:
    test = tmp_path / "s4" / "gt_masks" / "test"
    mask(test / "cat/vid/vid_1.png"), mask(test / "cat/vid/vid_2.PNG"), mask(tmp_path / "far/dog/vid/vid_1.png")
    (test / "cat/vid/._vid_3.png").write_bytes(b"\0\5")
    (test / "dog").symlink_to(tmp_path / "far" / "dog")
    assert list(read_avsbench_masks(tmp_path / "s4", "s4").masks) == ["cat/vid/vid_1", "cat/vid/vid_2", "dog/vid/vid_1"]
    mask(test / "old/cat/vid/vid_1.png")
    with pytest.raises(InputError, match="two files of cat/vid/vid_1"):
        read_avsbench_masks(tmp_path / "s4", "s4")
    mask(tmp_path / "ms3/gt_masks/test/vid/vid_1.png"), mask(tmp_path / "ms3/gt_masks/test/vid/vid.mp4_1.png")
    with pytest.raises(InputError, match="two files of vid/vid_1"):
        read_avsbench_masks(tmp_path / "ms3", "ms3")


def test_masks_of_is3_lie_behind_links_and_beside_litter(tmp_path: Path) -> None:
    masks = tmp_path / "is3" / "gt_segmentation"
    mask(masks / "cat_dog_1_cat.png"), mask(tmp_path / "far" / "cat_dog_1_dog.png")
    (masks / "._cat_dog_1_dog.png").write_bytes(b"\0\5")
    (masks / "more").symlink_to(tmp_path / "far")
    assert read_truth(tmp_path / "is3", "is3").keys == ("cat_dog_1_cat", "cat_dog_1_dog")


def test_flickr_s_files_are_one_an_image(tmp_path: Path) -> None:
    for name in ("111.xml", "112.XML", f"{NO_UTF8}.xml"):
        (tmp_path / name).write_text(XML)
    (tmp_path / "._111.xml").write_bytes(b"\0\5\x16\7")
    assert read_truth(tmp_path, "flickr").keys == ("111", "112", "caf%E9")
    (tmp_path / "111.jpg.xml").write_text(XML)
    with pytest.raises(InputError, match="two files of 111"):
        read_truth(tmp_path, "flickr")


def test_music_s_files_may_have_any_name(tmp_path: Path) -> None:
    for name in ("0.npy", f"{NO_UTF8}.npy"):
        with (tmp_path / name).open("wb") as handle:
            np.save(handle, np.array([[0.1, 0.1, 0.2, 0.2, 1]]))
    (tmp_path / "._0.npy").write_bytes(b"\0\5")
    assert read_truth(tmp_path, "music").keys == ("0", "caf%E9")


def test_music_without_any_box_is_no_truth(tmp_path: Path) -> None:
    (tmp_path / "solotest.json").write_text(json.dumps({"v/frame_1/1.jpg": {"bbox": []}}))
    with pytest.raises(InputError, match="no box in any of its 1 frames"):
        read_truth(tmp_path / "solotest.json", "music")


def test_a_list_behind_a_linked_folder_is_located(tmp_path: Path) -> None:
    manifest = catalogue()["vggss"]
    file = tmp_path / "far" / manifest.files[0]
    file.parent.mkdir()
    file.write_text("[]")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "sub").symlink_to(tmp_path / "far")
    assert locate(manifest, [tmp_path / "lists"]) == tmp_path / "lists" / "sub" / manifest.files[0]
