"""What a file's name can say on a terminal: letters, and nothing that the terminal obeys."""

import io
import sys
from pathlib import Path

import pytest
from attacked_desk import run

from manifests.commands.screen import printable_streams, terminal

OBEYED = (
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b1A",
    "a\rb",
    "a\bb",
    "\x7f",
    "\u202egnp.exe",
    "\u2066x",
    "\u2028",
    "\udcff",
)


@pytest.mark.parametrize("name", OBEYED, ids=ascii)
def test_nothing_that_a_terminal_obeys_is_printed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    with printable_streams():
        print("one", name, "\ttwo")
        print("one", name, "\ttwo", file=sys.stderr)
        assert terminal(sys.stderr) is streams[1]
    for stream in streams:
        said = stream.getvalue()
        assert said.startswith("one ")
        assert said.endswith("\ttwo\n")
        assert said.isascii() or name.isprintable()
        assert all(character.isprintable() for character in said if character not in "\t\n")
    assert terminal(sys.stdout) is sys.stdout is streams[0]


@pytest.mark.parametrize("where", ["folder", "list"])
def test_a_command_prints_names_of_files_and_words_of_lists_so(where: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    name = "clip0000001_000001" if where == "list" else "\x1b[2J\x1b]0;x\x07"
    (tmp_path / "src" / f"{name}.mp4").write_bytes(b"no video")
    (tmp_path / "labels.csv").write_text("clip0000001,1,\x1b[31mred,train\n")
    ended = run("pipeline", "inspect", "src", "--meta", "labels.csv", at=tmp_path)
    assert ended.code == 0, ended
    assert "\\x1b[" in ended.out
    assert "\x1b" not in ended.out + ended.err
