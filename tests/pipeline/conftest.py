"""Fixtures of the pipeline tests."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numbered_clips
import pytest
from ingest_here import ingest_here
from places import PYTHONPATH, VIDEOS, needed


@pytest.fixture
def decoded(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Make the fake decoders importable in child processes; the contents decoded so far, in order."""
    log = tmp_path_factory.mktemp("log") / "decoded.txt"
    monkeypatch.setenv("FAKE_DECODER_LOG", str(log))
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    return lambda: log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def here() -> Iterator[None]:
    """Ingest makes shards in the test's own process."""
    with ingest_here():
        yield


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
    """The module `numbered_clips`: frames, tones, and how to read a frame's number."""
    return numbered_clips


@pytest.fixture(scope="session")
def clips(clip_maker: ModuleType, tmp_path_factory: pytest.TempPathFactory):
    """Makes tiny real clips in a folder of the session."""
    return clip_maker.ClipFactory(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def real_videos() -> Path:
    """The folder of real files, good and bad, that lies beside the repository; absent for users."""
    return needed(VIDEOS)
