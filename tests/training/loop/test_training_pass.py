"""What a method does with all clips before an epoch: with all processes together, and once when a run stops in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import write_tiny

from training.config import load_config
from training.distributed import Ranks
from training.loop.inputs import open_inputs
from training.loop.start import start
from training.loop.trainer import Trainer
from training.loop.training_pass import TrainingPass
from training.runs import load_run

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture
def config_file(shards: Path, tmp_path: Path) -> Path:
    method = {"name": "dsol", "dimension": 16, "clusters": 4, "passes": 1}
    optim = {"epochs": 4, "replicas": 2, "learning_rate": 1e-3}
    return write_tiny(tmp_path, shards, method, name="clustered", data={"shuffle": 8}, optim=optim, log_every=1)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"]["total"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_every_training_clip_is_seen_once_whole_and_in_the_order_of_its_rows(config_file: Path) -> None:
    config = load_config(config_file)
    inputs = open_inputs(config, ALONE)
    clips = TrainingPass(inputs.stream, inputs.method.train(), config.data, ALONE)
    assert torch.equal(clips.each(lambda batch: batch["row"]).long(), clips.rows)
    assert clips.rows.tolist() == np.flatnonzero(inputs.selection.mask).tolist()
    assert torch.equal(clips.each(lambda batch: batch["image"]), clips.each(lambda batch: batch["image"]))
    assert not clips.each(lambda batch: torch.full((len(batch["key"]),), inputs.method.training)).any()
    assert inputs.method.training


def test_a_run_stopped_within_an_epoch_goes_on_as_if_it_had_not_been(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(config_file)
    whole, _ = start(config, tmp_path / "whole", "cpu")
    step = Trainer.step

    def stopping(self: Trainer, parts: list) -> tuple:
        if self.done.step == 8:  # the third epoch, of classes, is the steps 6 to 8
            self.save()
            raise KeyboardInterrupt
        return step(self, parts)

    monkeypatch.setattr(Trainer, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        start(config, tmp_path / "stopped", "cpu")
    monkeypatch.setattr(Trainer, "step", step)
    resumed, _ = start(config, tmp_path / "stopped", "cpu")
    assert losses(resumed) == losses(whole)


@pytest.mark.slow
def test_two_processes_cluster_all_clips_together(config_file: Path, tmp_path: Path) -> None:
    alone, _ = start(load_config(config_file), tmp_path / "one", "cpu")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "training", "run", str(config_file), "--runs", str(tmp_path / "two"), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, *command], check=True, capture_output=True, env=environment)
    both = tmp_path / "two" / alone.relative_to(tmp_path / "one")
    before = 6  # steps, in two epochs; what is clustered then was made with one process's batch-norm statistics
    assert losses(both)[:before] == pytest.approx(losses(alone)[:before], rel=2e-4)
    assert len(losses(both)) == len(losses(alone))
    one, two = (load_run(folder).method.pseudo_labels for folder in (alone, both))
    assert torch.equal(one.rows, two.rows)
