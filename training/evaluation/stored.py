"""What of a result lies in a run's folder, and when it is whole: the one rule for whoever finds results.

`<set>.<protocol>.json` holds the numbers and `<set>.<protocol>.parquet` beside it the samples they are made of; each is
as it was written. What the run showed lies there as well, once for all protocols of a set: `<set>.maps.npz`, and
`<set>.controls.npz` where a protocol shows images under other sounds, `<set>.controls+seed7.npz` of those of another
draw. Numbers without their samples are refused. Arrays can be left behind when a run is copied: numbers do not need
them, `training evaluate` makes them again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.checksums import check_file, check_sealed
from manifests.files.content import read_object
from manifests.files.given import has_file, understood
from manifests.sound_draws import draws_of, word_of

AGAIN = "Evaluate the run again."
PRIOR, WEIGHTS, REFERENCES = "object_prior", "weights", "references"  # among the lists of a result
SOURCES = ("shards", "pairs", REFERENCES, PRIOR)
VALIDATION = "validation"  # as well, of a result whose threshold is of other clips
RAW_MAPS, CONTROLS = "maps", "controls"
NOT_EMPTY = ("protocol", "scores", "floors")
NEEDED = ("test_set", "protocol", "n_expected", "n_scored", "scores", "floors", "ceiling")


def stored_results(folder: Path) -> list[Path]:
    """The documents of a folder of results, in order; not hidden files that killed processes or file systems leave."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def read_result(path: Path) -> dict[str, Any]:
    """The document of a result whose numbers are whole. InputError says what is damaged, or not there."""
    facts = read_object(path, remedy=AGAIN)
    if absent := [name for name in NEEDED if name not in facts]:
        raise InputError(f"{path} is damaged: an evaluation result has {', '.join(absent)}. {AGAIN}")
    if empty := [name for name in NOT_EMPTY if not isinstance(facts[name], dict) or not facts[name]]:
        raise InputError(f"{path} is damaged: nothing stands under {', '.join(empty)}. {AGAIN}")
    with understood(path, "is damaged", AGAIN):
        digests = check_sealed(facts)
    table = path.with_suffix(".parquet")
    if not has_file(table):
        raise InputError(f"{path} is damaged: {table.name}, the samples of its numbers, is not beside it. {AGAIN}")
    with understood(table, "is damaged", AGAIN):
        check_file(table, digests)
    return facts


def made_of(facts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What a result was made of beside its set and weights, each by what is in it and whatever it is called. A result
    of an earlier version does not name its object prior."""
    named = {name: source for name, source in facts.get("lists", {}).items() if name in SOURCES}
    return {name: {key: value for key, value in source.items() if key != "name"} for name, source in named.items()}


def prior_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The object prior of a result without its name; nothing where it has none, or was made before results named it."""
    return made_of(facts).get(PRIOR, {})


def differing(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of results, name -> document, that share a file of maps and were not all made of the same, so that it is
    of some of them only; none where they agree. Reference sounds are not asked of every protocol."""
    made = [{**made_of(facts), REFERENCES: {}} for facts in found.values()]
    return sorted(found) if any(one != made[0] for one in made) else []


def names_weights(facts: Mapping[str, Any]) -> bool:
    """Whether a result says of what weights it is; those of earlier versions do not."""
    return WEIGHTS in facts.get("lists", {})


def weights_problem(facts: Mapping[str, Any], sha256: str) -> str:
    """What is wrong with a result beside weights of this content; "" for one of these, or that does not name any."""
    own = facts.get("lists", {}).get(WEIGHTS, {}).get("sha256", sha256)
    return "" if own == sha256 else "was scored with other weights than those beside it"


def arrays_file(folder: Path, file_set: str, kind: str) -> Path:
    """Where what a run showed of a set lies, `kind` being RAW_MAPS or a `controls_kind`; `file_set` as
    `results.file_name`."""
    return folder / f"{file_set}.{kind}.npz"


def kinds_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """The kinds of arrays that belong to a result."""
    return (RAW_MAPS, controls_kind(facts["protocol"])) if "controls" in facts else (RAW_MAPS,)


def controls_kind(protocol: Mapping[str, Any]) -> str:
    """The kind of arrays under foreign sounds that a protocol, by its fields, asks for."""
    return f"{CONTROLS}{word_of(draws_of(protocol))}"
