"""What is printed while a command works: names of files, labels and keys are others' words, a terminal obeys some.

An escape sequence in a file's name could clear the screen, rename the window or write over the lines before. So what is
printed has its control characters written out, in one place: the streams themselves.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from manifests.files.given import UNPRINTABLE, written_out

_BESIDES_LINES = re.compile(rf"(?![\n\t]){UNPRINTABLE.pattern}")


class _Printable:
    """A stream that writes control characters out; in all else the one below."""

    def __init__(self, stream: TextIO) -> None:
        self.below = stream

    def write(self, text: str) -> int:
        self.below.write(_BESIDES_LINES.sub(written_out, text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Standard output and error as printable streams, while the block lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Printable(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def terminal(stream: TextIO) -> TextIO:
    """The stream itself, for what draws: a progress bar, whose words are this project's own."""
    return stream.below if isinstance(stream, _Printable) else stream
