"""What a config names (shards, annotations, formats, protocols), looked for where the config has mistakes already: a
person then corrects all of them at once."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.given import is_there
from manifests.truth import find_format
from pipeline.shards.joined import open_shards
from training.config import RunConfig, load_config
from training.evaluation.protocols import find_protocol
from training.settings.attempts import Mistakes
from training.settings.mistakes import WrongConfig


def existing(path: Path | str) -> Path:
    """The path. InputError where nothing is there."""
    if not is_there(path):
        raise InputError(f"there is no file or folder {path}. Correct the path, or leave it out.")
    return Path(path)


CHECKS: dict[tuple[str, str], Callable[[Any], object]] = {
    ("data", "shards"): open_shards,
    ("evaluation", "truth"): existing,
    ("evaluation", "format"): find_format,
    ("evaluation", "negatives"): existing,
    ("evaluation", "protocols"): find_protocol,
    ("validation", "truth"): existing,
    ("validation", "format"): find_format,
    ("validation", "protocol"): find_protocol,
}


def load_named(path: Path, overrides: tuple[str, ...] = ()) -> RunConfig:
    """As `load_config`. Beside the mistakes of a config it says what the config names in vain."""
    try:
        return load_config(path, overrides)
    except WrongConfig as error:
        mistakes = Mistakes()
        for where, check, name in _names(error.content):
            mistakes.attempt(where, check, name)
        raise error.with_lines([f"  {line}" for line in mistakes.found]) from error


def _names(content: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Any], object], str]]:
    """Every name that stands in the config: where, what looks for it, and the name."""
    for (section, key), check in CHECKS.items():
        within = content.get(section)
        given = within.get(key) if isinstance(within, Mapping) else None
        for name in given if isinstance(given, list | tuple) else [given]:
            if isinstance(name, str) and name:
                yield f"{section}.{key}", check, name
