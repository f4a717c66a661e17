"""A desk for a reader of the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Desk, write_commands


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pipeline`, `index` and `training` of this tree, whatever is installed."""
    return write_commands(tmp_path_factory.mktemp("bin"))


@pytest.fixture
def desk(tmp_path: Path, commands: Path) -> Iterator[Desk]:
    """An empty desk with a shell."""
    desk = Desk(tmp_path, commands)
    yield desk
    desk.close()
