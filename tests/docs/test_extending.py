"""The recipes of docs/extending.md, as they stand there: each adds a thing in a temporary module of its package."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pages import read_blocks
from places import ROOT
from shard_maker import MadeClip, write_shards

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.test_sets import Truth
from manifests.truth import format_names, read_truth
from pipeline.annotate import annotate
from pipeline.media.front_ends import find_front_end, front_end_names
from training.config import load_config
from training.evaluation.document import document
from training.evaluation.printing import protocols_page, table
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.loop.start import start
from training.methods import method_names, method_page

RECIPES = {
    block.text.partition("\n")[0].removeprefix("# "): block.text
    for block in read_blocks(ROOT / "docs" / "extending.md")
    if block.language in ("python", "yaml")
}
KEYS = [f"clip{number:07d}_000000" for number in range(40)]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a recipe's module into a folder that belongs to its package as long as the test runs."""
    added = []

    def put(place: str) -> None:
        path = Path(place)
        package = importlib.import_module(".".join(path.parent.parts))
        folder = tmp_path / path.parent
        folder.mkdir(parents=True)
        (folder / path.name).write_text(RECIPES[place])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        importlib.invalidate_caches()
        added.append(f"{package.__name__}.{path.stem}")

    yield put
    for name in added:
        sys.modules.pop(name, None)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Forty clips of noise."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)
    spectrograms = rng.normal(-12, 1, (40, 257, 300)).astype(np.float16)
    clips = [MadeClip(key, frames[number], spectrograms[number]) for number, key in enumerate(KEYS)]
    return write_shards(tmp_path / "shards", clips, short_side=64)


def test_every_recipe_is_tried() -> None:
    assert sorted(RECIPES) == [
        "manifests/readers/pets.py",
        "pipeline/media/front_ends/log_power_16000_400_160_v1.py",
        "training/configs/mean_contrast.yaml",
        "training/evaluation/metrics/pointing.py",
        "training/evaluation/protocols/quarter.py",
        "training/methods/mean_contrast.py",
    ]


def test_a_method_is_one_file(add: Callable, shards: Path, tmp_path: Path) -> None:
    assert "mean_contrast" not in method_names()
    add("training/methods/mean_contrast.py")
    assert "mean_contrast" in method_names()
    assert method_page("mean_contrast").startswith("Mean contrast: every cell")
    (tmp_path / "mean_contrast.yaml").write_text(RECIPES["training/configs/mean_contrast.yaml"])
    config = load_config(tmp_path / "mean_contrast.yaml", (f"data.shards={shards}",))
    folder, trained = start(config, tmp_path / "runs", "cpu")
    assert trained
    losses = [json.loads(line)["loss"]["total"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert losses
    assert all(0 < loss < 10 for loss in losses)
    assert (folder / "weights.safetensors").is_file()


def test_a_data_set_is_one_file(add: Callable, shards: Path, tmp_path: Path) -> None:
    assert "pets" not in format_names()
    add("manifests/readers/pets.py")
    assert "pets" in format_names()
    truth = tmp_path / "pets.csv"
    truth.write_text(f"file,label,x1,y1,x2,y2\n{KEYS[3]}.mp4,cat,0.1,0.2,0.5,0.6\nelsewhere.mp4,dog,0,0,1,1\n")
    found = read_truth(truth, "pets")
    assert found.test_set.annotations[0] == Annotation(KEYS[3], "cat", ((0.1, 0.2, 0.5, 0.6),))
    assert annotate(shards, truth, "pets")["clips"] == "1 of the 2 annotated ones are in the shards"
    truth.write_text("file,label,x1,y1,x2,y2\na.mp4,cat,0.1,0.2,0.5\n")
    with pytest.raises(InputError, match="row 2, has no box"):
        read_truth(truth, "pets")


def scored(protocol: str) -> tuple[dict, str]:
    """The document and the printed table of four maps that fall off from a peak, in their clip's box three times."""
    rows, columns = np.mgrid[:7, :7]
    maps = np.stack([-np.hypot(rows - peak, columns - peak) for peak in (1, 1, 1, 6)]).astype(np.float32)
    clips = TestSet("tiny", tuple(Annotation(key, "dog", ((0.0, 0.0, 0.4, 0.4),)) for key in KEYS[:4]), "t.json", "0")
    result = score(RawMaps(KEYS[:4], maps), Truth("vggss", clips), protocol)
    return document(result), table(result.summary)


def test_a_metric_is_one_file(add: Callable) -> None:
    assert "pointing" not in scored("ezvsl")[0]
    add("training/evaluation/metrics/pointing.py")
    found, printed = scored("ezvsl")
    assert found["pointing"]["audio_visual"]["pointing"] == 0.75
    assert "by its highest cell: pointing 75.00" in printed


def test_a_protocol_is_one_file(add: Callable) -> None:
    with pytest.raises(InputError, match="no protocol 'top_quarter'"):
        scored("top_quarter")
    add("training/evaluation/protocols/quarter.py")
    assert "top_quarter" in protocols_page()
    found, _ = scored("top_quarter")
    assert found["protocol"]["level"] == 0.75
    half = scored("ezvsl")[0]
    assert all(ours["iou"] > their["iou"] for ours, their in zip(found["rows"][:3], half["rows"], strict=False))


def test_a_front_end_is_one_file(add: Callable) -> None:
    name = "log-power-16000-400-160-v1"
    assert name not in front_end_names()
    add("pipeline/media/front_ends/log_power_16000_400_160_v1.py")
    assert name in front_end_names()
    front_end = find_front_end(name)
    tone = np.sin(2 * np.pi * 1000 * np.arange(front_end.samples) / 16000).astype(np.float32)
    spectrogram = front_end.spectrogram(tone)
    assert spectrogram.shape == front_end.shape == (201, 300)
    inside = spectrogram[:, 2:-2]  # the ends hear the sound reflected
    assert (inside.argmax(axis=0) == 25).all()  # 1000 Hz, in rows 40 Hz apart
