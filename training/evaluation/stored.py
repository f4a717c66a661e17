"""What of a result lies in a run's folder, and when it is whole: the one rule for whoever finds results.

`<set>.<protocol>.json` holds the numbers and `<set>.<protocol>.parquet` beside it the samples they are made of; each is
as it was written. What the run showed lies there as well, once for all protocols of a set: `<set>.maps.npz`, and
`<set>.controls.npz` where a protocol shows images under other sounds. Numbers without their samples are refused. Arrays
can be left behind when a run is copied: numbers do not need them, `training evaluate` makes them again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.checksums import check_file, check_sealed
from manifests.content import read_object
from manifests.errors import InputError
from manifests.given_files import understood

AGAIN = "Evaluate the run again."
PRIOR = "object_prior"  # among the lists of a result
RAW_MAPS, CONTROLS = "maps", "controls"
NEEDED = ("test_set", "protocol", "n_expected", "n_scored", "scores", "floors", "ceiling")


def read_result(path: Path) -> dict[str, Any]:
    """The document of a result whose numbers are whole. InputError says what is damaged, or not there."""
    facts = read_object(path, remedy=AGAIN)
    if absent := [name for name in NEEDED if name not in facts]:
        raise InputError(f"{path} is damaged: an evaluation result has {', '.join(absent)}. {AGAIN}")
    with understood(path, "is damaged", AGAIN):
        digests = check_sealed(facts)
    table = path.with_suffix(".parquet")
    if not table.is_file():
        raise InputError(f"{path} is damaged: {table.name}, the samples of its numbers, is not beside it. {AGAIN}")
    with understood(table, "is damaged", AGAIN):
        check_file(table, digests)
    return facts


def made_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a result was made of, beside its set and its run: shards, pairs and object prior, each by what is in it and
    whatever it is called."""
    lists = facts.get("lists", {})
    digests = {name: lists.get(name, {}).get("sha256") for name in ("shards", "pairs")}
    return digests | {PRIOR: prior_of(facts)}


def differing(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of results, name -> document, that share a file of maps and were not all made of the same, so that it is
    of some of them only; none where they agree."""
    made = [made_of(facts) for facts in found.values()]
    return sorted(found) if any(one != made[0] for one in made) else []


def prior_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The object prior of a result without its name; nothing where it has none, or was made before results named it."""
    return {key: value for key, value in facts.get("lists", {}).get(PRIOR, {}).items() if key != "name"}


def arrays_file(folder: Path, file_set: str, kind: str) -> Path:
    """Where what a run showed of a set lies, `kind` being RAW_MAPS or CONTROLS; `file_set` as `results.file_name`."""
    return folder / f"{file_set}.{kind}.npz"


def kinds_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """The kinds of arrays that belong to a result."""
    return (RAW_MAPS, CONTROLS) if "controls" in facts else (RAW_MAPS,)
