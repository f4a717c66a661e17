"""What callers of Python hand over, as numpy's and Python's own: arrays and numbers of whatever library, paths, texts.

A caller may hand over anything in any place; what is of another kind is answered here, and not wherever it breaks.
"""

import os
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests.errors import InputError

if TYPE_CHECKING:
    import numpy as np

LONGEST_SHOWN = 60  # characters


def given_array(given: Any, what: str) -> "np.ndarray":
    """An array of any library as numpy's. InputError, which begins with `what`, where that cannot be: lists of several
    lengths, a tensor on a GPU or one that gradients flow through."""
    import numpy as np

    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{what} is a {type(given).__name__} that is no array: {said}. Give a numpy array.") from error


def given_path(given: Any, what: str) -> Path:
    """A path or its text. InputError, which begins with `what`, for any other kind, and for an empty one."""
    if not isinstance(given, str | os.PathLike) or not isinstance(os.fspath(given), str):
        raise InputError(f"{what} is {kind_of(given)}. Give a path.")
    if not os.fspath(given):  # Path would make the current folder of it
        raise InputError(f"{what} is an empty text. Give a path; the current folder is written as a dot.")
    return Path(given)


def given_text(given: Any, what: str) -> str:
    """InputError, which begins with `what`, for what is no text."""
    if not isinstance(given, str):
        raise InputError(f"{what} is {kind_of(given)}. Give one text.")
    return given


def given_place(given: Any, length: int, what: str) -> int:
    """A whole number of any library, from 0 to before `length`. InputError, which begins with `what`, for another."""
    try:
        place = index(given)
    except TypeError as error:
        raise InputError(f"{what} is {kind_of(given)}. Give a whole number from 0 to {length - 1}.") from error
    if not 0 <= place < length:
        raise InputError(f"{what} is {place}. Give a whole number from 0 to {length - 1}.")
    return place


def kind_of(given: Any) -> str:
    """What something is, in words that do not print all of it."""
    return "None" if given is None else f"of the type {type(given).__name__}"


def in_short(given: Any) -> str:
    """What was given in place of a number, for a message: as it is where that is short."""
    text = str(given)
    return text if len(text) <= LONGEST_SHOWN and text.isprintable() else f"something {kind_of(given)}"


def number_of(given: Any) -> float:
    """A number of any library; NaN, which is in no range, for what is none, text in digits as well."""
    if isinstance(given, str | bytes):
        return float("nan")
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return float("nan")
