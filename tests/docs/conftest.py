"""A desk for a reader of the pages."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Desk


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pipeline`, `index` and `training` of this tree, whatever is installed."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("pipeline", "index", "training"):
        script = folder / name
        script.write_text(
            f"#!{sys.executable}\nfrom {name}.cli import main\n\nif __name__ == '__main__':\n    main()\n"
        )
        script.chmod(0o755)
    return folder


@pytest.fixture
def desk(tmp_path: Path, commands: Path) -> Iterator[Desk]:
    """An empty desk with a shell."""
    desk = Desk(tmp_path, commands)
    yield desk
    desk.close()
