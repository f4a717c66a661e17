"""One training step of every method in both precisions: losses that are numbers, gradients for what learns."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.corpus import write_shards
from benchmarks.gpu.runs import described, trainer_of
from benchmarks.gpu.sizes import Sizes
from index import random_neighbours
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
    for name in method_names():
        found = {}
        for way in WAYS if device == "cuda" else WAYS[:2]:
            found[" ".join(way)] = stepped(sizes, folder, name, way, device, batch)
            note(**{name: found})


def stepped(sizes: Sizes, folder: Path, name: str, way: tuple[str, ...], device: str, batch: int) -> dict[str, object]:
    """Two steps of a method: its losses, and whether all gradients are numbers; nothing of one that does not learn."""
    config = described(
        sizes, folder / "shards", {"name": name, **FULLEST.get(name, {})}, data={"neighbours": str(folder / "knn")},
        optim={"batch_size": batch, "precision": way[0]},
        compute={"compile": "always" if "compiled" in way else "never"},
    )  # fmt: skip
    trainer = trainer_of(config, device, folder / "run")
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
