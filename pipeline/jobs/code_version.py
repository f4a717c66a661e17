"""Which code runs: a worker of another version would plan or decode otherwise, so its work is refused at once."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import manifests
import pipeline
from manifests.errors import InputError

Result = TypeVar("Result")
SHOWN = 12  # digits of the hash


@cache
def code_version() -> str:
    """A hash of every line of code that ingest may run."""
    digest = hashlib.sha256()
    for package in (manifests, pipeline):
        for root in map(Path, package.__path__):
            for path in sorted(root.rglob("*.py")):
                digest.update(f"{path.relative_to(root.parent)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def run_as(version: str, work: Callable[..., Result], *job: object) -> Result:
    """`work(*job)`, where this process has that version of the code. InputError where it has another."""
    if code_version() != version:
        raise InputError(other_code("The worker that was given work", code_version(), version))
    return work(*job)


def other_code(where: str, there: object, here: str) -> str:
    """The sentence for a process that runs other code than this one."""
    return (
        f"{where} runs another version of this program ({str(there)[:SHOWN]}, here {here[:SHOWN]}). Install the same "
        "one everywhere, then start the workers again."
    )
