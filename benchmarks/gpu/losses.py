"""Are the numbers of a GPU those of a CPU? EZ-VSL in float32 by gradients and losses, in bfloat16 as a curve.

Three things beside the arithmetic move these numbers, and are kept apart here. A GPU resizes images in float, a CPU in
whole levels as Pillow does, which changes one pixel in seven by a level or more: gradients are compared on the very
same pixels, losses with each device's own. A maximum over cells that are nearly equal at first goes to another cell by
rounding: float32 and float64 on one CPU differ by 0.03 in the gradient. And Adam makes the rounding of a gradient near
zero a step of full length, so the compared run learns slowly.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.step.corpus import write_shards
from benchmarks.step.runs import EZVSL, described, losses_of, trainer_of
from benchmarks.step.sizes import Sizes
from training.config import RunConfig
from training.loop.device_batches import moved
from training.loop.trainer import Trainer
from training.methods.contract import Batch

LOSS_TOLERANCE = 5e-3  # relative, in every compared step
SAME_PIXELS_TOLERANCE = 1e-4  # relative, of the first step's loss
GRADIENT_TOLERANCE = 0.1  # of the first step's gradient, by its norm
BFLOAT16_TOLERANCE = 0.1  # of what float32 has learnt by the end of the curve, or the spread of its seeds
SEEDS = (0, 1, 2)


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    few = write_shards(folder / "few", replace(sizes, clips=sizes.compared_steps * sizes.compared_batch))
    float32(sizes, few, folder, device, note)
    more = write_shards(folder / "more", replace(sizes, clips=max(8, sizes.curve_steps // 3) * sizes.compared_batch))
    bfloat16(sizes, more, device, note)


def float32(sizes: Sizes, shards: Path, folder: Path, device: str, note: Callable[..., None]) -> None:
    slow = {"batch_size": sizes.compared_batch, "learning_rate": 1e-6}
    streamed = described(sizes, shards, EZVSL, optim=slow)
    resident = described(sizes, shards, EZVSL, optim=slow, compute={"resident": "auto"})
    runs = ((streamed, device), (streamed, device), (resident, device), (streamed, "cpu"))
    there, again, kept, here = (np.array(losses_of(*run)) for run in runs)
    differences = {name: float(np.abs(other / there - 1).max()) for name, other in
                   (("from the CPU", here), ("when repeated", again), ("out of GPU memory", kept))}  # fmt: skip
    loss, gradient = on_the_same_pixels(streamed, device, folder)
    note(float32={
        "steps": len(there), "batch": sizes.compared_batch, "cpu": here.tolist(), "device": there.tolist(),
        "largest_relative_difference": differences, "tolerance": LOSS_TOLERANCE,
        "same_pixels": {"loss": loss, "tolerance": SAME_PIXELS_TOLERANCE,
                        "gradient": gradient, "gradient_tolerance": GRADIENT_TOLERANCE},
        "within": max(differences.values()) <= LOSS_TOLERANCE and loss <= SAME_PIXELS_TOLERANCE
        and gradient <= GRADIENT_TOLERANCE,
    })  # fmt: skip


def on_the_same_pixels(config: RunConfig, device: str, folder: Path) -> tuple[float, float]:
    """Relative differences of the first step's loss and of its gradient over all parameters, from the CPU's."""
    trainers = [trainer_of(config, where, folder / f"same{number}") for number, where in enumerate(("cpu", device))]
    batch = trainers[0].optimiser_step.batches(next(iter(trainers[0].batches()))[0])
    losses, gradients = zip(*(_gradient(trainer, batch) for trainer in trainers), strict=True)
    gradient = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    return abs(losses[1] / losses[0] - 1), float(gradient)


def _gradient(trainer: Trainer, batch: dict[str, Any]) -> tuple[float, torch.Tensor]:
    trainer.method.train()
    loss = trainer.method.loss(Batch(**moved(batch, trainer.ranks.device)))["total"]
    loss.backward()
    gradients = [p.grad for p in trainer.method.parameters() if p.grad is not None]
    return float(loss), torch.cat([one.cpu().double().flatten() for one in gradients])


def bfloat16(sizes: Sizes, shards: Path, device: str, note: Callable[..., None]) -> None:
    """What has been learnt by the end of a short run, in both precisions, three seeds each, with its spread."""
    curves: dict[str, list[np.ndarray]] = {"float32": [], "bfloat16": []}
    for seed in SEEDS:
        for precision, of in curves.items():
            optim = {"batch_size": sizes.compared_batch, "epochs": 3, "precision": precision}
            run = described(sizes, shards, EZVSL, compute={"resident": "auto"}, optim=optim)
            of.append(np.array(losses_of(run.model_copy(update={"seed": seed}), device)))
        note(bfloat16=compared(sizes, curves))


def compared(sizes: Sizes, curves: dict[str, list[np.ndarray]]) -> dict[str, object]:
    """How far bfloat16's mean over the seeds ends from float32's, beside the spread of float32's seeds."""
    tail = max(1, len(curves["float32"][0]) // 6)
    learnt = {name: [float(curve[0] - curve[-tail:].mean()) for curve in of] for name, of in curves.items()}
    means = {name: float(np.mean(of)) for name, of in learnt.items()}
    difference = abs(means["bfloat16"] - means["float32"]) / max(abs(means["float32"]), 1e-9)
    spread = (max(learnt["float32"]) - min(learnt["float32"])) / max(abs(means["float32"]), 1e-9)
    return {
        "steps": len(curves["float32"][0]), "batch": sizes.compared_batch, "seeds": len(learnt["float32"]),
        "learnt": learnt, "difference_of_means": difference, "spread_of_float32": spread,
        "within": difference <= max(BFLOAT16_TOLERANCE, spread),
        "curves": {name: [[round(float(v), 3) for v in curve] for curve in of] for name, of in curves.items()},
    }  # fmt: skip
