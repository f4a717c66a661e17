"""Folders as earlier versions left them."""

import json
from pathlib import Path

from manifests.files.checksums import KEY


def without_checksum(path: Path) -> None:
    """Take a JSON document's checksum away; what it holds may then be another, and is judged by what it says."""
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != KEY}))
