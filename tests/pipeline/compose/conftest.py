"""Small material, and a corpus composed of it."""

from pathlib import Path

import pytest
from material import write_material

from pipeline.compose.corpus import MaterialFolders, write_composed
from pipeline.compose.settings import Settings

CLIPS = 60
SETTINGS = Settings(clips=CLIPS, seed=3, several=0.2, distractors=0.3, off_screen=0.1, silent=0.1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def material(folder: Path) -> MaterialFolders:
    return MaterialFolders(folder, folder, folder / "backgrounds")


@pytest.fixture(scope="session")
def corpus(material: MaterialFolders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("composed") / "corpus"
    write_composed(out, material, SETTINGS, workers=2)
    return out


@pytest.fixture(scope="session")
def settings() -> Settings:
    return SETTINGS
