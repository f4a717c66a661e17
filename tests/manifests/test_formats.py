"""Formats are found by module: one file more is one format more, and nothing else changes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import manifests.readers
from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.splits import IdList
from manifests.truth import find_format, format_help, format_names, formats, read_parts, read_truth

READER = '''
"""A corpus whose annotations are lines `file x1 y1 x2 y2`."""

from manifests.annotations import Annotation, make_test_set
from manifests.files.content import read_content
from manifests.keys import clip_key
from manifests.test_sets import Format, Truth


def _truth(path, _wanted):
    content = read_content(path)
    rows = (line.split() for line in content.text().splitlines())
    found = (Annotation(clip_key(name), None, (tuple(map(float, box)),)) for name, *box in rows)
    return Truth("lines", make_test_set("lines", found, content))


FORMATS = {"lines": Format("lines: file x1 y1 x2 y2", _truth)}
'''


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Annotations of a format that a reader in a folder of its own makes known."""
    (tmp_path / "readers").mkdir()
    (tmp_path / "readers" / "of_lines.py").write_text(READER)
    monkeypatch.setattr(manifests.readers, "__path__", [*manifests.readers.__path__, str(tmp_path / "readers")])
    monkeypatch.delitem(sys.modules, "manifests.readers.of_lines", raising=False)
    path = tmp_path / "boxes.lines"
    path.write_text("my.video.mp4 0 0 0.5 0.5\nother.mkv 0.1 0.1 0.9 0.9\n")
    yield path
    sys.modules.pop("manifests.readers.of_lines", None)


def test_a_reader_more_is_a_format_more(lines: Path) -> None:
    assert "lines" in format_names()
    assert "lines" in format_help()
    truth = read_truth(lines, "lines")
    assert (truth.keys, truth.format) == (("my%2Evideo", "other"), "lines")
    part = read_truth(lines, "lines", wanted=IdList("mine", ("other",), "mine.txt", "0"))
    assert (part.name, part.keys) == ("lines-mine", ("other",))
    whole, (one,) = read_parts(lines, "lines", [IdList("mine", ("other",), "mine.txt", "0")], name="set")
    assert (whole.name, one.name, one.keys) == ("set", "set-mine", ("other",))


def test_an_unknown_format_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"vggs.*The known ones are .*ave, avsbench,.*vggss, vpo"):
        find_format("vggs")


def test_what_users_type_is_there_and_explained() -> None:
    names = {"vggss", "flickr", "extended", "avsbench", "avsbench_s4", "avsbench_ms3"}
    more = {"music", "is3", "vpo", "ave", "parquet", "avss", "ade20k_sound", "ade20k_speech"}
    assert set(format_names()) == names | more
    assert all(format.help for format in formats().values())


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from manifests.truth import format_names; format_names();"
        "print(*({'numpy', 'pyarrow', 'PIL', 'torch'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[2]
    shown = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_silent_pairs_are_asked_for_but_not_for_a_part(tmp_path: Path) -> None:
    path = tmp_path / "vggss.json"
    path.write_text('[{"file": "AbCdEfGh_-1_000030", "class": "dog", "bbox": [[0, 0, 1, 1]]}]')
    with pytest.raises(InputError, match="--negatives"):
        read_truth(path, "extended")
    wanted = IdList("mine", ("AbCdEfGh_-1_000030",), "mine.txt", "0")
    assert read_truth(path, "extended", wanted=wanted).extended is None


def test_one_list_of_flickr_is_the_set_itself(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / f"{name}.xml").write_text("<annotation/>")
    one, two = (IdList(name, (name,), f"{name}.txt", "0") for name in ("1", "2"))
    whole, parts = read_parts(tmp_path, "flickr", [one], name="mine")
    assert (whole.name, whole.keys, parts) == ("mine", ("1",), (whole,))
    whole, parts = read_parts(tmp_path, "flickr", [one, two])
    assert (whole.keys, [part.name for part in parts]) == (("1", "2"), ["flickr-1", "flickr-2"])


@pytest.mark.parametrize("name", format_names())
def test_a_file_of_another_form_is_said_with_the_form_that_was_expected(name: str, tmp_path: Path) -> None:
    (tmp_path / "vggsound.csv").write_text("---g-f_I2yQ,1,people marching,test\n")
    with pytest.raises(
        InputError, match=rf"vggsound\.csv.*read as --format {name} \({re.escape(find_format(name).help)}\)"
    ):
        read_truth(tmp_path / "vggsound.csv", name, negatives=tmp_path / "none.csv")


def _boxes(scale: tuple[float, float], count: int = 8) -> list[list[float]]:
    own = [(0.1 + 0.01 * number, 0.2, 0.6, 0.7) for number in range(count)]
    return [[side * scale[place % 2] for place, side in enumerate(box)] for box in own]


def _vggss(path: Path, boxes: list[list[float]]) -> TestSet:
    entries = [{"file": f"clip{number}", "class": "dog", "bbox": [box]} for number, box in enumerate(boxes)]
    path.write_text(json.dumps(entries))
    return read_truth(path, "vggss").test_set


