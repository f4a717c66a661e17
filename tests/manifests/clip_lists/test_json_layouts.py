"""JSON as tables and scripts write it: objects by name, columns, lists by split; what may be no clip is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import InputError
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids

DOG_AND_CAT = {"a": ("dog", "train"), "b": ("cat", "test")}
ROWS = [{"file": "a.mp4", "label": "dog", "split": "train"}, {"file": "b.mp4", "label": "cat", "split": "test"}]


def written(folder: Path, given: Any) -> Path:
    (folder / "list.json").write_text(json.dumps(given))
    return folder / "list.json"


@pytest.mark.parametrize(
    "given",
    [
        ROWS,
        [{name.title(): value for name, value in row.items()} for row in ROWS],
        {"a.mp4": {"label": "dog", "split": "train"}, "b.mp4": {"label": "cat", "split": "test"}},
        {"a": {"label": "dog", "split": "train"}, "b": {"label": "cat", "split": "test"}},
        {row["file"]: row for row in ROWS},
        {"0": ROWS[0], "1": ROWS[1]},
        {column: [row[column] for row in ROWS] for column in ROWS[0]},
        {column: {str(number): row[column] for number, row in enumerate(ROWS)} for column in ROWS[0]},
        {"train": ROWS[:1], "test": ROWS[1:]},
        {"Training": {"a.mp4": "dog"}, "val": [], "testing": {"b.mp4": "cat"}},
    ],
)
def test_one_list_in_every_form(tmp_path: Path, given: Any) -> None:
    path = written(tmp_path, given)
    assert {key: (row.label, row.split) for key, row in read_labels(path).rows.items()} == DOG_AND_CAT
    assert (read_ids(path).ids, read_ids(path, split="test").ids) == (("a", "b"), ("b",))


def test_names_by_split(tmp_path: Path) -> None:
    path = written(tmp_path, {"train": ["a.mp4"], "test": ["c.mp4"]})
    assert (read_ids(path).ids, read_ids(path, split="test").ids) == (("a", "c"), ("c",))


def test_starts_are_read_in_columns_and_by_split(tmp_path: Path) -> None:
    columns = {"youtube_id": ["AbCdEfGh_-1", "AbCdEfGh_-1"], "start_ms": [30_000, 60_000]}
    expected = ("AbCdEfGh_-1_000030", "AbCdEfGh_-1_000060")
    assert read_ids(written(tmp_path, columns)).ids == expected
    entries = [{"ytid": "AbCdEfGh_-1", "start": start} for start in (30, 60)]
    assert read_ids(written(tmp_path, {"train": entries[:1], "test": entries[1:]})).ids == expected


def test_one_object_is_one_clip(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, ROWS[0])).rows["a"].label == "dog"


@pytest.mark.parametrize(
    "given",
    [
        {"dog": ["a.mp4"], "cat": ["b.mp4"]},
        {"class1": ["a.mp4"], "class2": ["b.mp4"]},
        {"0": "a.mp4", "1": "b.mp4"},
        {"dog": "a.mp4"},
        {"train": "train.txt", "test": "test.txt"},
        {"database": {"a": {"label": "dog"}}, "version": "1.0"},
        {"taxonomy": {"dog": [1]}},
        {"columns": ["file"], "index": [0], "data": [["a.mp4"]]},
        {"file": ["a.mp4", "b.mp4"], "label": ["dog"]},
        {"a.mp4": {"file": "b.mp4"}},
        {"train": [{"file": "a.mp4", "split": "test"}]},
    ],
)
def test_what_may_be_no_clip_is_refused(tmp_path: Path, given: Any) -> None:
    for read in (read_ids, read_labels):
        with pytest.raises(InputError):
            read(written(tmp_path, given))


def test_boxes_by_name_have_names_and_no_labels(tmp_path: Path) -> None:
    for boxes in ([[0, 0, 1, 1]], {"bbox": [{"category": 2}], "height": 360}):
        path = written(tmp_path, {"AbCdEfGh_-1_0_1000/frame_013/00411.jpg": boxes, "AbCdEfGh_-1/3": boxes})
        assert len(read_ids(path).ids) == 2
        with pytest.raises(InputError, match="holds no labels"):
            read_labels(path)
