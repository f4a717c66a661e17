"""Arrays and numbers as callers of Python hand them over, of whatever library, as numpy's and Python's own."""

from typing import TYPE_CHECKING, Any

from manifests.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def given_array(given: Any, what: str) -> "np.ndarray":
    """An array of any library as numpy's. InputError, which begins with `what`, where that cannot be: lists of several
    lengths, a tensor on a GPU or one that gradients flow through."""
    import numpy as np

    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{what} is a {type(given).__name__} that is no array: {said}. Give a numpy array.") from error


def number_of(given: Any) -> float:
    """A number of any library; NaN, which is in no range, for what is none, text in digits as well."""
    if isinstance(given, str | bytes):
        return float("nan")
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return float("nan")
