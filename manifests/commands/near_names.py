"""What to say of a name that does not exist: the one that was probably meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " Did you mean X?", with its leading blank; nothing when no known name is near. Cases and what stands between
    words do not count: `EZ-VSL` is near to `ezvsl`."""
    near = nearest(name, known)
    return "" if near is None else f" Did you mean {near}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    bare, known = _bare(name), list(known)
    whole, begun = {_bare(one): one for one in known}, {_bare(one)[: len(bare)]: one for one in reversed(known)}
    for spelled, cutoff in ((whole, 0.6), (begun, 0.75)):  # as a whole, or as the beginning of a longer name
        if near := difflib.get_close_matches(bare, list(spelled), 1, cutoff):
            return spelled[near[0]]
    return None


def _bare(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
