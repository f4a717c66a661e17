"""Folders and files on S3-compatible storage, with as much of `pathlib.Path` as ingest and its readers use.

`place` turns what a user wrote into one or the other: `s3://bucket/folder` is a RemotePath (fsspec), all else a Path.
An object appears whole or not at all, so what `files.replacing` promises holds there by itself. Credentials, endpoint
and region come from the environment of the process (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...), never from a command
line, and travel to no worker: each has an environment of its own.
"""

import io
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ParamSpec, TypeVar, Union, cast

from manifests.commands.extras import how_to_install
from manifests.errors import InputError
from manifests.files.given import LONGEST_REASON, printable, shortened
from manifests.given_arrays import kind_of
from manifests.machine import MachineFailed
from pipeline.storage.pace import in_pace, silence_of
from pipeline.storage.secrets import text_without_secrets, without_secrets

# a Path eats a slash
_URL = re.compile(r"(?P<protocol>s3)://?(?P<path>.*)|[a-z][a-z0-9+.-]+://.*", re.DOTALL | re.IGNORECASE)
_CREDENTIALS = re.compile(r"[^/]*[@:]")  # before the first slash; no bucket's name has either
PAUSES = (0.2, 0.4, 0.8, 1.6)  # seconds before what failed is asked for again, five times in all
PATIENCE = 60.0  # seconds since the first time, after which nothing is asked again; and in which an answer has to begin
BLOCK = 1 << 20  # bytes asked for at a time
Given = ParamSpec("Given")
Result = TypeVar("Result")


class StorageLost(MachineFailed):
    """The storage does not answer, or refuses: no file's fault. Its words are a whole paragraph, with what to do.

    A refusal may pass as an outage does: credentials run out and are renewed.
    """


Place = Union[Path, "RemotePath"]


