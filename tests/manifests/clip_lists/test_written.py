"""Lists that this project writes are read back exactly, whatever the clips are called."""

import csv
from pathlib import Path

import pytest
from every import for_every
from hypothesis import given
from hypothesis import strategies as st

from manifests.clip_lists.written import as_csv, as_list, keys_in
from manifests.keys import parse_clip_name
from manifests.splits import read_ids

CANONICAL, PLAIN = "AbCdEfGh_-1_000030", "plain"
ODD = [
    "Hello, World", "a,b", "# 2", "#3", "#YTID", "file", "key", "label,split", "two  spaces", f"{CANONICAL} take 2",
    "x;y", "a|b", "'a'", '"b"', "it's", 'q"uote', "a&b&c&1&2", "['a', 'b']", '["a"]', '{"a"}', "file 'x%2Emp4'",
    "label, file", "id", "dog/x/x_1", "50%25", "tab%09z", "übung", "0,7", "clip_0_1000", "segment_id",
    "ffconcat version 1%2E0",
]  # fmt: skip


def read_back(folder: Path, keys: list[str]) -> list[str]:
    listed = folder / "list.txt"
    listed.write_text(as_list(keys))
    assert keys_in(listed.read_text()) == tuple(keys)
    return list(read_ids(listed).ids)


@for_every([*([key] for key in ODD), *([key, PLAIN] for key in ODD), *([PLAIN, key, CANONICAL] for key in ODD), ODD])
def test_odd_names_are_read_back(keys: list[str], tmp_path: Path) -> None:
    assert read_back(tmp_path, keys) == keys


@given(st.lists(st.text(max_size=12) | st.text("#,'\" &;|%fileky", max_size=12), min_size=1, max_size=4))
def test_every_list_of_keys_is_read_back(tmp_path_factory: pytest.TempPathFactory, stems: list[str]) -> None:
    keys = list(dict.fromkeys(parse_clip_name(stem).key for stem in stems if stem))
    if keys:
        assert read_back(tmp_path_factory.getbasetemp(), keys) == keys


def test_plain_names_stay_one_a_line() -> None:
    keys = [CANONICAL, "plain clip 00", "cat__001", "übung", "dog/x/x_1"]
    assert as_list(keys) == "".join(f"{key}\n" for key in keys)


def test_what_one_key_a_line_cannot_say_is_a_csv_for_other_programs() -> None:
    rows = list(csv.DictReader(as_list(["Hello, World", "file"]).splitlines()))
    assert rows == [{"key": "Hello, World"}, {"key": "file"}]
    assert as_csv([("category", "clip"), ("a,b", "c")]) == 'category,clip\n"a,b",c\n'


def test_lists_of_earlier_versions_are_one_key_a_line() -> None:
    assert keys_in("Hello, World\n# 2\nfile\n trail \n") == ("Hello, World", "# 2", "file", " trail ")
    assert keys_in("") == ()
