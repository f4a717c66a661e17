"""What torch saved in a file, as plain data: no code in it can run.

torch's reader for files one does not trust (`weights_only`) refuses a whole file for one object of a type it does not
know, such as the command line that training scripts save beside their weights. Here such an object becomes a
`Stranger`: an empty stand-in that knows the name of its type and nothing else. Whole tensors beside it can be used.
"""

import pickle
import re
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from index.encoders.tensor_file import read_tensors
from manifests.errors import InputError
from manifests.files.checksums import Damaged
from manifests.files.given import LONGEST_REASON, check_lasting, is_there, opened, shortened, understood

# What torch says of a type it does not know, and of a stand-in that is filled as a dict or a list would be.
_UNKNOWN = re.compile(r"GLOBAL (\S+) was not an allowed global")
_FILLED = re.compile(r"Can only (SETITEM|SETITEMS|append|extend)\b.* but got <class '([^']+)'>")
_CODE = re.compile(r"unsupported GLOBAL (\S+) whose module")
_REASON = re.compile(r"(?:WeightsUnpickler error:|Cannot use ``weights_only=True`` with)\s*(.+)", re.DOTALL)
_SENTENCES = re.compile(r"(?<=\.)\s+|\n\s*")
# Around it torch advises to load what may run code, asks for an issue, and names its own settings.
_ADVICE = re.compile(
    r"weights_only|Weights only|PyTorch \d|safe_globals|trust|file an issue|two options|internal .* error"
)
_CUT = re.compile(r"unexpected EOF|truncated|Ran out of input|buffer|bytes")
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x1f\x7f]")
_SHORTENED = "is cut short or damaged. Download it again."


class Stranger:
    """In place of an object of a type that is not known; `of` is the type's name."""

    of = ""

    def __init__(self, *parts: object, **named: object) -> None:
        """Whatever it was made of is forgotten."""

    def __setstate__(self, state: object) -> None:
        """Whatever it held is forgotten."""


class NumpyScalar(Stranger):
    """In place of a number or text of numpy's, of any type."""

    def __str__(self) -> str:
        return "a numpy scalar"


class NumpyType(Stranger):
    """In place of what numpy calls a dtype: numbers, arrays and states of random generators name theirs."""


# EZ-VSL, SLAVC and FNAC save their best scores, which are numpy scalars, beside the weights: plain numbers, of which
# nothing need be said. numpy 2 calls the function that makes them otherwise than the numpy that wrote the files.
_PLAIN: list[Any] = [
    (NumpyScalar, "numpy.core.multiarray.scalar"),
    (NumpyScalar, "numpy._core.multiarray.scalar"),
    (NumpyType, "numpy.dtype"),
]


@dataclass(frozen=True)
class Content:
    """What a file holds; `made`: its objects of unknown types, or the dicts and lists they were, with their types."""

    value: Any
    made: tuple[tuple[object, str], ...] = ()

    def type_of(self, value: object) -> str:
        """The type's name as the file has it."""
        if isinstance(value, type) and issubclass(value, Stranger):
            return value.of
        return next((name for other, name in self.made if other is value), type(value).__name__)

    def strangers(self) -> list[str]:
        """`entry (type)` of every entry of the file that is, or holds, an object of an unknown type."""
        if not isinstance(self.value, dict):
            return []
        found = ((entry, self._within(value)) for entry, value in self.value.items())
        return [f"{printable(entry)} ({name})" for entry, name in found if name]

    def _within(self, value: object) -> str | None:
        named = self.type_of(value)
        if named != type(value).__name__:
            return named
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | set) else ()
        return next((name for name in map(self._within, inner) if name), None)


def read_content(path: Path) -> Content:
    """What torch saved in a file, or a safetensors file's tensors by name. InputError for a file that is neither."""
    if not is_there(path):
        raise InputError(f"there is no file of weights at {path}.")
    with understood(path):
        opened(path).close()  # no pipe, no device
    try:
        return Content(read_tensors(path)[0]) if _is_safetensors(path) else _load(path)
    except Damaged as error:
        raise InputError(f"{path} is damaged: {error}. Copy or make it again.") from error
    except Exception as error:  # of whatever bytes these are: torch, pickle and zipfile raise any kind
        check_lasting(path, error)
        raise InputError(f"{path} {_why_unreadable(path, error)}") from error


def printable(text: object) -> str:
    """Text from a file, without characters that would command a terminal."""
    return _TERMINAL.sub("", str(text))


def said_by_torch(error: Exception) -> str:
    """What was wrong for torch's reader, as part of a sentence, without the advice that it adds."""
    if isinstance(error, EOFError):
        return "it ends too early"
    found = _REASON.search(str(error))
    sentences = _SENTENCES.split((found[1] if found else str(error)).strip())
    told = (shortened(printable(each).rstrip("."), LONGEST_REASON) for each in sentences if not _ADVICE.search(each))
    return next(filter(None, told), type(error).__name__)