def place(text: str | Place) -> Place:
    """A folder's path or address as a user gives it. InputError for none, for a protocol this project does not read,
    and for an address with more in it than bucket and folder."""
    found = listed(text)
    if isinstance(found, RemotePath) and found is not text and "?" in found.path:
        raise InputError(
            f"{without_secrets(str(found))}?... is no folder's address: nothing is asked behind a question mark, and "
            "configs and logs would keep a token. Give s3://bucket/folder, and the credentials in the environment: "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return found


def listed(text: str | Place) -> Place:
    """As `place`, of a file that was found in a folder: its name may have a question mark."""
    if isinstance(text, RemotePath):
        return text
    if not isinstance(text, str | os.PathLike) or isinstance(os.fspath(text), bytes):
        raise InputError(f"A folder is given as {kind_of(text)}. Give its path, or s3://bucket/folder.")
    if not os.fspath(text):  # an unset shell variable, which would become the current folder
        raise InputError(
            "A path is empty. Give a folder or s3://bucket/folder; the current folder is written as a dot."
        )
    match = _URL.fullmatch(os.fspath(text))
    if match is None:
        return Path(text)
    if match["protocol"] is None:
        shown = without_secrets(os.fspath(text))
        raise InputError(f"{shown} is neither a path nor an s3:// address. Give a folder or s3://bucket/folder.")
    if _CREDENTIALS.match(match["path"]):
        raise InputError(
            "An s3:// address holds credentials, which configs and logs would keep. Give s3://bucket/folder, and the "
            "credentials in the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return RemotePath(match["protocol"].lower(), match["path"].strip("/"))


@cache
def _file_system(protocol: str, process: int) -> Any:
    """fsspec's file system; one for every process, as its connections do not survive a fork."""
    import fsspec

    try:
        files = fsspec.filesystem(protocol, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise InputError(f"{protocol}:// needs the s3fs package ({error}). {how_to_install('s3')}") from error
    # `_reported` alone asks again: s3fs would five times, and for each of them the client below it
    files.retries, files.config_kwargs = 1, files.config_kwargs | {"retries": {"total_max_attempts": 1}}
    files._call_s3 = in_pace(files._call_s3, silence_of(files), PATIENCE)
    return files


@cache
def _library_errors(protocol: str) -> tuple[type[Exception], ...]:
    if protocol != "s3":
        return ()
    from aiohttp import ClientError as ConnectionFailed
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, ConnectionFailed


def _reported(method: Callable[Given, Result]) -> Callable[Given, Result]:
    """Ask again where a storage fails, and tell every failure as an OSError: FileNotFoundError where nothing is there,
    else StorageLost. All that is asked can be asked again: the answer is then the same, and so is what was written."""

    @wraps(method)
    def guarded(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        path, begun = cast("RemotePath", args[0]), time.monotonic()
        for asked, pause in enumerate((*PAUSES, PATIENCE), 1):
            try:
                return method(*args, **kwargs)
            except (FileNotFoundError, FileExistsError):
                raise
            except (OSError, *_library_errors(path.protocol)) as error:
                seconds = time.monotonic() - begun
                if seconds + pause >= PATIENCE:
                    raise _lost(path, error, f"{asked} times in {seconds:.0f} seconds") from error
            except ValueError as error:  # of the client, before it asks
                raise InputError(
                    f"{path} cannot be asked for ({_said(error)}). See to AWS_ENDPOINT_URL, such as http://host:9000, "
                    "and to the other settings of the storage."
                ) from error
            time.sleep(pause)
        raise AssertionError  # the last pause is too long for another time

    return guarded


def _lost(path: "RemotePath", error: Exception, how_often: str) -> StorageLost:
    return StorageLost(
        f"{path} cannot be reached ({_said(error)}). It was asked {how_often}. See to the storage, "
        "AWS_ENDPOINT_URL and the credentials, and repeat the command: it continues."
    )


def _said(error: Exception) -> str:
    """What a library said, which may name AWS_ENDPOINT_URL."""
    told = text_without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
    return shortened(printable(told).rstrip(".: "), LONGEST_REASON)


@dataclass(frozen=True)
class Status:
    """What `stat` tells of an object."""

    st_size: int
    version: str


@dataclass(frozen=True, order=True)
class RemotePath:
    """An object or a folder of objects: `path` is `bucket/folder/name`."""

    protocol: str
    path: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def __fspath__(self) -> str:
        return str(self)

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.protocol, f"{self.path}/{name}")

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def parent(self) -> "RemotePath":
        return RemotePath(self.protocol, str(PurePosixPath(self.path).parent))

    @property
    def _files(self) -> Any:
        return _file_system(self.protocol, os.getpid())

    def resolve(self) -> "RemotePath":
        """Addresses are absolute already."""
        return self

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Folders are made by what lies in them."""

    @_reported
    def exists(self) -> bool:
        try:
            self._files.info(self.path)
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        return self._has_objects() if "/" in self.path else self.exists()  # s3fs takes any failure for no bucket

    @_reported
    def _has_objects(self) -> bool:
        return cast(bool, self._files.isdir(self.path))

    @_reported
    def stat(self) -> Status:
        facts = self._files.info(self.path)
        return Status(int(facts["size"]), str(facts.get("ETag") or facts.get("LastModified") or facts.get("created")))

    @_reported
    def read_bytes(self) -> bytes:
        return cast(bytes, self._files.cat_file(self.path))

    @_reported
    def read_range(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on, fewer at the object's end."""
        return self._range(start, size)

    @_reported
    def read_exactly(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on. StorageLost for fewer."""
        content = self._range(start, size)
        if len(content) != size:
            raise OSError(f"{len(content):,} bytes came of {size:,}")
        return content

    def _range(self, start: int, size: int) -> bytes:
        return cast(bytes, self._files.cat_file(self.path, start=start, end=start + size)) if size else b""

    @_reported
    def write_bytes(self, content: bytes) -> None:
        self._files.pipe_file(self.path, content)

    @_reported
    def upload(self, local: str) -> None:
        """Make this object of a local file; it appears when all of it has arrived."""
        self._files.put_file(local, self.path)

    @_reported
    def download(self, local: str) -> None:
        self._files.get_file(self.path, local)

    def open(self, mode: str = "rb") -> BinaryIO:
        """For reading at any position; to write, see `files.replacing`."""
        assert mode == "rb"
        return cast(BinaryIO, io.BufferedReader(RangeReader(self.read_range, self.stat().st_size), BLOCK))

    @_reported
    def unlink(self, missing_ok: bool = False) -> None:
        try:
            self._files.rm_file(self.path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    @_reported
    def iterdir(self) -> list["RemotePath"]:
        """Objects and folders directly below; none when there are none."""
        try:
            names = self._files.ls(self.path, detail=False)
        except FileNotFoundError:
            return []
        return [RemotePath(self.protocol, name.strip("/")) for name in sorted(names) if name.strip("/") != self.path]

    def glob(self, pattern: str) -> list["RemotePath"]:
        """Objects directly below whose name matches; `*` is the only wildcard."""
        wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
        return [path for path in self.iterdir() if wanted.fullmatch(path.name)]

    @_reported
    def walk(self) -> dict[str, int]:
        """Sizes of all objects below, by path relative to this folder, in name order."""
        found = self._files.find(self.path, detail=True)
        start = len(self.path) + 1
        return {name.strip("/")[start:]: int(found[name]["size"]) for name in sorted(found) if name[-1] != "/"}


class RangeReader(io.RawIOBase):
    """What can be asked for by ranges as a file that is read anywhere: `read(start, size)` gives bytes."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read, self._size, self._position = read, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._size - self._position))
        content = self._read(self._position, wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
