"""The recipes of docs/extending.md, as they stand there: each adds a thing in a temporary module of its package."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pages import read_blocks
from places import ROOT
from shard_maker import MadeClip, write_shards

import training.methods
from training.config import load_config
from training.loop.start import start
from training.methods import method_names

RECIPES = {
    block.text.partition("\n")[0].removeprefix("# "): block.text
    for block in read_blocks(ROOT / "docs" / "extending.md")
    if block.language in ("python", "yaml")
}


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules are modules of `training.methods`, too, as long as the test runs."""
    folder = tmp_path / "methods"
    folder.mkdir()
    monkeypatch.setattr(training.methods, "__path__", [*training.methods.__path__, str(folder)])
    before = set(sys.modules)
    importlib.invalidate_caches()
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("training.methods."):
            del sys.modules[name]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Forty clips: a coloured square and a band of noise."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)
    spectrograms = rng.normal(-12, 1, (40, 257, 300)).astype(np.float16)
    clips = [MadeClip(f"clip{n:07d}_000000", frames[n], spectrograms[n]) for n in range(40)]
    return write_shards(tmp_path / "shards", clips, short_side=64)


def written(folder: Path, place: str) -> Path:
    path = folder / Path(place).name
    path.write_text(RECIPES[place])
    return path


def test_a_method_is_one_file(added: Path, shards: Path, tmp_path: Path) -> None:
    assert "mean_contrast" not in method_names()
    written(added, "training/methods/mean_contrast.py")
    assert "mean_contrast" in method_names()
    config = load_config(written(tmp_path, "training/configs/mean_contrast.yaml"), (f"data.shards={shards}",))
    folder, trained = start(config, tmp_path / "runs", "cpu")
    assert trained
    losses = [json.loads(line)["loss"]["total"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert losses
    assert all(0 < loss < 10 for loss in losses)
    assert (folder / "weights.safetensors").is_file()
