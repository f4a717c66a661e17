"""Console commands inside the test's own process: what a user sees and the exit code, without loading torch anew."""

import importlib
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Commands:
    """Runs commands in a folder, for tests whose subject is not the process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, package: str, *arguments: object, cwd: Path) -> Ended:
        self.monkeypatch.chdir(cwd)
        self.monkeypatch.setenv("COLUMNS", "200")
        self.monkeypatch.setattr("sys.argv", [package, *map(str, arguments)])
        self.capsys.readouterr()
        code = 0
        try:
            importlib.import_module(f"{package}.cli").main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code, *self.capsys.readouterr())
