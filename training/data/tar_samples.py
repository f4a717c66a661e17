"""The rows of a shard as WebDataset streams them from its tar, each held to the manifest.

One pass over whole members, in tar order. A tar that is not the one the manifest describes is told by what the stream
meets first: a row without its members, one of another name or size, or bytes that are no tar.
"""

import os
import tarfile
from collections.abc import Iterator
from typing import Any, TypeVar

os.environ.setdefault("WDS_SECURE", "1")  # no pickle, no shell pipes: shards may come from anybody

from webdataset.tariterators import group_by_keys, tar_file_expander

from pipeline.shards.record import FRAME, SPECTROGRAM
from pipeline.shards.store import ShardStore
from pipeline.storage.cache import open_cached
from pipeline.storage.remote import Place
from training.data.order import Segment

READ = (FRAME, SPECTROGRAM)
Failure = TypeVar("Failure", bound=Exception)
NOT_A_TAR = (tarfile.TarError, EOFError, ValueError)  # ValueError: a member twice


def segment_samples(store: ShardStore, segment: Segment) -> Iterator[dict[str, Any]]:
    """A segment's rows: members by suffix, undecoded, and "__key__". InputError where the tar holds something else."""
    piece = _opened(store, segment)
    samples = group_by_keys(tar_file_expander([{"url": piece.url, "stream": piece}], select_files=_is_read))
    row = segment.first
    try:
        for sample in samples:
            if row > segment.last:
                raise store.not_met(segment.last, f"{sample['__key__']} after it")
            store.check_streamed(row, sample["__key__"], {member: len(sample.get(member, b"")) for member in READ})
            yield sample | {"__key__": store.keys[row]}
            row += 1
    except NOT_A_TAR as error:
        raise store.not_met(min(row, segment.last), f"no tar ({_as_raised(error, piece)})") from error
    except OSError as error:  # the disk is gone, or the tar is: a moment ago it was there
        raise store.unreadable(min(row, segment.last), _as_raised(error, piece)) from error
    if row <= segment.last:
        raise store.not_met(row, "the end of the tar")


def _as_raised(error: Failure, piece: "TarRange") -> Failure:
    """The error without what WebDataset has put behind its words: the stream, and where it is from."""
    if error.args and isinstance(error.args[0], str):
        error.args = (error.args[0].partition(f" @ {piece}")[0],)
    return error


def _opened(store: ShardStore, segment: Segment) -> "TarRange":
    try:
        return TarRange.of_rows(store, segment.first, segment.last)
    except OSError as error:
        raise store.unreadable(segment.first, error) from error


def _is_read(member: str) -> bool:
    """Whether training reads a shard's member of this name."""
    return member.endswith(READ)


class TarRange:
    """A window over whole members of a shard's tar, so that a stream can start and end inside a shard.

    Of a file it has what a tar stream needs: `read` and `close`.
    """

    def __init__(self, path: Place, start: int, end: int) -> None:
        self.url = f"{path}[{start}:{end}]"
        self._file = open_cached(path)
        self._file.seek(start)
        self._left = end - start

    @classmethod
    def of_rows(cls, store: ShardStore, first: int, last: int) -> "TarRange":
        """The bytes from the first row's first header to the padded end of the last row's last member."""
        return cls(store.shard_path(first), *store.byte_range(first, last))

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the window's end."""
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        """Close the tar."""
        self._file.close()