def _parquet(path: Path, boxes: list[list[float]]) -> TestSet:
    keys = [f"clip{number}" for number in range(len(boxes))]
    pq.write_table(pa.table({"key": keys, "label": ["dog"] * len(keys), "boxes": [[box] for box in boxes]}), path)
    return read_truth(path, "parquet").test_set


@pytest.mark.parametrize("read", [_vggss, _parquet])
@pytest.mark.parametrize("scale", [(1280, 720), (224, 224), (100, 100)], ids=str)
def test_boxes_in_pixels_or_per_cent_are_refused(tmp_path: Path, read, scale: tuple[float, float]) -> None:
    largest = f"{max(max(box) for box in _boxes(scale)):g}"
    with pytest.raises(InputError, match=rf"8 of 8 lie mostly outside of 0 to 1, .* up to {largest}, .*width"):
        read(tmp_path / "truth", _boxes(scale))
    garbage = [[-2.88e16, 0.1, 0.5, 0.5]] * 4
    with pytest.raises(InputError, match=rf"8 of 12 .* numbers up to {largest}"):
        read(tmp_path / "truth", [*_boxes(scale), *garbage])
    with pytest.raises(InputError, match=r"1 of 41 .* of clip40, with"):
        read(tmp_path / "truth", [*_boxes((1, 1), 40), *_boxes(scale, 1)])


@pytest.mark.parametrize("box", [[100, 100, 300, 200], None])
def test_a_clip_is_named_with_the_folders_that_tell_it_apart(tmp_path: Path, box: list[int] | None) -> None:
    clips = {"one/dogs/take 1.mp4": [0.1, 0.2, 0.6, 0.7], "two/dogs/take 1.mp4": box or [0.1, 0.2, 0.6, 0.7]}
    entries = [{"file": name, "class": "dog", "bbox": [each]} for name, each in clips.items()]
    (tmp_path / "truth.json").write_text(json.dumps(entries if box else [*entries, entries[1]]))
    said = r"the first of them .* of two/dogs/take 1, with" if box else "annotates two/dogs/take 1 twice"
    with pytest.raises(InputError, match=said):
        read_truth(tmp_path / "truth.json", "vggss")


def test_boxes_that_mostly_lie_outside_are_refused_however_near(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"8 of 8 lie mostly outside .* \[-0.9, -0.8, -0.4, 0.2\] of clip0"):
        _vggss(tmp_path / "truth", [[-0.9, -0.8, -0.4, 0.2]] * 8)


@pytest.mark.parametrize("read", [_vggss, _parquet])
def test_stray_boxes_among_fractions_are_kept_as_they_are(tmp_path: Path, read) -> None:
    stray = [[-2.88e16, 0.1, 0.5, 0.5], [0.2, 0.2, 1.3, 0.9], [0.5, 0.5, 0.5, 0.5], [1.2, 0.1, 1.9, 0.4]]
    for boxes in ([*_boxes((1, 1)), *stray], stray, [[-0.2, -0.1, 1.1, 1.2]] * 20):
        found = read(tmp_path / "truth", boxes)
        assert [list(box) for each in found.annotations for box in each.boxes] == boxes


def _corner_boxes(count: int = 12) -> list[list[float]]:
    return [[0.05 * number, 0.3, 0.05 * number + 0.3, 0.9] for number in range(count)]


WRITTEN_OTHERWISE = {
    "x, y, width, height": lambda x1, y1, x2, y2: [x1, y1, x2 - x1, y2 - y1],
    "far corner comes first": lambda x1, y1, x2, y2: [x2, y2, x1, y1],
    "y is counted from below": lambda x1, y1, x2, y2: [x1, 1 - y1, x2, 1 - y2],
    "x1, x2, y1, y2": lambda x1, y1, x2, y2: [x1, x2, y1, y2],
    "no corners": lambda x1, y1, x2, y2: [x2, y1, x1, y2],
}


@pytest.mark.parametrize("read", [_vggss, _parquet])
@pytest.mark.parametrize("convention", WRITTEN_OTHERWISE)
def test_boxes_of_another_convention_are_refused_by_its_name(tmp_path: Path, read, convention: str) -> None:
    boxes = [WRITTEN_OTHERWISE[convention](*box) for box in _corner_boxes()]
    with pytest.raises(InputError, match=rf"of 12 end before they begin .* of clip\d+, as .*{convention}.*corner"):
        read(tmp_path / "truth", boxes)


@pytest.mark.parametrize("read", [_vggss, _parquet])
def test_a_reversed_box_among_many_and_uninitialised_ones_are_kept(tmp_path: Path, read) -> None:
    for boxes in (
        [*_corner_boxes(), [0.5, 0.5, 0.4, 0.6]],
        [*_corner_boxes(3), [0.5, 0.5, 0.4, 0.6]],
        [[0.5, 0.5, -2.88e16, 0.6], *_corner_boxes(2)],
        [[0.5, 0.5, 0.5, 0.5]] * 3,
    ):
        found = read(tmp_path / "truth", boxes)
        assert [list(box) for each in found.annotations for box in each.boxes] == boxes
