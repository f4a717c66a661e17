"""Arrays that any program wrote, before they are used: numbers of the wanted shape, texts, maps in float32."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manifests.errors import InputError

LARGEST = 1e30  # of a map's values: what is stretched, enlarged and added up over an image stays within float32


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


def in_float32(values: np.ndarray, array: str) -> np.ndarray:
    """float32, in which maps are compared. InputError names the array whose finite values are too large for that."""
    given = np.asarray(values)
    if given.dtype.kind not in "fiub":
        raise InputError(f"The array {array} is of type {given.dtype}. Give numbers.")
    if _may_be_large(given.dtype) and (lost := (np.abs(given) > LARGEST) & np.isfinite(given)).any():
        raise InputError(
            f"The array {array} holds {float(given[lost][0]):g}, which does not fit float32, in which maps are "
            f"stretched and added up (at most {LARGEST:g}). Scale all maps by one factor and export them again."
        )
    return np.asarray(given, np.float32)


def _may_be_large(dtype: np.dtype) -> bool:
    return dtype.kind == "f" and np.finfo(dtype).max > LARGEST
