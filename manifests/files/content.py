"""Reading the bytes of a list or annotation file, plain or gzipped, and naming them by hash.

Every reader of this package starts here, so that a result can say which exact truth or training list it used: the
hash is that of the uncompressed content, equal for `list.txt` and `list.txt.gz`.
"""

import csv
import gzip
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.given import MOST_BYTES, opened, read_bytes, shortened, understood
from manifests.files.plain_data import NotPlain, object_with, parse_json, parse_yaml
from manifests.files.recognised import kind_of

MOST_UNPACKED = 1 << 28  # bytes a gzipped list may unpack to; released ones have up to 8 million
MOST_SAID = 120  # characters of a row in a sentence
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True)
class Content:
    """A file's uncompressed bytes, where they came from and their SHA-256."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def text(self) -> str:
        """The content as UTF-8 text, a byte-order mark removed."""
        if kind := kind_of(self.content):
            raise InputError(f"{self.path} is {kind.words}, where text is read. {kind.remedy}")
        try:
            text = self.content.decode("utf-8-sig")
            if "\0" in text:  # UTF-16 without its mark is UTF-8 all the same, with a zero beside every letter
                raise InputError(f"{self.path} holds zero bytes, as UTF-16 does. Save it as text in UTF-8.")
            return text
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.path} is not text in UTF-8 ({error}). Give the list or annotation file."
            ) from error

    def rows(self, delimiter: str = ",", quote: str = '"') -> list[list[str]]:
        """The content as csv rows, empty lines left out. A quote that is not closed would swallow rows: InputError."""
        return [row for _, row in self.lines_and_rows(delimiter, quote)]

    def lines_and_rows(self, delimiter: str, quote: str) -> list[tuple[str, list[str]]]:
        """The same, each with the line that it begins in: a row does not tell whether its fields stood in quotes."""
        begun: list[str] = []
        lines = (begun.append(line) or line for line in io.StringIO(self.text(), newline=""))
        reader = csv.reader(lines, strict=True, delimiter=delimiter, quotechar=quote, skipinitialspace=True)
        found: list[tuple[str, list[str]]] = []
        try:
            for row in reader:
                found += [(begun[0], row)] if any(field.strip() for field in row) else []
                begun.clear()
            return found
        except csv.Error as error:
            raise InputError(
                f"{self.path} is broken as csv at line {reader.line_num} ({error}). A quote may be missing or left "
                "over there or before; correct the file."
            ) from error

    def table(self, header: Sequence[str], key: int, remedy: str) -> list[list[str]]:
        """The rows below this header, each once, white space around fields removed.

        key: the column that says what a row is about. InputError, with `remedy`, for another header or no row, for a
        row of more, fewer or empty fields, or one that says something else of what an earlier one is about.
        """
        head, *rows = [[field.strip() for field in row] for row in self.rows()] or [[]]
        if head != list(header) or not rows:
            raise InputError(f"{self.path} is no csv with the header {','.join(header)} and rows below it. {remedy}")
        about: dict[str, list[str]] = {}
        for row in rows:
            told = shortened(repr(",".join(row)), MOST_SAID)
            if len(row) != len(header) or not all(row):
                raise InputError(f"{self.path} has the row {told}, which is not {len(header)} filled fields. {remedy}")
            if about.setdefault(row[key], row) != row:
                raise InputError(
                    f"{self.path} says two things of {shortened(row[key], MOST_SAID)}: "
                    f"{shortened(repr(','.join(about[row[key]])), MOST_SAID)} and {told}. Keep one of the rows."
                )
        return list(about.values())

    def json(self, whole: Callable[[str], Any] | None = None) -> Any:
        """The content as JSON; of a `.jsonl` file the list of its lines. `whole`: as for `parse_json`."""
        lines = self.path.name.removesuffix(".gz").lower().endswith(".jsonl")
        text = self.text()
        try:
            parts = [line for line in lines_of(text) if line.strip()] if lines else [text]
            values = [parse_json(part, whole=whole) for part in parts]
        except NotPlain as error:
            other = text.strip()[:1] not in ("", "[", "{")
            remedy = "It is other text: give the right file" if other else "Download the file again or check its format"
            raise InputError(f"{self.path} {error}. {remedy}.") from error
        return values if lines else values[0]

    def yaml(self, remedy: str = "Correct the file.") -> Any:
        """The content as YAML."""
        try:
            return parse_yaml(self.text())
        except NotPlain as error:
            raise InputError(f"{self.path} {error}. {remedy}") from error


def lines_of(text: str) -> list[str]:
    """The lines of a file as csv has them: marks within a line that only Unicode knows as its end do not end it."""
    return _LINE_END.split(text)


def read_object(path: Path, *names: str, remedy: str = "") -> dict[str, Any]:
    """The JSON object that this project wrote to a file, with these names in it. InputError when it is damaged."""
    with understood(path, "is damaged", remedy):
        return object_with(read_bytes(path), *names)


def read_content(path: Path | str, most: int = MOST_BYTES) -> Content:
    """Read a whole file of at most `most` bytes; `.gz` files are unpacked, up to MOST_UNPACKED bytes.

    InputError when it cannot be read.
    """
    path = Path(path)
    with understood(path, remedy="Check the path and that the file is complete."):
        content = _unpacked(path) if path.suffix == ".gz" else read_bytes(path, most)
    if path.suffix == ".gz" and len(content) > MOST_UNPACKED:
        raise InputError(
            f"{path} unpacks to more than {MOST_UNPACKED >> 20} MiB, which no list of clips does. Check where it comes "
            "from; a list that really is so long can be given unpacked."
        )
    return Content(path, content)


def sha256_of_all(named: Iterable[tuple[str, Content]], listed: Content | None = None) -> str:
    """SHA-256 of a set that lies in several files: of what lists them, then of each name and content as they come."""
    digest = hashlib.sha256(listed.content if listed else b"")
    for name, content in named:
        digest.update(f"{name}\n".encode("utf-8", "surrogateescape") + content.content)
    return digest.hexdigest()


def _unpacked(path: Path) -> bytes:
    with opened(path) as packed, gzip.open(packed) as handle:
        return handle.read(MOST_UNPACKED + 1)
