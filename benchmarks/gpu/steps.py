"""Training steps of every method in both precisions and compiled: losses that are numbers, gradients for what learns.

Methods are tried beside one another, each in a process of its own, as compiling keeps a processor busy and a GPU idle.
The first goes ahead alone: what the compiler made for its trunks serves the others.
"""

import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.corpus import write_shards
from benchmarks.gpu.runs import described, trainer_of
from benchmarks.gpu.sizes import Sizes
from index import random_neighbours
from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.loop.trainer import Trainer
from training.methods import method_names

FULLEST: dict[str, dict[str, Any]] = {"alignment": {"semantic": True}, "ezvsl": {"positives": ["own", "both"]}}
BATCH, K = 16, 8
WAYS = (("float32",), ("bfloat16",), ("bfloat16", "compiled"))


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    batch = min(BATCH, sizes.batch)
    shards = write_shards(folder / "shards", replace(sizes, clips=3 * batch))
    store = ShardStore.open(shards)
    wanted = random_neighbours.request(K, 0, "train", store.manifest_sha256)
    random_neighbours.build(store.table, wanted, folder / "knn", lambda count: None)
    found: dict[str, dict[str, object]] = {}
    with ProcessPoolExecutor(max(1, sizes.workers // 3), multiprocessing.get_context("spawn")) as processes:
        submit = partial(processes.submit, every_way, sizes, folder, device=device, batch=batch)
        first, *others = ["ezvsl", *(name for name in method_names() if name != "ezvsl")]
        found[first] = submit(first).result()
        note(**found)
        waited_for = {submit(name): name for name in others}
        for done in as_completed(waited_for):
            found[waited_for[done]] = done.result()
            note(**found)


def every_way(sizes: Sizes, folder: Path, name: str, device: str, batch: int) -> dict[str, object]:
    """A method's steps in float32, in bfloat16, and on a GPU with compiled trunks; or what these shards lack for it."""
    ways = WAYS if device == "cuda" else WAYS[:2]
    try:
        return {" ".join(way): stepped(sizes, folder, name, way, device, batch) for way in ways}
    except InputError as lacking:
        return {"left_out": str(lacking)}


def stepped(sizes: Sizes, folder: Path, name: str, way: tuple[str, ...], device: str, batch: int) -> dict[str, object]:
    """Two steps of a method: its losses, and whether all gradients are numbers; nothing of one that does not learn."""
    config = described(
        sizes, folder / "shards", {"name": name, **FULLEST.get(name, {})}, data={"neighbours": str(folder / "knn")},
        optim={"batch_size": batch, "precision": way[0]},
        compute={"compile": "always" if "compiled" in way else "never"},
    )  # fmt: skip
    trainer = trainer_of(config, device, folder / f"run-{name}")
    if not trainer.total_steps:
        return {"learns": False}
    trainer.method.train()
    losses = [dict(zip(names, values.tolist(), strict=True)) for names, values in _first_steps(trainer, 2)]
    gradients = [p.grad for p in trainer.method.parameters() if p.requires_grad]
    finite = all(bool(one.isfinite().all()) for one in gradients if one is not None)
    return {
        "losses": losses,
        "fine": finite and all(math.isfinite(value) for step in losses for value in step.values()),
        "parameters_without_gradient": sum(one is None for one in gradients),
    }


def _first_steps(trainer: Trainer, count: int) -> list[Any]:
    return [trainer.step(parts) for parts, _ in zip(trainer.batches(), range(count), strict=False)]
