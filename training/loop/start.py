"""`training run`: check everything a run stands on before the first step, train, mark it done."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from index.neighbours import Neighbours
from manifests.errors import InputError
from manifests.splits import IdList, coverage
from manifests.whole_files import remove_leftovers, write_text
from pipeline.shards.store import ShardStore
from training.config import RunConfig
from training.data.order import Streams
from training.data.positives import Positives
from training.data.selection import selected_rows, train_list
from training.data.stream import TrainingStream
from training.distributed import Ranks, ranks
from training.leakage import (
    OVERLAPS,
    TRAINING_CLIPS,
    TestLists,
    as_text,
    find_tests,
    report_overlaps,
    training_list,
)
from training.loop.best import BestKeeper
from training.loop.trainer import Trainer, check_replicas
from training.runs import DONE, FACTS, build_method, prepare, run_folder


def start(config: RunConfig, runs: Path, device: str = "auto") -> tuple[Path, bool]:
    """Train the run this config describes, or resume it; returns its folder and whether there was anything to do."""
    folder = run_folder(runs, config)
    if (folder / DONE).is_file():
        return folder, False
    with ranks(device) as process:
        check_replicas(config, process.world)
        tests = find_tests(config)
        trainer = _trainer(config, folder, process, tests)
        if process.first:
            store = trainer.stream.store
            trained, lines, overlaps = _overlaps(trainer.stream, tests)
            print(*lines, sep="\n", flush=True)
            facts = {
                "front_end": store.front_end,
                "manifest_sha256": store.manifest_sha256,
                "training_clips": int(trainer.stream.selected.sum()),
                "steps_per_epoch": trainer.stream.steps,
            }
            _same_data(folder / FACTS, facts)
            for place in (folder, folder / "checkpoints"):
                remove_leftovers(place)
            prepare(folder, config)
            write_text(folder / FACTS, json.dumps(facts, indent=1))
            write_text(folder / OVERLAPS, json.dumps(overlaps, indent=1))
            write_text(folder / TRAINING_CLIPS, as_text(trained.ids))
            if config.validation is not None:
                trainer.after_epoch = BestKeeper(config, folder, store, tests, process)
        trainer.train()
        if process.first:
            write_text(folder / DONE, f"{trainer.done.step} steps, {trainer.done.seconds:.1f} s\n")
    return folder, True


def _overlaps(stream: TrainingStream, tests: TestLists) -> tuple[IdList, list[str], dict[str, Any]]:
    """The training clips as a list, and what they share with the test sets."""
    trained = training_list([stream.store.keys[row] for row in np.flatnonzero(stream.selected)])
    before = selected_rows(stream.store, stream.data) if tests.banned else stream.selected
    lines, document = report_overlaps(trained, int(before.sum()), tests)
    listed = train_list(stream.data)
    if listed is not None:
        found = coverage(listed, stream.store.keys)
        lines.insert(0, f"{len(found.found):,} of the {len(listed.ids):,} clips of {listed.name} are in the shards")
        document["list"] = {"name": listed.name, "sha256": listed.sha256, "missing": list(found.missing)}
    return trained, lines, document


def _trainer(config: RunConfig, folder: Path, process: Ranks, tests: TestLists) -> Trainer:
    torch.manual_seed(config.seed)  # the same first weights in every process
    _one_thread_pool_per_process(process)
    store = ShardStore.open(config.data.shards)
    method = build_method(config)
    positives = None
    if method.needs & {"neighbours", "exclusions"}:
        neighbours = Neighbours.open(config.data.neighbours, store.manifest_sha256)
        trained = {store.keys[row] for row in np.flatnonzero(selected_rows(store, config.data, tests.banned))}
        positives = Positives(store, neighbours, method.needs, trained, config.data.k)
    streams = Streams(config.optim.batch_size, config.optim.replicas, max(1, config.data.workers))
    replicas = process.replicas(config.optim.replicas)
    stream = TrainingStream(store, config.data, streams, config.seed, replicas, positives, tests.banned)
    return Trainer(config, folder, method, stream, process)


def _one_thread_pool_per_process(process: Ranks) -> None:
    """Processes that share a machine's cores share its threads too, else they wait for each other."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if local > 1 and process.device.type == "cpu":
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local))


def _same_data(path: Path, facts: dict[str, object]) -> None:
    """A run can only be resumed on the shards it was started on."""
    if not path.is_file():
        return
    before = json.loads(path.read_text())
    if before != facts:
        changed = ", ".join(f"{k}: {before.get(k)} then, {v} now" for k, v in facts.items() if before.get(k) != v)
        raise InputError(
            f"run {path.parent} was started on other shards ({changed}). Give it those shards again, or delete the "
            "folder to start anew."
        )
