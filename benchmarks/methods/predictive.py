"""Why SSPL places nothing on the real bed: what more steps do, and whether its loss asks for the source at all.

    python -m benchmarks.methods.predictive benchmarks/methods/real.json --work DIR

DIR is the work folder of `real.yaml`, with its run of SSPL without PCM. Its frozen trunks see every clip once as it is
and twice as SSPL's second view, so that thousands of steps cost seconds. Then, over the heads alone:

- **steps**: SSPL as it is, its score on the heard test clips as it learns, ten times as long as in the comparison;
- **attentions**: where the sound looks is given, not learned (the source itself, the whole image, its centre, chance,
  all but the source). What the loss comes to on clips it did not train on says which of them it prefers.

Writes real-predictive.json beside the figures.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import record, write
from benchmarks.methods.left_runs import begin
from benchmarks.methods.seen_clips import (
    ATTENTIONS,
    BATCH,
    Seen,
    attention,
    clips_of_lists,
    descend,
    optimiser,
    scores,
    shuffled,
)
from training.config import RunConfig
from training.methods.sspl import agreement
from training.runs import build_method, load_run

RUN = "sspl_without_pcm"  # the PCM revises features, at ten times the cost; loss and pooling are the same
VIEWS = 2
EPOCHS, EVERY = 30, 3  # ten times the comparison's; scored every so many epochs


def batches(clips: Seen, seed: int) -> Iterator[tuple[Seen, Tensor, Tensor]]:
    """One epoch: clips, and one of their second views with where its sources are."""
    draw = torch.Generator().manual_seed(seed)
    epoch = shuffled(len(clips), draw)
    images, sources = clips.views[int(torch.randint(len(clips.views), (1,), generator=draw))]
    for rows in epoch:
        yield clips.of(rows), images[rows], sources[rows]


def learned(config: RunConfig, train: Seen, test: Seen) -> Iterator[dict[str, Any]]:
    """SSPL as it is: loss and score after every few epochs."""
    torch.manual_seed(config.seed)
    method: Any = build_method(config)
    steps, own = 0, optimiser(method, config.optim.learning_rate)
    for epoch in range(EPOCHS + 1):
        if epoch % EVERY == 0:
            yield {"steps": steps, **located(method.eval(), test)}
        losses = [train_step(method.train(), own, clips, view) for clips, view, _ in batches(train, epoch)]
        steps += len(losses)
        print(f"{steps} steps, loss {np.mean(losses):.3f}", flush=True)


def train_step(method: Any, own: torch.optim.Optimizer, clips: Seen, view: Tensor) -> float:
    loss = method.loss({"image": clips.images, "audio": clips.sounds, "augmented": {"image": view}})["total"]
    return descend(own, loss)


@torch.no_grad()
def located(method: Any, test: Seen) -> dict[str, Any]:
    """cIoU@0.5 on the heard test clips, the loss there, and how far maps follow the sound."""
    rows = torch.arange(len(test)).split(BATCH)
    own, foreign = (
        torch.cat([method(test.images[r], sounds[r]).map for r in rows])
        for sounds in (test.sounds, test.sounds.roll(1, 0))
    )
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(own.flatten(1).numpy(), foreign.flatten(1).numpy(), strict=True)]
    return scores(test.names, own) | {"correlation_with_foreign": float(np.mean(alike))}


def given(config: RunConfig, name: str, train: Seen, held_out: Seen) -> dict[str, Any]:
    """The loss on clips that were not trained on, where attention is given and the SimSiam head alone learns."""
    torch.manual_seed(config.seed)
    method: Any = build_method(config)
    own = optimiser(method, config.optim.learning_rate)
    for epoch in range(EPOCHS):
        for clips, view, sources in batches(train, epoch):
            loss = loss_under(method.train(), name, clips, view, sources)
            descend(own, loss)
    with torch.no_grad():
        view, sources = held_out.views[0]
        reached = loss_under(method.eval(), name, held_out, view, sources).item()
    print(f"attention on {name}: loss {reached:.4f}", flush=True)
    return {"attention": name, "loss_held_out": reached}


def loss_under(method: Any, name: str, clips: Seen, view: Tensor, sources: Tensor) -> Tensor:
    """SSPL's loss with the weights of the attention called so."""
    weighted = [
        torch.einsum("nchw,nhw->nc", images, attention(name, where))
        for images, where in ((clips.images, clips.sources), (view, sources))
    ]
    projected = [method.projector(each) for each in weighted]
    predicted = [method.predictor(each) for each in projected]
    return -(agreement(predicted[0], projected[1]) + agreement(predicted[1], projected[0])) / 2


def main() -> None:
    _, out = begin(__doc__, "predictive")
    run = load_run(next(Path("runs", RUN).glob("*-s0")))
    torch.manual_seed(0)
    train, test = clips_of_lists(run.method, run.config, VIEWS)
    facts: Mapping[str, Any] = record("benchmarks/methods/predictive.py", ("torch", "numpy"))
    attentions = [given(run.config, name, train, test) for name in ATTENTIONS]
    steps = list(learned(run.config, train, test))
    write(out, {**facts, "clips": len(train), "attentions": attentions, "steps": steps})


if __name__ == "__main__":
    main()
