"""Weights that others published, under this project's names: none is loaded by halves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from index.encoders.torch_file import Content, printable, read_content
from manifests.errors import InputError

NAMED = 8  # names shown in a refusal
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_COUNTER = "num_batches_tracked"
_WRAPPERS = re.compile(r"(^|\.)((module|_orig_mod)\.)+")  # of DataParallel, DistributedDataParallel and torch.compile
_TENSOR_NAME = re.compile(r"(^|\.)(weight|bias|running_mean|running_var)$")
# The first tensors of trunks that are read under their authors' names: ResNet, VGG, YAMNet, EfficientNet-Lite
_BEGINNING = re.compile(r"(conv1|features\.0|convs\.0|_?conv_stem)\.(weight|bias)$")


@dataclass(frozen=True)
class Layout:
    """How a release names its tensors. `kind` and `advice` complete the errors "... is not KIND: ... . ADVICE".

    `inside`: the entry of the file they usually lie under (None: the file itself); `names`: (their prefix, ours), first
    match wins; `unused`: patterns of tensors without a role here.
    """

    kind: str
    advice: str
    inside: str | None
    names: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()


def read_renamed(path: Path, layout: Layout) -> dict[str, Tensor]:
    """A file's tensors under our names; InputError lists names that belong to nothing, and tensors that hold NaN."""
    return renamed(read_tensors(path, layout.inside, layout.advice), path, layout)


def renamed(tensors: Mapping[str, Tensor], path: Path, layout: Layout) -> dict[str, Tensor]:
    """Tensors by the authors' names under ours; InputError as `read_renamed`, whose `path` completes its message."""
    tensors = _unwrapped(tensors, layout)
    used = {name: value for name, value in tensors.items() if not any(re.match(one, name) for one in layout.unused)}
    ours, strangers = {}, []
    for name, value in used.items():
        mine = next((new + name[len(old) :] for old, new in layout.names if name.startswith(old)), None)
        if mine is None:
            strangers.append(name)
        else:
            ours[mine] = value
    if strangers:
        raise _refusal(path, layout, [], strangers)
    require_numbers(path, used)
    return ours


def _unwrapped(tensors: Mapping[str, Tensor], layout: Layout) -> Mapping[str, Tensor]:
    """As `without_holder`, of names as the layout has them."""
    if any(not old for old, _ in layout.names):  # theirs are ours
        return without_holder(tensors)
    return without_holder(tensors, re.compile("|".join([*(re.escape(old) for old, _ in layout.names), *layout.unused])))


def without_holder(tensors: Mapping[str, Tensor], known: re.Pattern[str] = _BEGINNING) -> Mapping[str, Tensor]:
    """Without the names of what held the model (`model.` of Lightning, `net.`), with which every tensor's begins where
    none begins as `known`."""
    inner = tensors
    while not any(map(known.match, inner)):
        if len({name.partition(".")[0] for name in inner}) != 1 or not all("." in name for name in inner):
            return tensors  # as the file names them
        inner = {name.partition(".")[2]: value for name, value in inner.items()}
    return inner


def require_numbers(path: Path | str, tensors: Mapping[str, Tensor]) -> None:
    """InputError naming the tensors that are no plain floating-point numbers, as quantized ones are, or that hold NaN
    or infinity, as a training that diverged left them, or else what a network makes these of."""
    other = [name for name, value in tensors.items() if value.dtype not in _FLOATS and not name.endswith(_COUNTER)]
    if other:
        kinds = [f"{name}: {str(tensors[name].dtype).removeprefix('torch.')}" for name in other]
        raise InputError(
            f"{path} is whole, but {len(other)} of its {len(tensors)} tensors are no real numbers of 16, 32 or 64 bits "
            f"({_listed(kinds)}). Of weights that were quantized use those from before, as float32."
        )
    broken = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise InputError(
            f"{path} is whole, but {len(broken)} of its {len(tensors)} tensors hold NaN or infinite values "
            f"({_listed(broken)}). Nothing can be computed with them; use weights saved before they broke."
        )
    beyond = [name for name, value in tensors.items() if _is_beyond(name, value)]
    if beyond:
        raise InputError(
            f"{path} is whole, but {len(beyond)} of its {len(tensors)} tensors hold what no training leaves "
            f"({_listed(beyond)}): numbers beyond those of 32 bits, or a running variance below 0. Use other weights."
        )


