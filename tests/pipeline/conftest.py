"""Fixtures of the pipeline tests."""

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    """A helper module beside this file; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Waits for a condition, at most so many seconds."""

    def wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def clip_maker() -> ModuleType:
    """The module `clips`: frames, tones, and how to read a frame's number."""
    return _load("clips")


@pytest.fixture(scope="session")
def clips(clip_maker: ModuleType, tmp_path_factory: pytest.TempPathFactory):
    """Makes tiny real clips in a folder of the session."""
    return clip_maker.ClipFactory(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def real_videos() -> Path:
    """The folder of real files, good and bad, that lies beside the repository; absent for users."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "videos"
    if not folder.is_dir():
        pytest.skip(f"no real videos at {folder}")
    return folder
