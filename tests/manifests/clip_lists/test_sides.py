"""Splits by columns: read where they are certain, refused where they would be left out."""

from pathlib import Path

import pytest

from manifests.errors import InputError
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids


def written(folder: Path, column: str, *values: str) -> Path:
    rows = [f"clip{number}.mp4,dog,{value}" for number, value in enumerate(values)]
    (folder / "list.csv").write_text("\n".join([f"file,label,{column}", *rows, ""]))
    return folder / "list.csv"


@pytest.mark.parametrize("column", ["split", "subset", "set", "Partition", "fold", "phase"])
def test_columns_that_hold_splits_are_read(tmp_path: Path, column: str) -> None:
    path = written(tmp_path, column, "training", "test")
    assert [row.split for row in read_labels(path).rows.values()] == ["train", "test"]
    assert read_ids(path, split="test").ids == ("clip1",)


@pytest.mark.parametrize(
    ("column", "values"),
    [("is_train", ("1", "0")), ("isTest", ("True", "False")), ("val", ("yes", "no")), ("use", ("train", "test"))],
)
def test_what_tells_splits_otherwise_is_refused(tmp_path: Path, column: str, values: tuple[str, ...]) -> None:
    path = written(tmp_path, column, *values)
    for read in (read_ids, read_labels):
        with pytest.raises(InputError, match=rf"column '{column.lower()}', .* a column split that holds train"):
            read(path)


@pytest.mark.parametrize(("column", "values"), [("fold", ("1", "2")), ("set", ("a", "b")), ("device", ("1", "0"))])
def test_other_columns_are_no_splits(tmp_path: Path, column: str, values: tuple[str, ...]) -> None:
    assert [row.split for row in read_labels(written(tmp_path, column, *values)).rows.values()] == [None, None]


def test_a_column_beside_split_counts_only_where_it_is_one(tmp_path: Path) -> None:
    table = read_labels(written(tmp_path, "split,is_train", "train,1", "test,0"))
    assert [row.split for row in table.rows.values()] == ["train", "test"]
    assert read_labels(written(tmp_path, "split,subset", "train,balanced")).rows["clip0"].split == "train"
    with pytest.raises(InputError, match="gives one row the splits 'train' and 'test'"):
        read_labels(written(tmp_path, "split,subset", "train,test"))


@pytest.mark.parametrize("header", ["file,label,label", "file,label,Label", "file,file,label", "file,split,split"])
def test_a_column_given_twice_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "list.csv").write_text(f"{header}\na.mp4,dog,cat\n")
    with pytest.raises(InputError, match="more than once"):
        read_ids(tmp_path / "list.csv")


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, ",,", ",,")).rows["clip0"].label == "dog"
