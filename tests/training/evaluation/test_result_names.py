"""What a result's files are called: nothing may take the name of a result of other clips."""

import errno
import json
import os
from pathlib import Path

import pytest

from manifests.errors import InputError, WorkFailed
from training.evaluation.results import file_name


def held(folder: Path, name: str, content: str) -> Path:
    path = folder / f"{name}.ezvsl.json"
    path.write_text(json.dumps({"test_set": name, "lists": {"truth": {"sha256": content}}}))
    return path


def test_of_other_clips_it_is_told_apart(tmp_path: Path) -> None:
    held(tmp_path, "mine", "a" * 64)
    assert file_name(tmp_path, "mine", "a" * 64) == "mine"
    assert file_name(tmp_path, "mine", "b" * 64) == "mine@bbbbbbbb"


def test_one_that_says_nothing_is_made_again(tmp_path: Path) -> None:
    held(tmp_path, "mine", "a" * 64).write_text("{")
    assert file_name(tmp_path, "mine", "b" * 64) == "mine"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_one_that_a_disk_does_not_give_now_is_not_written_over(tmp_path: Path, monkeypatch, number: int) -> None:
    held(tmp_path, "mine", "a" * 64)

    def fails(path: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("training.evaluation.results.read_bytes", fails)
    with pytest.raises(WorkFailed, match=r"mine\.ezvsl\.json cannot be read") as caught:
        file_name(tmp_path, "mine", "b" * 64)
    assert not isinstance(caught.value, InputError)
