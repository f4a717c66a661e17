"""Lists and files as spreadsheets, systems and other data sets spell them: separators, cases, columns, litter."""

from pathlib import Path

import pytest

from manifests.readers.label_lists import read_labels
from manifests.suffixes import is_litter

YTID = "AbCdEfGhI_1"


@pytest.mark.parametrize(
    "text",
    [
        "file_name,label,split\nmy clip.mp4,dog,train\nb.mp4,cat,test\n",
        "\ufefffile_name;label;split\r\nmy clip.mp4;dog;train\r\nb.mp4;cat;test\r\n",
        "file_name|label|split\nmy clip.mp4|dog|train\nb.mp4|cat|test\n",
        "file_name\tlabel\tsplit\nmy clip.mp4\tdog\ttrain\nb.mp4\tcat\ttest\n",
        "my clip.mp4;dog;train\nb.mp4;cat;test\n",
        "File_Name,LABEL,Split\nmy clip.mp4,dog,Train\nb.mp4,cat,TEST\n",
    ],
)
def test_separators_and_cases(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text, newline="")
    rows = read_labels(tmp_path / "list.csv").rows
    assert [(row.key, row.label, row.split) for row in rows.values()] == [
        ("my clip", "dog", "train"),
        ("b", "cat", "test"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"label,youtube_id,time_start,time_end,split\ndog,{YTID},30,40,train\n",  # Kinetics
        f"ytid,start,end,label,split\n{YTID},30,40,dog,train\n",
        f"{YTID};30;dog;train\n",
    ],
)
def test_starts_in_columns(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    (row,) = read_labels(tmp_path / "list.csv").rows.values()
    assert (row.key, row.label, row.split) == (f"{YTID}_000030", "dog", "train")


def test_names_that_hold_semicolons_are_names(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("one; two.mp4\nthree.mp4\n")
    assert list(read_labels(tmp_path / "list.txt").rows) == ["one; two", "three"]


@pytest.mark.parametrize(
    "path",
    [".Trash-1000/files/a.mp4", "a.mp4.download/a.mp4", ".thumbnails/a.png", ".rsync-partial/a.mp4", "~$list.csv"],
)
def test_what_systems_leave(path: str) -> None:
    assert is_litter(path)
    assert not is_litter(path.rsplit("/", maxsplit=1)[-1].removeprefix("~$"))
