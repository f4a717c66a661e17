"""What to say of a name that does not exist: the one that was probably meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " Did you mean X?", with its leading blank; nothing when no known name is near. Cases and what stands between
    words do not count: `EZ-VSL` is near to `ezvsl`."""
    spelled = {_bare(one): one for one in known}
    near = difflib.get_close_matches(_bare(name), list(spelled), 1)
    return f" Did you mean {spelled[near[0]]}?" if near else ""


def _bare(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