def _load(path: Path) -> Content:
    """Read again for every type that turns out to be unknown, until none is."""
    kinds: dict[str, type] = {}
    while True:
        made: list[tuple[object, str]] = []
        allowed = [*_PLAIN, *((_stand_in(name, kind, made), name) for name, kind in kinds.items())]
        try:
            with torch.serialization.safe_globals(allowed), warnings.catch_warnings(action="ignore"):
                return Content(torch.load(path, map_location="cpu", weights_only=True), tuple(made))
        except pickle.UnpicklingError as error:
            if not _learned(str(error), kinds):
                raise


def _learned(complaint: str, kinds: dict[str, type]) -> bool:
    """Note the type that torch complains of, as one without content, a dict or a list; False for another complaint."""
    unknown, filled = _UNKNOWN.search(complaint), _FILLED.search(complaint)
    if unknown:
        name, kind = unknown[1], Stranger
    elif filled:  # an OrderedDict may have attributes, too
        name, kind = filled[2], list if filled[1] in ("append", "extend") else OrderedDict
    else:
        return False
    name = name if "." in name else f"builtins.{name}"
    new = kinds.get(name) is not kind
    kinds[name] = kind
    return new


def _stand_in(name: str, kind: type, made: list[tuple[object, str]]) -> type:
    """A class to put in place of `name`; what it makes is an empty object of `kind`, noted in `made`."""

    def new(cls: type, *parts: object, **named: object) -> object:
        thing = object.__new__(cls) if kind is Stranger else kind()
        made.append((thing, name))
        return thing

    module, _, own = name.rpartition(".")
    return type(own, (Stranger,), {"__new__": new, "__module__": module, "__qualname__": own, "of": name})


def _is_safetensors(path: Path) -> bool:
    """By content: a header's length in eight bytes, then the header, which is JSON."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size


def _why_unreadable(path: Path, error: Exception) -> str:
    """What a file is instead, and what to do; that it be downloaded again only where it cannot be whole."""
    with path.open("rb") as file:
        start = file.read(512)
    if other := _why_other(path, start):
        return other
    if start[:2] == b"PK":
        return _why_zip(path, error)
    if isinstance(error, EOFError | SafetensorError) or _CUT.search(str(error)):
        return _SHORTENED
    if start[:1] == b"\x80" and "Unsupported operand" in str(error):  # of a protocol that torch.save does not write
        return (
            "is a pickle that torch did not write, so loading it may run code that it brings. Ask whoever made it for "
            "its tensors alone: torch.save(model.state_dict(), FILE)."
        )
    return _why_not_plain(error)


def _why_other(path: Path, start: bytes) -> str | None:
    """The same of what no one saved as weights: things that come instead of a download, or around it."""
    if not start:
        return "is empty. Download it again."
    if not start.strip(b"\0"):  # which would be taken for a tar
        return _SHORTENED
    if start.lstrip()[:1] == b"<":
        return "is a web page, not a file of weights (a download that asked for a confirmation?). Download it again."
    if start.startswith(b"version https://git-lfs"):
        return "only points at a file that Git LFS keeps. Fetch that with `git lfs pull`, or download it again."
    if start[:2] == b"\x1f\x8b" or _is_tar(path):
        return "is a packed archive, not a file of weights. Unpack it and give the file inside."
    return None


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except Exception:  # a header that tarfile begins to believe and cannot follow
        return True


def _why_zip(path: Path, error: Exception) -> str:
    """The same of an archive, which is what torch writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _why_archive(archive) or _why_not_plain(error)
    except Exception:  # of whatever bytes these are: zipfile and zlib raise any kind
        return _SHORTENED


def _why_archive(archive: zipfile.ZipFile) -> str | None:
    """The same of one that can be opened; None where nothing is wrong with it."""
    names = [name.partition("/")[2] for name in archive.namelist()]
    if "constants.pkl" in names:
        return "is a TorchScript program. Load it where it was made and save its `state_dict()` with torch.save."
    if all(name.endswith(".npy") for name in archive.namelist()):
        return "is numpy's archive. Save its arrays as tensors: torch.save({name: torch.from_numpy(array), ...}, FILE)."
    if "data.pkl" not in names:
        return "is an archive of other files, not one that torch.save wrote. Unpack it and give the file inside."
    return _SHORTENED if archive.testzip() is not None else None


def _why_not_plain(error: Exception) -> str:
    """The same of a file that seems whole."""
    if code := _CODE.search(str(error)):
        return f"is refused: it wants to run {code[1]}, for which weights have no use. Do not load it elsewhere either."
    return (
        f"is not a file of plain torch tensors ({said_by_torch(error)}), so loading it elsewhere may run code that it "
        "brings. Ask whoever made it for its tensors alone: torch.save(model.state_dict(), FILE)."
    )
