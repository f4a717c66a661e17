"""Reading weights that others published, as plain tensors: no code in a file can run, and none is loaded by halves."""

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from manifests.errors import InputError

NAMED = 8  # names shown in a refusal
_COUNTER = "num_batches_tracked"
# EZ-VSL, SLAVC and FNAC save their best scores, which are numpy scalars, beside the weights: plain numbers, but not to
# torch unless said so. numpy 2 calls the function that makes them otherwise than the numpy that wrote the files.
_SCALAR = np._core.multiarray.scalar
_PLAIN: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "bool")),
]


@dataclass(frozen=True)
class Layout:
    """How a release names its tensors. `kind` and `advice` complete the errors "... is not KIND: ... . ADVICE".

    `inside`: the entry of the file they lie under (None: the file itself); `names`: (their prefix, ours), first match
    wins; `unused`: patterns of tensors without a role here.
    """

    kind: str
    advice: str
    inside: str | None
    names: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()


def read_renamed(path: Path, layout: Layout) -> dict[str, Tensor]:
    """A file's tensors under our names; InputError lists names that belong to nothing."""
    ours, strangers = {}, []
    for name, value in _state(path, layout).items():
        if any(re.match(pattern, name) for pattern in layout.unused):
            continue
        mine = next((new + name[len(old) :] for old, new in layout.names if name.startswith(old)), None)
        if mine is None:
            strangers.append(name)
        else:
            ours[mine] = value
    if strangers:
        raise _refusal(path, layout, [], strangers)
    return ours


def fitted(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path, layout: Layout) -> dict[str, Tensor]:
    """`found` completed by batch norm's step counters; InputError for missing, unexpected or misshapen tensors."""
    missing = sorted(name for name in wanted if name not in found and not name.endswith(_COUNTER))
    unexpected = sorted(name for name in found if name not in wanted and not name.endswith(_COUNTER))
    if missing or unexpected:
        raise _refusal(path, layout, missing, unexpected)
    for name, value in found.items():
        if name in wanted and value.shape != wanted[name].shape:
            raise InputError(
                f"{path} is not {layout.kind}: {name} is {tuple(value.shape)} there and {tuple(wanted[name].shape)} "
                f"here. {layout.advice}"
            )
    return {name: found.get(name, value) for name, value in wanted.items()}


def _state(path: Path, layout: Layout) -> dict[str, Tensor]:
    """The tensors by their names, one leading `module.` removed."""
    content = read_content(path)
    state = content
    if layout.inside is not None:
        state = content.get(layout.inside) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        held = ", ".join(map(str, list(content)[:NAMED])) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path} has no {layout.inside or 'tensors by name'!r} (it holds {held}). {layout.advice}")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def read_content(path: Path) -> Any:
    """What torch saved in a file, or a safetensors file's tensors by name; InputError for anything but plain data."""
    if not path.is_file():
        raise InputError(f"there is no file of weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_PLAIN):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a file of plain torch tensors ({reason}). Download it again.") from error


def _refusal(path: Path, layout: Layout, missing: Sequence[str], unexpected: Sequence[str]) -> InputError:
    parts = [
        f"{len(names)} {what} ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    return InputError(f"{path} is not {layout.kind}: {' and '.join(parts)}. {layout.advice}")
