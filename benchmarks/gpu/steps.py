"""Training steps of every method in both precisions, then compiled: losses that are numbers, gradients for what learns.

Methods are tried beside one another, each in a process of its own. Both precisions of all methods come first, since
they take seconds; compiling keeps a processor busy for many more and a GPU idle, and takes what time is left. Its first
method goes ahead alone: what the compiler made for its trunks serves the others. The parts beside this one go before it
where they want a core.
"""

import math
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.companions import add_companions
from benchmarks.step.corpus import CLASSES, write_shards
from benchmarks.step.runs import described, trainer_of
from benchmarks.step.sizes import Sizes
from index import random_neighbours
from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.loop.start import start
from training.loop.trainer import Trainer
from training.methods import method_names

FULLEST: dict[str, dict[str, Any]] = {
    "alignment": {"semantic": True},
    "coarse_to_fine": {"classes": CLASSES},
    "ezvsl": {"positives": ["own", "both"]},
}
BATCH, K = 16, 8
PRECISIONS, COMPILED = (("float32",), ("bfloat16",)), (("bfloat16", "compiled"),)
COMPILING = 100.0  # seconds of this part after which no method is compiled any more: one takes up to 40 of its 150
LATER_STAGES = {"dsol_mixtures": {"name": "dsol", "passes": 1}}  # and what they go on from, in three epochs
FIRST = "ezvsl"
Ways = tuple[tuple[str, ...], ...]


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    os.nice(10)
    until = time.time() + COMPILING
    batch = min(BATCH, sizes.batch)
    _write_corpus(folder, replace(sizes, clips=3 * batch))
    found: dict[str, dict[str, object]] = {}
    with ProcessPoolExecutor(max(1, sizes.workers // 3), multiprocessing.get_context("spawn")) as processes:
        submit = partial(processes.submit, every_way, sizes, folder, device=device, batch=batch)
        names = [FIRST, *(name for name in method_names() if name != FIRST)]
        _gather([submit(name, PRECISIONS) for name in names], found, note)
        if device == "cuda":
            _gather([submit(FIRST, COMPILED, until)], found, note)
            _gather([submit(name, COMPILED, until) for name in names[1:]], found, note)


def _write_corpus(folder: Path, sizes: Sizes) -> None:
    """Shards with all that any method needs, and neighbours."""
    store = ShardStore.open(write_shards(folder / "shards", sizes))
    add_companions(folder / "shards")
    wanted = random_neighbours.request(K, 0, "train", store.manifest_sha256)
    random_neighbours.build(store.table, wanted, folder / "knn", lambda count: None)


def _gather(
    waited_for: list[Future[tuple[str, dict[str, object]]]],
    found: dict[str, dict[str, object]],
    note: Callable[..., None],
) -> None:
    """Note what each method gives when it is known, beside what it gave before."""
    for done in as_completed(waited_for):
        name, figures = done.result()
        found[name] = found.get(name, {}) | figures
        note(**found)


def every_way(
    sizes: Sizes, folder: Path, name: str, ways: Ways, until: float = math.inf, *, device: str, batch: int
) -> tuple[str, dict[str, object]]:
    """A method's name, and its steps in each way, or why there are none: what shards lack, or the time (since 1970)."""
    if time.time() > until:
        return name, {" ".join(way): {"left_out": "no time was left"} for way in ways}
    try:
        return name, {" ".join(way): stepped(sizes, folder, name, way, device, batch) for way in ways}
    except InputError as lacking:
        return name, {"left_out": str(lacking)}


def _earlier_stage(sizes: Sizes, folder: Path, name: str, device: str, batch: int) -> Path:
    """A finished run that a method goes on from; made when it is asked for first."""
    config = described(sizes, folder / "shards", LATER_STAGES[name], optim={"batch_size": batch, "epochs": 3})
    return start(config, folder / "earlier", device)[0]


def stepped(sizes: Sizes, folder: Path, name: str, way: tuple[str, ...], device: str, batch: int) -> dict[str, object]:
    """Two steps of a method: its losses, and whether all gradients are numbers; nothing of one that does not learn."""
    config = described(
        sizes, folder / "shards", {"name": name, **FULLEST.get(name, {})}, data={"neighbours": str(folder / "knn")},
        optim={"batch_size": batch, "precision": way[0]},
        compute={"compile": "always" if "compiled" in way else "never"},
    )  # fmt: skip
    if name in LATER_STAGES:
        config = config.model_copy(update={"init_from": _earlier_stage(sizes, folder, name, device, batch)})
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
