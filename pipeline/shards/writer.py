"""Writing one shard: a WebDataset tar whose bytes depend on nothing but the clips, and where each member landed.

Members are sorted, owner-less and dated 0, so that two runs, one worker or twenty, give the same file. The offsets
returned go to `manifest.parquet`; `pipeline.shards.store` reads members through them without opening the tar.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from pipeline.shards.record import Member
from pipeline.shards.tars import after_padding
from pipeline.storage.files import replacing
from pipeline.storage.remote import Place


def shard_name(number: int) -> str:
    """File name of shard `number` inside a shard folder."""
    return f"shard-{number:06d}.tar"


class ShardWriter:
    """An open shard. `sha256` and `size` (bytes) are final after the `writing_shard` block."""

    def __init__(self, handle: BinaryIO) -> None:
        self._stream = _HashedStream(handle)
        self._tar = tarfile.TarFile(
            fileobj=cast(IO[bytes], self._stream),
            mode="w",
            format=tarfile.GNU_FORMAT,
            encoding="utf-8",
            copybufsize=1 << 20,  # members in one piece, not in sixteen
        )
        self.sha256 = ""
        self.size = 0

    def add(self, key: str, members: Mapping[str, bytes]) -> dict[str, Member]:
        """Append one clip's members (`frame.jpg` -> content) as `<key>.<member>`; where each lies in the tar."""
        return {name: self._append(f"{key}.{name}", members[name]) for name in sorted(members)}

    def _append(self, name: str, content: bytes) -> Member:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))
        return Member(self._tar.offset - after_padding(info.size), info.size)

    def finish(self) -> None:
        """Write the tar's end; nothing can be added afterwards."""
        self._tar.close()
        self.sha256, self.size = self._stream.digest.hexdigest(), self._stream.position


@contextmanager
def writing_shard(path: Place) -> Iterator[ShardWriter]:
    """A shard that appears under `path`, whole and on disk, when the block ends without an error."""
    with replacing(path) as handle:
        writer = ShardWriter(handle)
        yield writer
        writer.finish()


class _HashedStream:
    """What `tarfile` needs of a file, hashing on the way so that the finished shard is not read again."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self.digest = hashlib.sha256()
        self.position = 0

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        self.position += len(content)
        return self._handle.write(content)

    def tell(self) -> int:
        return self.position
