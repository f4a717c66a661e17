"""How a reader process refuses what it reads: the InputError travels as an item and is raised where items arrive.

Raised in the reader, torch would raise one of the same kind with the reader's traceback for words.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from torch.utils.data import IterableDataset

from manifests.errors import InputError

Item = TypeVar("Item")


class Refusing(IterableDataset):
    """The items of a stream; a refusal is the last one."""

    def __init__(self, stream: IterableDataset) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[object]:
        try:
            yield from self.stream
        except InputError as error:
            yield error


def or_refusal(read: Callable[[], Item]) -> Item | InputError:
    """What `read` returns, or why it refuses."""
    try:
        return read()
    except InputError as error:
        return error


def raised(items: Iterable[Item | InputError]) -> Iterator[Item]:
    """The items up to the first refusal, which is raised."""
    for item in items:
        if isinstance(item, InputError):
            raise item
        yield item
