"""Tensors by name as a safetensors file with a checksum in its metadata: weights of runs, and of `training pretrain`.

The checksum is over names, types, shapes and bytes. Files without one, of earlier versions or other programs, are read
as they are.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from manifests.files.checksums import KEY, Damaged, digest_of
from manifests.files.whole import whole_path

LENGTH = 8  # bytes of a file that say how long its header is
UNREADABLE = (Damaged, SafetensorError, OSError)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a file whole or not at all. Raises as `whole_path`."""
    own = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    with whole_path(path) as hidden:
        save_file(own, hidden, metadata={**(metadata or {}), KEY: _digest(own)})
        _order_metadata(hidden)


def _order_metadata(path: Path) -> None:
    """Sort a file's metadata by name, in place: the library leaves them in another order each time."""
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(ordered) <= length:  # blanks fill what the library wrote longer
            file.seek(LENGTH)
            file.write(ordered.ljust(length))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file. Raises UNREADABLE: Damaged when they are not what was written."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = dict(file.metadata() or {})
    if metadata.pop(KEY, None) not in (None, _digest(tensors)):
        raise Damaged("its tensors are not those that were written: the checksum is another")
    return tensors, metadata


def _digest(tensors: Mapping[str, Tensor]) -> str:
    parts = {f"{name} {value.dtype} {tuple(value.shape)}": value for name, value in tensors.items()}
    return digest_of((name, value.reshape(-1).view(torch.uint8).numpy().data) for name, value in parts.items())
