"""Starts beside YouTube ids: one rule for csv and JSON, and no start for names that are no ids."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests.errors import InputError
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids
from pipeline.sources.moments import read_moments

TWO = ("AbCdEfGh_-1_000030", "AbCdEfGh_-1_000060")


def written(path: Path, fields: tuple[str, ...], rows: list[tuple[object, ...]]) -> Path:
    """The rows as csv, as a JSON list or as lines of JSON, by the name of the file."""
    entries = [json.dumps(dict(zip(fields, row, strict=True))) for row in rows]
    lines = [",".join("" if value is None else str(value) for value in row) for row in (fields, *rows)]
    texts = {".csv": "\n".join(lines), ".json": f"[{','.join(entries)}]", ".jsonl": "\n".join(entries)}
    path.write_text(texts[path.suffix])
    return path


@pytest.mark.parametrize("name", ["list.csv", "list.json", "list.jsonl"])
@pytest.mark.parametrize(
    ("fields", "rows", "expected"),
    [
        (("youtube_id", "start", "label"), [("AbCdEfGh_-1", 30, "dog"), ("AbCdEfGh_-1", 60.0, "cat")], TWO),
        (("video", "start", "label"), [("AbCdEfGh_-1", 30, "dog"), ("AbCdEfGh_-1", 60.5, "cat")], TWO),
        (("name", "start_seconds", "label"), [("AbCdEfGh_-1", 30, "dog"), ("AbCdEfGh_-1_60", 60, "cat")], TWO),
        (("ytid", "time_start", "label"), [("AbCdEfGh_-1", "30", "dog"), ("AbCdEfGh_-1", "60", "cat")], TWO),
        (("ytid", "start", "label"), [("AbCdEfGh_-1", 30, "dog"), ("mine.mp4", "0:10", "cat")], (TWO[0], "mine")),
        (("ytid", "start", "label"), [("AbCdEfGh_-1", None, "dog"), ("mine", None, "cat")], ("AbCdEfGh_-1", "mine")),
        (("file", "start", "label"), [("kitchen_001", 3, "dog"), ("hall_1", "x", "cat")], ("kitchen_001", "hall_1")),
        (("file", "start", "label"), [("AbCdEfGh_-1.mp4", 3, "dog"), ("b.mp4", 4, "cat")], ("AbCdEfGh_-1", "b")),
        (
            ("id", "start", "label"),
            [("12345678901", 3, "dog"), ("1234567890", 4, "cat")],
            ("12345678901", "1234567890"),
        ),
    ],
)
def test_a_start_beside_a_youtube_id_is_the_clip_s(
    tmp_path: Path, name: str, fields: tuple[str, ...], rows: list[tuple[object, ...]], expected: tuple[str, ...]
) -> None:
    path = written(tmp_path / name, fields, rows)
    table = read_labels(path)
    assert {key: row.label for key, row in table.rows.items()} == dict(zip(expected, ("dog", "cat"), strict=True))
    assert (table.repeated, read_ids(path).ids) == (0, expected)


@pytest.mark.parametrize("name", ["list.csv", "list.json", "list.jsonl"])
@pytest.mark.parametrize("start", ["00:30", "-1", "1e1", None, "9" * 400, 1_000_000])
def test_a_start_that_cannot_be_read_is_refused(tmp_path: Path, name: str, start: object) -> None:
    path = written(tmp_path / name, ("video", "start"), [("AbCdEfGh_-1", start), ("AbCdEfGh_-1", 60)])
    with pytest.raises(InputError, match=r"of the video AbCdEfGh_-1 (no|the) start.* is a number of seconds"):
        read_ids(path)


def test_a_start_of_many_digits_is_refused_without_a_header_too(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"AbCdEfGh_-1,{'9' * 400},dog,train\nAbCdEfGh_-1,10,dog,train\n")
    with pytest.raises(InputError, match="below 1,000,000"):
        read_ids(tmp_path / "list.csv")


@pytest.mark.parametrize("label", [["dog", "cat"], {"name": "dog"}, 0.5, True])
def test_labels_that_are_not_one_text_are_in_doubt(tmp_path: Path, label: object) -> None:
    rows = [("a.mp4", "dog"), ("b.mp4", label)]
    path = written(tmp_path / "list.json", ("file", "labels"), rows)
    assert read_ids(path).ids == ("a", "b")
    with pytest.raises(InputError, match=r'the "labels" .*, which is not one text or number'):
        read_labels(path)


@pytest.mark.parametrize("videos", ["AbCdEfGh_-1", None, ["AbCdEfGh_-1", 5]])
def test_music_s_videos_are_a_list_of_ids(tmp_path: Path, videos: object) -> None:
    (tmp_path / "music.json").write_text(json.dumps({"videos": {"cello": videos}}))
    with pytest.raises(InputError, match=r"for the videos of cello\. Give a list of video ids"):
        read_ids(tmp_path / "music.json")


UNITS = [
    ("start_sec", 30, 60), ("startSeconds", 30, "60.5"), ("Start (s)", 30, 60), ("begin", 30, 60),
    ("start-time", 30, 60), ("start_ms", 30_000, "60000"), ("startMilliseconds", 30_000, 60_500),
    ("time_start_ms", 30_000, 60_000),
]  # fmt: skip


@pytest.mark.parametrize("name", ["list.csv", "list.json", "list.jsonl"])
def test_a_start_is_known_however_its_column_is_spelled(tmp_path: Path, name: str) -> None:
    for column, *starts in UNITS:
        rows = [("AbCdEfGh_-1", start, "dog") for start in starts]
        assert read_ids(written(tmp_path / name, ("youtube_id", column, "label"), rows)).ids == TWO, column


UNREAD = [
    ("onset", 30), ("offset", 30), ("time", "0:30"), ("timestamp", "from 30 on"), ("segment", "30-40"), ("t", 30),
    ("pos", "30,5"), ("end", 40), ("end_ms", 40_000), ("startFrame", 750),
]  # fmt: skip


@pytest.mark.parametrize("read", [read_ids, read_labels, read_moments])
def test_what_may_be_a_start_beside_a_video_s_id_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    for (column, value), name in itertools.product(UNREAD, ("list.csv", "list.json", "list.jsonl")):
        said = f'"{value}"' if name == "list.csv" else value
        path = written(tmp_path / name, ("youtube_id", column, "label"), [("AbCdEfGh_-1", said, "dog")])
        with pytest.raises(InputError, match=rf"the column '{column.lower()}', which .* one of start, start_seconds,"):
            read(path)


def test_numbers_that_tell_no_start_stay_beside_whole_videos_and_clips(tmp_path: Path) -> None:
    fields = ("", "duration", "youtube_id", "label", "class_id")
    assert read_ids(written(tmp_path / "a.csv", fields, [(0, 10.5, "AbCdEfGh_-1", "dog", 3)])).ids == ("AbCdEfGh_-1",)
    for named, key in ((TWO[0], TWO[0]), ("kitchen.mp4", "kitchen")):
        assert read_ids(written(tmp_path / "a.csv", ("file", "onset", "label"), [(named, 3, "dog")])).ids == (key,)


def test_two_columns_of_starts_must_agree(tmp_path: Path) -> None:
    fields = ("youtube_id", "start", "start_ms")
    assert read_ids(written(tmp_path / "a.csv", fields, [("AbCdEfGh_-1", 30, 30_000)])).ids == TWO[:1]
    with pytest.raises(InputError, match="start '30' and start_ms '40000', which are not the same"):
        read_ids(written(tmp_path / "a.csv", fields, [("AbCdEfGh_-1", 30, 40_000)]))


@pytest.mark.parametrize(
    "line", ["AbCdEfGh_-1,dog,30", "AbCdEfGh_-1;30,0;dog", "AbCdEfGh_-1;30,0;dog;train", "AbCdEfGh_-1;30,0"]
)
def test_a_start_that_is_not_read_is_refused_without_a_header_too(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.csv").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"where clips begin|the start '30,0' is not read"):
        read_ids(tmp_path / "list.csv")
