"""How a reader process refuses what it reads, or fails to: the error travels as an item, raised where items arrive.

Raised in the reader, torch would raise one of the same kind with the reader's traceback for words.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from torch.utils.data import IterableDataset

from manifests.commands.endings import of_a_dead_reader
from manifests.errors import InputError, Interrupted, WorkFailed

Item = TypeVar("Item")
FAILURES = (InputError, WorkFailed, OSError, MemoryError)


class Refusing(IterableDataset):
    """The items of a stream; a refusal, or a failure of the machine, is the last one."""

    def __init__(self, stream: IterableDataset) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[object]:
        try:
            yield from self.stream
        except FAILURES as error:
            yield error


def or_refusal(read: Callable[[], Item]) -> Item | Exception:
    """What `read` returns, or why it refuses or fails."""
    try:
        return read()
    except FAILURES as error:
        return error


def raised(items: Iterable[Item | Exception]) -> Iterator[Item]:
    """The items up to the first refusal, which is raised. WorkFailed when a reader process is killed.

    Where this process is asked to stop, its readers end as well: torch would wait five seconds for each.
    """
    try:
        for item in items:
            if isinstance(item, FAILURES):
                raise item
            yield cast(Item, item)
    except RuntimeError as error:
        if (said := of_a_dead_reader(error)) is None:
            raise
        raise WorkFailed(said) from error
    except Interrupted:
        for reader in multiprocessing.active_children():
            reader.terminate()
        raise
