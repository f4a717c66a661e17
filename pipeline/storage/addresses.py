"""Addresses (`s3://bucket/folder`) where only a place on this machine can be: refused, as they would become folders.

`pathlib` takes `s3://bucket/runs` for the folder `s3:` here, into which a command would write without a word.
"""

import re

from manifests.errors import InputError
from manifests.files.given import printable
from pipeline.storage.secrets import without_secrets

_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_address(text: object) -> bool:
    """Whether what somebody typed is an address, and no path."""
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def check_here(text: object, what: str) -> None:
    """InputError where an address is given for `what`, an option or a key. No password in it is repeated."""
    if is_address(text):
        raise InputError(
            f"{what} is {printable(without_secrets(str(text)))}, an address, and has to be a path or a name on this "
            "machine: only videos that are ingested and shards may lie in a storage."
        )
