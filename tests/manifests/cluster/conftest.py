"""A desk for whoever runs the cluster's specs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Desk, write_commands


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty desk with a shell."""
    (tmp_path / "bin").mkdir()
    desk = Desk(tmp_path, write_commands(tmp_path / "bin"))
    yield desk
    desk.close()
