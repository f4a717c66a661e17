"""Lists that look like others: read right where it is certain, refused where it is not."""

import json
from pathlib import Path

import pytest

from manifests.errors import InputError
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids

ONE, TWO = "AbCdEfGh_-1_000030", "AbCdEfGh_-2_000420"
STRONG = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
CREATED = "Segments csv created Sun Mar  5 10:54:31 2017"
COUNTED = "num_ytids=2, num_segs=2, num_unique_labels=527, num_positive_labels=4"
COLUMNS = "YTID, start_seconds, end_seconds, positive_labels"
SEGMENTS = ('AbCdEfGh_-1, 30.000, 40.000, "/m/068hy,/m/07q6cd_"', 'AbCdEfGh_-2, 420.000, 430.000, "/m/03v3yw"')


def written(folder: Path, *lines: str, name: str = "list.csv") -> Path:
    (path := folder / name).write_text("\n".join([*lines, ""]))
    return path


def labels_of(path: Path) -> dict[str, tuple[str | None, str | None]]:
    table = read_labels(path)
    assert table.conflicting == 0
    assert tuple(table.rows) == read_ids(path).ids
    return {key: (row.label, row.split) for key, row in table.rows.items()}


def test_audioset_s_strong_labels_are_a_clip_for_each_segment(tmp_path: Path) -> None:
    rows = ("AbCdEfGh_-1_30000\t0.000\t10.000\t/m/03m9d0z", "AbCdEfGh_-1_30000\t4.753\t5.720\t/m/05zppz")
    more = ("AbCdEfGh_-2_420000\t1.000\t2.000\t/m/05zppz", "AbCdEfGh_-1_30000\t6.000\t7.000\t/m/05zppz")
    path = written(tmp_path, STRONG, *rows, *more, name="audioset_train_strong.tsv")
    assert labels_of(path) == {ONE: ("/m/03m9d0z,/m/05zppz", None), TWO: ("/m/05zppz", None)}


def test_what_does_not_sound_in_a_segment_is_no_label_of_it(tmp_path: Path) -> None:
    rows = ("AbCdEfGh_-1_30000\t0.0\t1.0\t/m/1\tPRESENT", "AbCdEfGh_-1_30000\t0.0\t1.0\t/m/2\tNOT_PRESENT")
    path = written(tmp_path, f"{STRONG}\tpresent", *rows, "AbCdEfGh_-2_420000\t0.0\t1.0\t/m/2\tNOT_PRESENT")
    assert labels_of(path) == {ONE: ("/m/1", None), TWO: (None, None)}


@pytest.mark.parametrize("segment", ["kitchen_30000", "AbCdEfGh_-1", "AbCdEfGh_-1_30_40", "AbCdEfGh_-1_9999999999"])
def test_a_segment_of_another_form_is_refused(tmp_path: Path, segment: str) -> None:
    with pytest.raises(InputError, match=f"Row 3 .*segment_id '{segment}'"):
        read_ids(written(tmp_path, STRONG, "AbCdEfGh_-1_30000\t0\t1\t/m/1", f"{segment}\t0\t1\t/m/1"))


def test_strong_labels_without_a_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than one way"):
        read_ids(written(tmp_path, "AbCdEfGh_-1_30000\t0.000\t10.000\t/m/03m9d0z"))


@pytest.mark.parametrize("mark", ["#", "# ", "## "])
@pytest.mark.parametrize("above", [(CREATED, COUNTED, COLUMNS), (COLUMNS,), (CREATED, COUNTED)])
def test_the_comments_above_audioset_s_rows_are_no_clips(tmp_path: Path, mark: str, above: tuple[str, ...]) -> None:
    path = written(tmp_path, *(f"{mark}{line}" for line in above), *SEGMENTS)
    assert labels_of(path) == {ONE: ("/m/068hy,/m/07q6cd_", None), TWO: ("/m/03v3yw", None)}


