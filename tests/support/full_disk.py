"""A limit on the size of files, which stands for a disk that is full.

Python keeps what it compiles in files of its own, and does not notice when one is cut short: every later process would
fail at it. So nothing is kept under such a limit.
"""

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

NOTHING_KEPT = {"PYTHONDONTWRITEBYTECODE": "1"}  # in the environment of a child under a limit


def limit_files(size: int) -> Callable[[], None]:
    """For `preexec_fn` of a child: no file of it gets larger than `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """The same here."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with patch.object(sys, "dont_write_bytecode", True):
        limit_files(size)()
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
