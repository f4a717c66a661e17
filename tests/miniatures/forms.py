"""The forms of released files: lines with their ends, csv, JSON, each packed or not as its name says."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

UNIX, WINDOWS = "\n", "\r\n"


class Folder:
    """Where files are written, and how."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self, name: str, text: str) -> None:
        """`.gz` names are packed, without a time."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text.encode()
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)

    def lines(self, name: str, lines: Iterable[str], end: str = UNIX, closed: bool = True) -> None:
        """`closed`: the last line ends, too; half of the released lists have none there."""
        self.text(name, end.join(lines) + (end if closed else ""))

    def rows(self, name: str, rows: Iterable[Sequence[object]], end: str = UNIX, closed: bool = True) -> None:
        """csv, in quotes what holds a comma."""
        out = io.StringIO()
        csv.writer(out, lineterminator=end).writerows(rows)
        self.text(name, out.getvalue() if closed else out.getvalue().removesuffix(end))

    def json(self, name: str, content: Any, indent: int | None = None) -> None:
        """`indent` as Python 2 wrote it, with a blank after every comma."""
        self.text(name, json.dumps(content, indent=indent, separators=(", ", ": ")))