def test_a_header_in_a_comment_counts_where_the_first_column_is_no_clip(tmp_path: Path) -> None:
    assert labels_of(written(tmp_path, "#label,ytid,start", "dog,AbCdEfGh_-1,30")) == {ONE: ("dog", None)}
    assert labels_of(written(tmp_path, "#file,label", "a.mp4,dog")) == {"a": ("dog", None)}


def test_names_that_begin_with_the_mark_of_comments_are_names(tmp_path: Path) -> None:
    assert read_ids(written(tmp_path, "#1 hit.mp4", "#2 hit.mp4", "other.mp4")).ids == ("#1 hit", "#2 hit", "other")
    assert read_ids(written(tmp_path, "#1", "#2", "other")).ids == ("#1", "#2", "other")


MILLISECONDS = [
    ("AbCdEfGh_-1,30000,40000,dog,train", "AbCdEfGh_-2,420000,430000,cat,test"),
    ("ytid,start,end,label,split", "AbCdEfGh_-1,30000,40000,dog,train", "AbCdEfGh_-2,420000,430000.0,cat,test"),
    ("label,id,time_start,time_end,split", "dog,AbCdEfGh_-1,30000,40000,train", "cat,AbCdEfGh_-2,420000,430000,test"),
]  # fmt: skip


@pytest.mark.parametrize("lines", MILLISECONDS)
def test_windows_of_ten_thousand_are_milliseconds_as_in_names(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert labels_of(written(tmp_path, *lines)) == {ONE: ("dog", "train"), TWO: ("cat", "test")}


def test_windows_in_json_are_read_alike(tmp_path: Path) -> None:
    rows = [("AbCdEfGh_-1", 30_000, 40_000), ("AbCdEfGh_-2", "420000", 430_000.0)]
    entries = [{"ytid": ytid, "start": start, "end": end, "label": "dog"} for ytid, start, end in rows]
    path = written(tmp_path, json.dumps(entries), name="list.json")
    assert labels_of(path) == {ONE: ("dog", None), TWO: ("dog", None)}


def test_windows_of_both_units_are_refused(tmp_path: Path) -> None:
    for header in ((), ("ytid,start,end,label,split",)):
        path = written(tmp_path, *header, "AbCdEfGh_-1,30000,40000,dog,train", "AbCdEfGh_-2,420,430,cat,test")
        with pytest.raises(InputError, match=r"in milliseconds, .* one of 420 to 430, of which it is not certain"):
            read_ids(path)


@pytest.mark.parametrize(
    "row",
    ["AbCdEfGh_-1,0:30,dog,test", "AbCdEfGh_-1,00:00:30.5,dog", "AbCdEfGh_-1,30s,dog,test", "AbCdEfGh_-1,3e1,dog,test",
     "a.mp4,0:30,dog,test", "AbCdEfGh_-1,0:30"],
)  # fmt: skip
@pytest.mark.parametrize("first", [(), ("AbCdEfGh_-2_000420,cat",)])
def test_times_of_other_forms_are_no_labels(tmp_path: Path, first: tuple[str, ...], row: str) -> None:
    with pytest.raises(InputError, match=rf"Row {len(first) + 1} of .*the start .* is not read"):
        read_ids(written(tmp_path, *first, row))


@pytest.mark.parametrize(
    "lines",
    [
        ("file 'a b.mp4'", "file 'videos/it'\\''s, here.mp4'"),
        ("# made by a script", "file 'a b.mp4'", "duration 10.0", "file 'videos/it'\\''s, here.mp4'"),
        ("ffconcat version 1.0", "file 'a b.mp4'", "file videos/it\\'s,\\ here.mp4"),
    ],
)
def test_ffmpeg_s_lists_of_files_name_the_files(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert read_ids(written(tmp_path, *lines, name="list.txt")).ids == ("a b", "it's, here")


def test_parts_of_files_in_ffmpeg_s_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the line 'inpoint 3'"):
        read_ids(written(tmp_path, "file 'a.mp4'", "inpoint 3"))


def test_files_that_are_called_file_are_names(tmp_path: Path) -> None:
    assert read_ids(written(tmp_path, "file 1.mp4", "file 2.mp4")).ids == ("file 1", "file 2")
