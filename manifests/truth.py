"""Truth by format name: the one place a command line's `--format` becomes annotations.

A format is found by module: whatever a module of `manifests.readers` declares as `FORMATS`. `wanted` narrows a set to
a released list (heard and unheard classes, 250 of 5,000 Flickr images), and the list's name stays in the set's name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import manifests.readers
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.recognised import ARRAY, ARRAYS, JSON, PARQUET, TEXT, words_of
from manifests.readers.extended import read_extended
from manifests.splits import IdList
from manifests.test_sets import Format, Truth

USUAL_FORMAT = "vggss"  # meant where none is named
TABLE = "parquet"  # of one's own


def formats() -> dict[str, Format]:
    """Every format by name, in the order of names; modules import nothing heavy before they read."""
    names = (module.name for module in iter_modules(manifests.readers.__path__))
    modules = [import_module(f"{manifests.readers.__name__}.{name}") for name in names]
    found = {name: format for module in modules for name, format in getattr(module, "FORMATS", {}).items()}
    return dict(sorted(found.items()))


def format_names() -> tuple[str, ...]:
    """What `--format` takes."""
    return tuple(formats())


def format_help() -> str:
    """The names in one phrase: `a, b or c`."""
    *most, last = format_names()
    return f"{', '.join(most)} or {last}"


def find_format(name: str) -> Format:
    """A format by name. InputError lists the known ones."""
    known = formats()
    if name not in known:
        raise InputError(
            f"There is no annotation format {name!r}.{did_you_mean(name, known)} The known ones are {', '.join(known)}."
        )
    return known[name]


def read_truth(
    path: Path | str,
    format: str,
    *,
    negatives: Path | str | None = None,
    wanted: IdList | None = None,
    name: str | None = None,
) -> Truth:
    """Read annotations of a format; `name` renames the set. InputError as the format's reader.

    A list `wanted` of a set with silent pairs is scored without them, unless their csv is given.
    """
    if find_format(format).needs_negatives and negatives is None and wanted is None:
        raise InputError(f"Format {format} is a set with silent pairs: give their csv with --negatives as well.")
    return _read(path, format, negatives, wanted, name)


def _read(
    path: Path | str, format: str, negatives: Path | str | None, wanted: IdList | None, name: str | None
) -> Truth:
    known = find_format(format)
    with _said_as(format, known, Path(path)):
        truth = known.read(Path(path), wanted if known.narrows else None)
    if negatives is not None:  # what kind a pair is the classes of the whole set say
        truth = replace(truth, extended=read_extended(negatives, truth.test_set))
    if wanted is not None and not known.narrows:
        truth = truth.narrowed(wanted)
    return replace(truth.called(name) if name else truth, format=format)


@contextmanager
def _said_as(name: str, known: Format, path: Path) -> Iterator[None]:
    """Say with what is wrong with annotations which form of them was expected, and which they have."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error} It was read as --format {name} ({known.help}).{_meant(name, path)}") from error


def _meant(name: str, path: Path) -> str:
    """What may have been meant by a file that is of another kind than a format's."""
    held = words_of(path)
    if held == PARQUET and name != TABLE:
        return f" For a table of boxes of your own give --format {TABLE}."
    if held in (ARRAYS, ARRAY):
        return " Maps are what `training score --maps` takes; --truth takes annotations."
    if name not in (TABLE, USUAL_FORMAT) or path.name.endswith(".gz"):
        return ""
    if held == JSON and name == TABLE:
        return f" JSON in VGG-SS's form is --format {USUAL_FORMAT}."
    own = f"a parquet table (--format {TABLE}) or JSON (--format {USUAL_FORMAT})"
    return f" Boxes of your own are {own}: docs/your-data.md has both." if held == TEXT else ""


def read_parts(
    path: Path | str,
    format: str,
    lists: Sequence[IdList],
    *,
    negatives: Path | str | None = None,
    name: str | None = None,
) -> tuple[Truth, tuple[Truth, ...]]:
    """The whole set and what of it is scored: all, or the clips of each list, named after both, with those silent pairs
    whose image is in the list, or another moment of a video that is.

    Where one list is the test set (`Format.narrows`), the set is read as that list and scored whole.
    """
    alone = len(lists) == 1 and find_format(format).narrows
    if alone or not lists:
        whole = read_truth(path, format, negatives=negatives, wanted=lists[0] if alone else None, name=name)
        return whole, (whole,)
    whole = _read(path, format, negatives, None, name)
    set_name = whole.test_set.name
    read = partial(read_truth, path, format, negatives=negatives)
    return whole, tuple(read(wanted=each, name=f"{set_name}-{each.name}") for each in lists)
