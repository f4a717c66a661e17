"""Seeds from one line and `--listen` under torchrun: as from one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import PYTHONPATH
from runs_in_processes import write_small

from pipeline.shards.store import ShardStore
from training.evaluate import EvaluationRequest, evaluate
from training.run_folders.seeds import every_seed
from training.runs import load_run

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH}


def in_two_processes(*line: str) -> str:
    """What `training` prints under torchrun with two processes."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training"]
    done = subprocess.run(
        [*launch, *line, "--device", "cpu"], capture_output=True, text=True, env=ENVIRONMENT, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_seeds_are_trained_and_asked_by_two_processes(shards: Path, store: ShardStore, tmp_path: Path) -> None:
    config = write_small(tmp_path / "small.yaml", shards, epochs=1)
    runs = tmp_path / "runs"
    in_two_processes("run", str(config), "seeds=0..1", "--runs", str(runs))
    seeds = every_seed(runs / "small")
    assert [folder.name.rpartition("-s")[2] for folder in seeds] == ["0", "1"]
    table = store.table.to_pylist()
    entries = [{"file": row["key"], "class": row["label"], "bbox": [[0.2, 0.25, 0.6, 0.75]]}
               for row in table if row["split"] == "test"]  # fmt: skip
    truth = tmp_path / "vggss.json"
    truth.write_text(json.dumps(entries))
    said = in_two_processes("evaluate", str(runs / "small"), "--truth", str(truth), "--test-set", "made", "--listen")
    assert said.count("made under vssl_textbook") == 3  # two seeds, and their mean
    assert said.count("of what it shows depends on the sound") == 6
    for folder in seeds:
        shared = np.load(folder / "evaluation" / "made.controls.npz")
        shared_scores = json.loads((folder / "evaluation" / "made.vssl.json").read_text())["scores"]["audio_visual"]
        for file in (folder / "evaluation").iterdir():  # or the earlier result would be read
            file.rename(tmp_path / f"{folder.name}.{file.name}")
        alone = evaluate(load_run(folder), EvaluationRequest(truth=truth, test_set="made", listen=True))
        with np.load(folder / "evaluation" / "made.controls.npz") as one:
            assert shared["names"].tolist() == one["names"].tolist()
            assert shared["offscreen_of"].tolist() == one["offscreen_of"].tolist()
            for name in (each for each in one.files if each.startswith("maps")):
                np.testing.assert_allclose(shared[name], one[name], atol=1e-5, equal_nan=True, err_msg=name)
        (vssl,) = [each.summary for each in alone if each.summary["protocol"]["name"] == "vssl"]
        assert shared_scores == pytest.approx(vssl["scores"]["audio_visual"], abs=2e-3)