def _is_beyond(name: str, value: Tensor) -> bool:
    too_large = value.dtype == torch.float64 and not bool(torch.isfinite(value.float()).all())
    return too_large or (name.endswith("running_var") and bool((value < 0).any()))


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


def read_tensors(path: Path, inside: str | None = None, advice: str = "") -> dict[str, Tensor]:
    """A file's tensors by name, without the prefixes of what wrapped the model (`module.`, `_orig_mod.`).

    They may be the file itself, or lie under `inside` or whichever one entry, or entry of an entry, holds tensors by
    name. Objects of other kinds beside them are left alone and said; one where a tensor should be is an InputError that
    names it.
    """
    content = read_content(path)
    state = _state(path, content, inside, advice)
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        plain = _WRAPPERS.sub(r"\1", printable(name))
        if _is_tensor(value) and plain in found:
            raise InputError(f"{path} holds {plain} twice, once with the prefix of a wrapper. {advice}".rstrip())
        if _is_tensor(value):
            found[plain] = value
        elif _TENSOR_NAME.search(plain):
            raise InputError(
                f"{path}: the entry {plain} is a {content.type_of(value)}, no plain tensor. {advice}".rstrip()
            )
    if strangers := content.strangers():
        print(f"{path}: {_listed(strangers)} hold no tensors and were left alone")
    return found


def _state(path: Path, content: Content, inside: str | None, advice: str) -> dict[Any, Any]:
    """The dict that holds tensors by name: `inside`, the file itself, the only entry that is one or that holds such."""
    value = content.value
    entries = {name: one for name, one in value.items() if _holds_tensors(one)} if isinstance(value, dict) else {}
    if inside in entries:
        return entries[inside]
    if _holds_tensors(value):
        return value
    if len(entries) == 1:
        return next(iter(entries.values()))
    deeper = [one for one in value.values() if _holds_holders(one)] if isinstance(value, dict) and not entries else []
    if len(deeper) == 1:
        return _state(path, Content(deeper[0], content.made), inside, advice)
    if isinstance(value, dict) and isinstance(value.get(inside), dict):
        return value[inside]  # for what stands there in place of tensors
    raise _no_tensors(path, content, list(entries), advice)


def _no_tensors(path: Path, content: Content, entries: list[str], advice: str) -> InputError:
    value = content.value
    if entries:
        return InputError(f"{path} holds tensors by name more than once, under {_listed(entries)}. {advice}".rstrip())
    held = f"a {content.type_of(value)}"
    if isinstance(value, dict):
        held = _listed([f"{printable(name)}: {content.type_of(one)}" for name, one in value.items()]) or "nothing"
    return InputError(
        f"{path} holds no tensors by name (it holds {held}). Save them where it was made, as "
        f"torch.save(model.state_dict(), FILE) does. {advice}".rstrip()
    )


def _holds_tensors(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return any(_is_tensor(one) and _TENSOR_NAME.search(str(name)) for name, one in value.items())


def _holds_holders(value: object) -> bool:
    return isinstance(value, dict) and any(map(_holds_tensors, value.values()))


def _is_tensor(value: object) -> bool:
    """Whether it has its numbers, one for each place."""
    if not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not (value.is_meta or value.is_quantized)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _refusal(path: Path, layout: Layout, missing: Sequence[str], unexpected: Sequence[str]) -> InputError:
    parts = [
        f"{len(names)} {what} ({_listed(names)})"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    return InputError(f"{path} is not {layout.kind}: {' and '.join(parts)}. {layout.advice}")
