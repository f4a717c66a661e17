"""Where things lie that tests need: the repository, the helpers, and the reference data beside the repository."""

from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
SHARED = ROOT.parent / "shared"
METADATA = SHARED / "data" / "metadata"
VIDEOS = SHARED / "data" / "videos"
GOLDEN = SHARED / "golden"
PYTHONPATH = f"{SUPPORT}:{ROOT}"  # of a child process that imports helpers and packages


def needed(path: Path) -> Path:
    """The path, where it exists; the test skips and says what is absent where it does not."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT.parent)} does not lie beside the repository")
    return path
