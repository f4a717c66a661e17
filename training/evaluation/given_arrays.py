"""Arrays that any program wrote, before they are used: numbers of the wanted shape, texts, maps in float32."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manifests.errors import InputError

LARGEST = 1e30  # of a map's values: what is stretched, enlarged and added up over an image stays within float32
STEPS = 1024  # of float32 between a map's lowest and highest pixel, four times those of an 8-bit image
NOISE = 64  # roundings of the largest number there, in its own type: a map that differs by less is constant


def numbers(arrays: Mapping[str, np.ndarray], name: str, shape: Sequence[int | str], whole: bool = False) -> np.ndarray:
    """The array `name` of real numbers (`whole` ones) of a shape, in which a letter stands for any length.

    InputError says what it is instead.
    """
    found = np.asarray(arrays[name])
    fits = found.ndim == len(shape) and all(
        isinstance(side, str) or side == own for side, own in zip(shape, found.shape, strict=True)
    )
    if not fits or found.dtype.kind not in ("iu" if whole else "fiub"):
        wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        raise InputError(
            f"{name} is {found.dtype} of shape {found.shape}; give {'whole ' if whole else ''}numbers of shape "
            f"{wanted}."
        )
    return found


def texts(values: Any, name: str) -> list[str]:
    """A row of texts, or of numbers that stand for some; bytes are read as UTF-8. InputError for anything else."""
    found = np.asarray(values)
    if found.ndim != 1 or found.dtype.kind not in "USiu":
        raise InputError(
            f"The {name} are {found.dtype} of shape {found.shape}. Give texts in one row (N,), a text for each."
        )
    try:
        return [one.decode() if isinstance(one, bytes) else str(one) for one in found.tolist()]
    except UnicodeDecodeError as error:
        raise InputError(f"The {name} are bytes and not UTF-8 ({error}). Store them as text.") from error


def names_of(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """What the maps, or embeddings, of a file are of. InputError when `names` is no row of names."""
    return texts(arrays["names"], "names")


def in_float32(values: np.ndarray, array: str, axes: tuple[int, ...] = (-2, -1)) -> np.ndarray:
    """float32, in which maps are compared; `axes` are those of one map.

    InputError names the array whose finite values are too large for that, or one of whose maps would lose in it the
    differences of its pixels.
    """
    given = np.asarray(values)
    if given.dtype.kind not in "fiub":
        raise InputError(f"The array {array} is of type {given.dtype}. Give numbers.")
    if _may_be_large(given.dtype) and (lost := (np.abs(given) > LARGEST) & np.isfinite(given)).any():
        raise InputError(
            f"The array {array} holds {float(given[lost][0]):g}, which does not fit float32, in which maps are "
            f"stretched and added up (at most {LARGEST:g}). Scale all maps by one factor and export them again."
        )
    if given.size and not np.can_cast(given.dtype, np.float32):
        _check_differences(given, array, axes)
    return np.asarray(given, np.float32)


def _check_differences(given: np.ndarray, array: str, axes: tuple[int, ...]) -> None:
    """InputError when a map that float32 rounds has less than `STEPS` of its steps from its lowest to its highest."""
    low, high = given.min(axis=axes, keepdims=True), given.max(axis=axes, keepdims=True)
    largest = np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    single = np.finfo(np.float32)
    step = np.maximum(largest * single.eps / 2, single.smallest_subnormal)
    spread = _spread(low, high)
    lost = (spread > _noise(given.dtype, largest)) & (spread < STEPS * step)
    if given.dtype.kind == "f":
        lost &= (given != given.astype(np.float32)).any(axis=axes, keepdims=True)
    if lost.any():
        raise InputError(
            f"The array {array} holds a map from {low[lost][0]} to {high[lost][0]}: float32, in which maps are "
            f"compared, has less than {STEPS} steps between the two, and differences of its pixels would be lost. "
            "Subtract from each map what its pixels have in common, or bring all maps near 1 by one factor, and export "
            "them again. Where these differences mean nothing, store float32."
        )


def _spread(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    if low.dtype.kind != "f":
        return (high.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64)  # exact, also where both wrap
    with np.errstate(invalid="ignore"):  # inf - inf: such maps are refused, or left out, by name
        return high - low


def _noise(dtype: np.dtype, largest: np.ndarray) -> float:
    finite = largest[np.isfinite(largest)]
    return NOISE * float(np.finfo(dtype).eps) * finite.max() if dtype.kind == "f" and finite.size else 0.0


def _may_be_large(dtype: np.dtype) -> bool:
    return dtype.kind == "f" and float(np.finfo(dtype).max) > LARGEST  # a number of float16 would overflow beside it
