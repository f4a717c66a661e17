"""Early stop against last: what is kept, on which clips it may be chosen, and that training does not notice."""

import json
from pathlib import Path

import pytest
import torch

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.config import load_config
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.report.comparison import as_text, comparisons
from training.report.results import read_run
from training.runs import load_run

CONFIG = """
name: tiny
method: {{name: ezvsl, temperature: 0.1, dimension: 16, positives: [own]}}
data: {{shards: {shards}, image_size: 32, lists: {folder}, exclude_test: []}}
encoders:
  image: {{blocks: [1, 1], width: 8, weights: none}}
  audio: {{blocks: [1, 1], width: 8, input_pool: [4, 3]}}
optim: {{epochs: 3, batch_size: 16, learning_rate: 1.0e-2}}
evaluation: {{truth: {folder}/test.json, test_set: boxes, protocols: [ezvsl]}}
{validation}
"""


@pytest.fixture
def config(shards: Path, tmp_path: Path):
    store = ShardStore.open(shards)
    columns = zip(store.keys, store.table["split"].to_pylist(), strict=True)
    keys = [key for key, split in columns if split == "test"]
    for name, chosen in (("val", keys[:8]), ("test", keys[8:])):
        entries = [{"file": key, "class": "c", "bbox": [[0.0, 0.1, 0.7, 0.9]]} for key in chosen]
        (tmp_path / f"{name}.json").write_text(json.dumps(entries))

    def write(validation: str):
        path = tmp_path / "tiny.yaml"
        path.write_text(CONFIG.format(shards=shards, folder=tmp_path, validation=validation))
        return load_config(path)

    return write


def test_the_best_epoch_is_kept_beside_the_last(config, tmp_path: Path) -> None:
    with_validation = config(f"validation: {{truth: {tmp_path}/val.json}}")
    folder, _ = start(with_validation, tmp_path / "runs", "cpu")
    history = json.loads((folder / "validation.json").read_text())
    assert len(history) == 3
    best, last = load_run(folder, weights="best"), load_run(folder)
    first_best = max(history, key=history.get) != list(history)[-1]
    same = all(torch.equal(a, b) for a, b in zip(best.method.parameters(), last.method.parameters(), strict=True))
    assert same != first_best
    for run in (last, best):
        (result,) = evaluate(run, EvaluationRequest())
        assert result.summary["weights"] == run.weights
    assert (folder / "evaluation/best/boxes.ezvsl.json").is_file()
    read = read_run(folder)
    assert len(read.evaluations) == 1
    (table,) = comparisons([read], ["tiny"])
    assert "tiny, best epoch" in as_text(table)
    plain, _ = start(config(""), tmp_path / "plain", "cpu")
    for a, b in zip(load_run(plain).method.parameters(), last.method.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(InputError, match="validation"):
        load_run(plain, weights="best")


def test_no_epoch_is_chosen_on_test_clips(config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="test clips of boxes"):
        start(config(f"validation: {{truth: {tmp_path}/test.json}}"), tmp_path / "runs", "cpu")
