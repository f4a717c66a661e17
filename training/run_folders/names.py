"""What a run's folder is called: `<overrides>-<digest>-s<seed>`, or `<digest>-s<seed>` where nothing was overridden.

The digest tells runs apart, the overrides say to a person in what: `epochs=5,k=30-0123abcd-s0`. Folders of earlier
versions have the digest and the seed alone, and are found by them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

LONGEST = 80  # characters of the overrides in a name
PRINTED = ("paper", "published")
NO_TRAINING = ("seed", "name", "compute", "evaluation", "validation", *PRINTED, "checkpoint_minutes", "log_every")
_PARTS = re.compile(r"(?:(?P<said>.+)-)?(?P<digest>[^-]+)-s(?P<seed>\d+)")
_UNSAFE = re.compile(r"[^A-Za-z0-9.+_-]+")


def run_name(overrides: Sequence[str], digest: str, seed: int) -> str:
    """The folder's name; overrides that change nothing that is trained are not in it."""
    words = [_word(each) for each in overrides if each.partition("=")[0].partition(".")[0] not in NO_TRAINING]
    return "-".join(filter(None, [",".join(words)[:LONGEST].rstrip("-,"), digest, f"s{seed}"]))


def _word(override: str) -> str:
    """`section.key=value` as key=value, in characters that every file system and shell takes as they are."""
    key, _, value = override.partition("=")
    shown = Path(value).name if "/" in value else value
    return f"{key.rpartition('.')[2]}={_UNSAFE.sub('+', shown).strip('+')}"


def configuration_of(name: str) -> str:
    """The digest in a folder's name, which the seeds of one configuration share; a name of another form as it is."""
    found = _PARTS.fullmatch(name)
    return found["digest"] if found else name


def seed_of(name: str) -> int | None:
    """The seed in a folder's name; None in a name of another form."""
    found = _PARTS.fullmatch(name)
    return int(found["seed"]) if found else None


def with_seed(name: str, seed: int) -> str:
    """What the folder of a configuration is called whose seed is this one, from the name of another seed's."""
    return f"{name.removesuffix(f'-s{seed_of(name)}')}-s{seed}"


def said_of(name: str) -> str:
    """The overrides in a folder's name, or the digest where it holds none."""
    found = _PARTS.fullmatch(name)
    return name if found is None else found["said"] or found["digest"]


def folder_of(root: Path, overrides: Sequence[str], digest: str, seed: int) -> Path:
    """Where the run of a digest lies under `root`, whatever was overridden when it was made; else where it will."""
    there = (path for path in sorted(root.glob(f"*{digest}-s{seed}")) if path.is_dir())
    return next((path for path in there if configuration_of(path.name) == digest), None) or root / run_name(
        overrides, digest, seed
    )
