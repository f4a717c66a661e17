"""AVE's splits by name: the released orders, the rows of the zip, and orders of the same form that are made here."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from places import METADATA, needed

from manifests.catalogue import find_list, read_clips
from manifests.clip_lists import ave_orders
from manifests.errors import InputError
from manifests.files.recognised import HDF5
from manifests.readers.ave import read_ave_videos
from manifests.splits import read_ids

EVENTS = ["Bark&aaaaaaaaaaa&good&0&10", "Shofar&bbbbbbbbbbb&good&2&4", "Bark&ccccccccccc&good&0&0"]


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The third row, then the first, as a file of the released form."""
    made = HDF5.ljust(ave_orders.BEGIN, b"\0") + np.array([2, 0], "<i8").tobytes()
    monkeypatch.setitem(ave_orders.ROWS, hashlib.sha256(made).hexdigest(), 2)
    (tmp_path / "test_order.h5").write_bytes(made)
    return tmp_path / "test_order.h5"


@pytest.mark.parametrize("header", [[], ["Category&VideoID&Quality&StartTime&EndTime"]])
def test_an_order_is_the_rows_that_it_numbers(order: Path, header: list[str]) -> None:
    order.with_name("Annotations.txt").write_text("\n".join([*header, *EVENTS]))
    assert read_ids(order).ids == ("ccccccccccc", "aaaaaaaaaaa")
    assert [clip.label for clip in read_ave_videos(order).annotations] == ["Bark", "Bark"]


def test_an_order_without_its_rows_says_what_to_do(order: Path) -> None:
    with pytest.raises(InputError, match=r"Annotations\.txt, which is not beside it.*trainSet\.txt"):
        read_ids(order)
    order.with_name("Annotations.txt").write_text("\n".join(EVENTS[:2]))
    with pytest.raises(InputError, match=r"names row 3 of .*, which has 2"):
        read_ids(order)


@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [("ave_train", "trainSet.txt", 3339), ("ave_validation", "valSet.txt", 402), ("ave_test", "testSet.txt", 402)],
)
def test_a_released_split_has_its_name_in_both_forms(tmp_path: Path, name: str, file: str, rows: int) -> None:
    released = find_list(name, needed(METADATA) / "ave")
    assert (released.name, len(released.ids) + released.repeated) == (name, rows)
    lines = ave_orders.text_of(ave_orders.read_content(released.source)).splitlines()
    (tmp_path / file).write_text("\n".join(reversed(lines)))
    assert find_list(name, tmp_path).name == name
    assert read_clips(tmp_path / file).name == name
    (tmp_path / file).write_text("\n".join(lines[1:]))
    assert find_list(name, tmp_path).name == f"{file} (not the released {name})"


def test_a_video_of_music_counts_once_whatever_its_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "MUSIC_solo_videos.json"
    path.write_text('{"videos": {"flute": ["aaaaaaaaaaa", "bbbbbbbbbbb"]}, "version": 1.0}')
    listed = read_ids(path)
    assert listed.ids == ("aaaaaaaaaaa_0_1000", "bbbbbbbbbbb_0_1000")
    assert listed.known_as(["aaaaaaaaaaa", "bbbbbbbbbbb_0_1000"]).ids == ("aaaaaaaaaaa", "bbbbbbbbbbb_0_1000")


def test_a_video_of_music_means_every_clip_of_it(tmp_path: Path) -> None:
    path = tmp_path / "solo_testing.txt"
    path.write_text("aaaaaaaaaaa_0_1000.flac aaaaaaaaaaa_0_1000.mp4\nbbbbbbbbbbb_0_1000.flac bbbbbbbbbbb_0_1000.mp4\n")
    present = ["aaaaaaaaaaa_000013", "aaaaaaaaaaa_000004", "ccccccccccc_000004"]
    assert read_ids(path).known_as(present).ids == ("aaaaaaaaaaa_000004", "aaaaaaaaaaa_000013", "bbbbbbbbbbb_0_1000")
