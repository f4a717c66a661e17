"""Names as spreadsheets, pages and players leave them: read where certain, refused where no file is called so."""

from pathlib import Path

import pytest

from manifests.clip_lists.written import as_list
from manifests.errors import InputError
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids

SPOILT = ["1.23457E+10", "1234567456.0", "#NAME?", '="id.mp4"', "clip\u200b", "\ufeffclip", "########",
          "https://youtu.be/AbCdEfGh_-1?t=30", "www.youtube.com/watch?v=AbCdEfGh_-1&t=30"]  # fmt: skip


def written(folder: Path, *lines: str) -> Path:
    (folder / "list.csv").write_text("\n".join([*lines, ""]))
    return folder / "list.csv"


@pytest.mark.parametrize("name", SPOILT)
def test_what_no_file_is_called_is_refused(tmp_path: Path, name: str) -> None:
    quoted = '"{}"'.format(name.replace('"', '""'))
    for lines in (["a.mp4", quoted], ["a.mp4,cat", f"{quoted},dog"], ["file,label", f"{quoted},dog"]):
        with pytest.raises(InputError, match=r"names a clip .*Correct the list"):
            read_ids(written(tmp_path, *lines))


def test_a_file_that_is_called_so_has_its_suffix(tmp_path: Path) -> None:
    assert read_ids(written(tmp_path, "1.0.mp4", "#NAME?.mp4")).ids == ("1%2E0", "#NAME?")
    keys = ["########", "#NAME?", "a"]
    (tmp_path / "own.txt").write_text(as_list(keys))
    assert list(read_ids(tmp_path / "own.txt").ids) == keys


@pytest.mark.parametrize(
    "page", ["https://www.youtube.com/watch?v=", "http://m.youtube.com/watch?v=", "https://youtu.be/"]
)
def test_a_page_is_its_video(tmp_path: Path, page: str) -> None:
    assert read_ids(written(tmp_path, f"{page}AbCdEfGh_-1")).ids == ("AbCdEfGh_-1",)
    for lines in ([f"{page}AbCdEfGh_-1,30,dog,train"], ["video,start", f"{page}AbCdEfGh_-1,30"]):
        assert read_ids(written(tmp_path, *lines)).ids == ("AbCdEfGh_-1_000030",)


def test_a_playlist_names_its_files(tmp_path: Path) -> None:
    assert read_ids(written(tmp_path, "#EXTM3U", "#EXTINF:10,foo", "a.mp4", "sub/b.mp4")).ids == ("a", "b")


@pytest.mark.parametrize("line", ["#comment", "#EXTINF:10,foo", "---", "% comment", "// comment", "; comment"])
def test_what_may_be_a_comment_is_refused(tmp_path: Path, line: str) -> None:
    for lines in ([line, "a.mp4", "b.mp4"], ["AbCdEfGh_-1_000030", line]):
        with pytest.raises(InputError, match="may be a comment or a clip"):
            read_ids(written(tmp_path, *lines))


def test_ids_that_begin_as_comments_do_are_ids(tmp_path: Path) -> None:
    assert read_ids(written(tmp_path, "--0PQM4-hqg_000030", "#1 hit.mp4")).ids == ("--0PQM4-hqg_000030", "#1 hit")


def test_empty_columns_at_the_end_are_no_label(tmp_path: Path) -> None:
    path = written(tmp_path, "x_000030.mp4,dog,,", 'y_000030.mp4,"cat, big",', "z_000030.mp4,cow")
    assert [row.label for row in read_labels(path).rows.values()] == ["dog", "cat, big", "cow"]


@pytest.mark.parametrize(
    "lines",
    [("0,AbCdEfGh_-1_000030.mp4,dog,train",), ("0,AbCdEfGh_-1_000030,dog",), ("0,AbCdEfGh_-1,dog",),
     ("dog,kitchen", "cat,hall"), ("VideoID,StartTime,Kind", "AbCdEfGh_-1,30,dog")],
)  # fmt: skip
def test_names_that_may_stand_elsewhere_are_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    for read in (read_ids, read_labels):
        with pytest.raises(InputError, match="more than one way"):
            read(written(tmp_path, *lines))


def test_columns_are_apart_where_names_tell_it(tmp_path: Path) -> None:
    table = read_labels(written(tmp_path, "AbCdEfGh_-1;30;dog, barking;train"))
    assert [(row.key, row.label, row.split) for row in table.rows.values()] == [
        ("AbCdEfGh_-1_000030", "dog, barking", "train")
    ]
    assert read_labels(written(tmp_path, "a.mp4,dog;cat", "b;c.mp4,dog;cow")).rows["b;c"].label == "dog;cow"
    with pytest.raises(InputError, match="a comma or ; may stand between"):
        read_ids(written(tmp_path, "clip1;dog, barking", "clip2;a, b"))


def test_letters_of_two_bytes_without_their_mark_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("a.mp4\nb.mp4\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="holds zero bytes, as UTF-16 does"):
        read_ids(tmp_path / "list.txt")
