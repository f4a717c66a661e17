"""Where things lie that tests need: the repository, the helpers, and the reference data beside the repository."""

from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
SHARED = ROOT.parent / "shared"
METADATA = SHARED / "data" / "metadata"
VIDEOS = SHARED / "data" / "videos"
GOLDEN = SHARED / "golden"
MINIATURES = ROOT / "tests" / "miniatures" / "lists"
LISTS = {"made": MINIATURES} | ({"released": METADATA} if METADATA.is_dir() else {})  # annotation files and lists
PYTHONPATH = f"{SUPPORT}:{ROOT}"  # of a child process that imports helpers and packages


def needed(path: Path) -> Path:
    """The path, where it exists; the test skips and says what is absent where it does not."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT.parent)} does not lie beside the repository")
    return path
