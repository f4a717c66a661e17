"""The one opener of files that others made, and the sentences of what is wrong with them."""

import errno
import os
from pathlib import Path

import pytest

from manifests.errors import InputError, WorkFailed
from manifests.files.content import read_content
from manifests.files.given import NotAFile, TooLarge, opened, read_bytes, understood
from manifests.files.names import name_problem
from manifests.machine import MachineFailed


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("list")
    with opened(tmp_path / "link") as handle:
        assert handle.read() == b"abc"
    assert read_bytes(tmp_path / "list", 3) == b"abc"


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "a named pipe"), (tmp_path, "a folder"), (Path("/dev/null"), "a device")):
        with pytest.raises(NotAFile, match=f"it is {kind}, not a file"):
            opened(path)
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "absent")


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    """Told by the size, before a byte is read: the file has holes and takes no room."""
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    with pytest.raises(TooLarge, match="more than the 1,024 MiB"):
        read_bytes(tmp_path / "huge")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ValueError("two\n lines"), r"^list cannot be read \(two lines\)\. Do it again\.$"),
        (KeyError("boxes"), "there is no boxes"),
        (RecursionError("maximum"), "nested too deeply"),
        (MemoryError(), "needs more memory"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (ValueError("a\x1b[2J\ud800"), r"a\\x1b\[2J\\ud800"),
        (ValueError("x" * 5000), r"x{300}\.\.\."),
        (FileNotFoundError(2, "No such file or directory"), "No such file"),
    ],
)
def test_whatever_is_raised_becomes_one_sentence(raised: Exception, said: str) -> None:
    with pytest.raises(InputError, match=said) as told, understood("list", remedy="Do it again."):
        raise raised
    assert told.value.__cause__ is raised
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE])
def test_what_may_pass_is_no_bad_input(number: int) -> None:
    with (
        pytest.raises(MachineFailed, match=r"^list cannot be read \(.+\)\. When that"),
        understood("list", "is damaged"),
    ):
        raise OSError(number, os.strerror(number), "list")


@pytest.mark.parametrize("raised", [InputError("own words"), WorkFailed("own words"), MachineFailed("own words")])
def test_what_has_its_words_or_is_the_machines_stays(raised: Exception) -> None:
    with pytest.raises(type(raised)) as told, understood("list"):
        raise raised
    assert told.value is raised


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0", "a\n", "é" * 101, "\ud800"])
def test_a_name_that_leads_elsewhere_has_a_problem(name: str) -> None:
    assert name_problem(name)


@pytest.mark.parametrize("name", ["a", "...", "-x", "ключ ☃", "a" * 200, "synth-vggss"])
def test_other_names_have_none(name: str) -> None:
    assert name_problem(name) is None


def test_a_table_says_one_thing_of_each(tmp_path: Path) -> None:
    def read(text: str) -> list[list[str]]:
        (tmp_path / "t.csv").write_text(text)
        return read_content(tmp_path / "t.csv").table(["label", "group"], 0, "Give groups.")

    assert read("label,group\ncat, animal\n\ncat,animal\ncar,vehicle\n") == [["cat", "animal"], ["car", "vehicle"]]
    for text, said in {
        "": "no csv with the header label,group",
        "label,group\n": "rows below it. Give groups",
        "cat,animal\n": "no csv with the header",
        "label,group\ncat\n": "'cat', which is not 2 filled fields",
        "label,group\ncat, \n": "not 2 filled fields",
        "label,group\ncat,a\ncar,v\ncat,b\n": "two things of cat: 'cat,a' and 'cat,b'",
    }.items():
        with pytest.raises(InputError, match=said):
            read(text)
