"""What docs/export.md and docs/exchange.md show runs as it stands there."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import make_run, small_config
from pages import Desk, lay_out, read_blocks
from places import ROOT

from pipeline.media.front_ends import find_front_end
from training.data.views import normalise_audio, normalise_image
from training.export.folder import Wanted, export
from training.runs import load_run


def examples(page: str) -> list[str]:
    return [block.text for block in read_blocks(ROOT / "docs" / page) if block.language == "python"]


def ran(example: str, **given: object) -> dict[str, object]:
    """The names an example leaves."""
    names = dict(given)
    exec(compile(example, "example", "exec"), names)
    return names


def commands(page: str) -> str:
    blocks = (block for block in read_blocks(ROOT / "docs" / page) if block.language == "sh" and block.reason is None)
    return "\n".join(block.text for block in blocks)


@pytest.mark.slow  # an export of its own; tests/training/export holds exports to the model
def test_another_program_needs_numpy_and_onnxruntime_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="the export extra is not installed")
    example = examples("export.md")[-1]
    imported = {alias.name for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Import)
                for alias in node.names}  # fmt: skip
    assert imported == {"json", "numpy", "onnxruntime"}
    run = load_run(make_run(tmp_path / "run", small_config()))
    export(run, Wanted(tmp_path / "exported-model", ("onnx",)))
    front_end, rng = find_front_end(run.front_end), np.random.default_rng(0)
    pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    sound = rng.uniform(-1, 1, front_end.samples).astype(np.float32)
    np.save(tmp_path / "image.npy", pixels)
    np.save(tmp_path / "sound.npy", sound)
    monkeypatch.chdir(tmp_path)
    found = ran(example)
    heard = torch.from_numpy(front_end.spectrogram(sound))[None]
    assert np.abs(found["spectrogram"] - heard[0].numpy()).max() < 0.01  # float16 there
    image = normalise_image(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    with torch.no_grad():
        own = run.method(image, normalise_audio(heard, run.config.data)).map.numpy()
    assert np.abs(found["maps"] - own).max() < 1e-3


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_both_pages_run_as_written(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime", "datasets"):
        pytest.importorskip(library, reason="an extra is not installed")
    lay_out(desk.folder, 150)
    desk.run("pipeline ingest --src vggsound/ --out shards/; index build-knn --k 10; training run ezvsl_semantic.yaml")
    desk.run(commands("export.md"))
    desk.run(commands("exchange.md"))
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    loaded, by_hub, _ = examples("export.md")
    assert ran(loaded)["result"].maps.ndim == 3
    assert type(ran(by_hub, CHECKOUT=str(ROOT))["model"]).__name__ == "Localizer"
    shown = [ran(example) for example in examples("exchange.md")]
    assert len(shown[1]["clips"]) == 150
    assert len(shown[2]["clips"]["test"]) == 12
    assert len(shown[3]["keys"]) == 138
