"""A trained run's maps, scores and embeddings on the GPU against the CPU's, and how many clips a second it predicts."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.step.corpus import write_shards
from benchmarks.step.runs import EZVSL, described
from benchmarks.step.sizes import Sizes
from benchmarks.step.timing import settled
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair
from training.loop.start import start
from training.predict import Predictions, predict
from training.runs import load_run

TOLERANCE = 1e-3  # of cosines, whose range is 2


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    shards = write_shards(folder / "shards", replace(sizes, clips=min(sizes.clips, 1024)))
    config = described(sizes, shards, EZVSL, optim={"batch_size": sizes.compared_batch})
    run, _ = start(config, folder / "runs", device)
    store = ShardStore.open(shards)
    pairs = [EvaluationPair(key, row, row) for row, key in enumerate(store.table["key"].to_pylist())]
    few = pairs[: sizes.compared_batch]
    here, there = predicted(run, store, few, "cpu"), predicted(run, store, few, device)
    differences = {name: float(np.abs(getattr(here, name) - getattr(there, name)).max())
                   for name in ("maps", "scores", "image_embeddings", "audio_embeddings")}  # fmt: skip
    note(largest_difference=differences, tolerance=TOLERANCE, within=max(differences.values()) <= TOLERANCE)
    began = time.perf_counter()
    predicted(run, store, pairs, device)
    note(clips=len(pairs), clips_per_second=round(len(pairs) / (settled(device) - began)))


def predicted(run: Path, store: ShardStore, pairs: list[EvaluationPair], device: str) -> Predictions:
    return predict(load_run(run, device), store, pairs)
