"""Is a test set what its name says? A known name (vggss, flickr, is3 ...) belongs to the released content alone.

A set fits a name when its file's hash or its number of clips is that of the catalogue. What does not fit is called by
the name and the first characters of its hash, so that no number stands beside a published one it cannot be compared
with, and two sets never share a file.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from manifests.catalogue import ReleasedList, catalogue
from manifests.splits import IdList
from manifests.test_sets import Truth
from manifests.truth import read_parts

ALSO_CALLED = {"flickr": ("flickr_test", "flickr_test_249")}
NEVER_READ = frozenset({"music_synthetic"})  # papers have numbers of it; its hash and count are not known here
EXTENDED = "extended_"
SHORT = 8  # characters of a hash in a name


def fits_name(name: str, sha256: str, clips: int, negatives: int | None = None) -> bool:
    """Whether content of this hash and count may be called `name`; any content may bear a name that is not known.

    A name with negatives is `extended_<set>`, one narrowed to a list `<set>-<list>`: there the list's count decides.
    """
    whole, _, part = name.removeprefix(EXTENDED).partition("-")
    if name in NEVER_READ:
        return False
    silent = catalogue().get(name) if name.startswith(EXTENDED) else None
    if silent is not None and negatives is not None and negatives != silent.clips:
        return False
    if part and part not in catalogue():
        return True
    known = [catalogue()[part]] if part and _called(whole) else _called(whole)
    return not known or any(one.sha256 == sha256 or one.clips == clips for one in known)


def named_by_content(truth: Truth) -> Truth:
    """The truth under a name that its content may bear."""
    test_set = truth.test_set
    if not fits_name(test_set.name, test_set.sha256, len(test_set.annotations)):
        test_set = replace(test_set, name=f"{test_set.name}-{test_set.sha256[:SHORT]}")
    if truth.extended is None:
        return replace(truth, test_set=test_set)
    extended = replace(truth.extended, name=f"{EXTENDED}{test_set.name}", positives=test_set)
    if not fits_name(extended.name, test_set.sha256, len(test_set.annotations), len(extended.negatives)):
        extended = replace(extended, name=f"{extended.name}-{extended.sha256[:SHORT]}")
    return replace(truth, test_set=test_set, extended=extended)


def named_parts(
    path: Path | str,
    format: str,
    lists: Sequence[IdList],
    *,
    negatives: Path | str | None = None,
    name: str | None = None,
) -> tuple[Truth, tuple[Truth, ...]]:
    """`read_parts` under names that contents may bear: a part is called after the name of the whole and its list."""
    whole, parts = read_parts(path, format, lists, negatives=negatives, name=name)
    known = named_by_content(whole)
    if parts[0] is whole:
        return known, (known,)
    names = [f"{known.test_set.name}-{listed.name}" for listed in lists]
    return known, tuple(named_by_content(part.called(name)) for part, name in zip(parts, names, strict=True))


def _called(name: str) -> list[ReleasedList]:
    """The released test sets of this name."""
    names = ALSO_CALLED.get(name) or (one for one in (name,) if one in catalogue() and catalogue()[one].role == "test")
    return [catalogue()[one] for one in names]
