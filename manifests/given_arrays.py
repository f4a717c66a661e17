"""What callers of Python hand over, as numpy's and Python's own: arrays and numbers of whatever library, paths, texts.

A caller may hand over anything in any place; what is of another kind is answered here, and not wherever it breaks.
"""

import os
import sys
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests.errors import InputError

if TYPE_CHECKING:
    import numpy as np

LONGEST_SHOWN = 60  # characters


def given_array(given: Any, what: str) -> "np.ndarray":
    """An array of any library as numpy's. InputError, which begins with `what`, where that cannot be, as of lists of
    several lengths, and for one that hides some of its numbers."""
    import numpy as np

    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise InputError(f"{what} has masked numbers, which would count as any other. Fill them, with `filled`.")
    try:
        return np.asarray(_of_torch(given))
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{what} is a {type(given).__name__} that is no array: {said}. Give a numpy array.") from error


def _of_torch(given: Any) -> Any:
    """A tensor of torch as numpy can read it: from its device, without gradients, in float32 where numpy has no such
    type (bfloat16). Anything else as it is."""
    torch = sys.modules.get("torch")  # nobody has a tensor who has not loaded it
    if torch is None or not isinstance(given, torch.Tensor):
        return given
    tensor = given.detach().cpu()
    own = {torch.float16, torch.float32, torch.float64}
    return tensor if not tensor.is_floating_point() or tensor.dtype in own else tensor.float()


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
