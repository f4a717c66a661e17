"""Why Attention10k stays beside the object prior: whether its loss asks for the source, and what its softmax permits.

    python -m benchmarks.methods.attended benchmarks/methods/real.json --work DIR

DIR is the work folder of `real.yaml`, with its run of Attention10k. Over what its frozen trunks make of the clips,
heads are trained as long as in the comparison, three seeds:

- **given**: where the sound looks is given, not learned (the source itself, the whole image, its centre, all but the
  source). What the loss comes to on clips that were not trained on says which of them it prefers;
- **sharper**: the attention is learned, by a softmax of r / temperature. 1 is the method's own, which lets no cell
  weigh e times another's.

Beside the loss on the heard test clips (0.5 where nothing is learned) the weight that lies on the source, which covers
`area` of the image, and the score of the map r. Writes real-attended.json beside the figures.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import record, write
from benchmarks.methods.left_runs import begin
from benchmarks.methods.seen_clips import (
    ATTENTIONS,
    Seen,
    attention,
    clips_of_lists,
    descend,
    optimiser,
    scores,
    shuffled,
)
from training.config import RunConfig
from training.parts.pair_losses import distance_ratio_loss, draw_mismatches
from training.runs import build_method, load_run
from training.similarity import distances, unit

RUN, SEEDS = "attention10k", (0, 1, 2)
GIVEN = [name for name in ATTENTIONS if name != "chance"]
TEMPERATURES = (1.0, 0.3, 0.1, 0.03)


def weights_of(method: Any, clips: Seen, looking: str | float) -> tuple[Tensor, Tensor]:
    """Attention (B, h, w) of sum 1, given by name or learned at a temperature, and the map r."""
    maps = method.agreement(method.visual(clips.images), unit(method.query(method.audio_trunk(clips.sounds))))
    if isinstance(looking, str):
        asked = attention(looking, clips.sources)
        return asked / asked.sum(dim=(1, 2), keepdim=True).clamp(min=1e-6), maps
    return (maps / looking).flatten(1).softmax(dim=1).view_as(maps), maps


def loss_under(method: Any, clips: Seen, weights: Tensor, mismatches: Any) -> Tensor:
    """Attention10k's loss with these weights in place of its own."""
    seen = torch.einsum("nchw,nhw->nc", method.visual(clips.images), weights).clamp(min=0)
    apart = distances(unit(method.describe(seen)), unit(method.audio_trunk(clips.sounds)))
    return distance_ratio_loss(apart, draw_mismatches(torch.arange(len(clips)), mismatches))


def learned(config: RunConfig, seed: int, looking: str | float, train: Seen, test: Seen) -> dict[str, Any]:
    """Heads trained under one attention, and what they come to on the heard test clips."""
    torch.manual_seed(seed)
    method: Any = build_method(config)
    own, draw = optimiser(method, config.optim.learning_rate), torch.Generator().manual_seed(seed)
    for _ in range(config.optim.epochs):
        for rows in shuffled(len(train), draw):
            clips = train.of(rows)
            loss = loss_under(method, clips, weights_of(method, clips, looking)[0], method.config.mismatches)
            descend(own, loss)
    return measured(method.eval(), looking, test) | {"seed": seed}


@torch.no_grad()
def measured(method: Any, looking: str | float, test: Seen) -> dict[str, Any]:
    """The loss over all mismatches, the weight on the source, and the score of a map that was learned."""
    weights, maps = weights_of(method, test, looking)
    found: dict[str, Any] = {
        "loss": loss_under(method, test, weights, "all").item(),
        "weight_on_source": (weights * test.sources).sum(dim=(1, 2)).mean().item(),
    }
    if isinstance(looking, str):
        return {"given": looking} | found  # nothing has trained its map
    return {"temperature": looking} | found | scores(test.names, maps)


def main() -> None:
    _, out = begin(__doc__, "attended")
    run = load_run(next(Path("runs", RUN).glob("*-s0")))
    train, test = clips_of_lists(run.method, run.config)
    rows = []
    for looking in (*GIVEN, *TEMPERATURES):
        for seed in SEEDS:
            rows.append(learned(run.config, seed, looking, train, test))
            print(rows[-1], flush=True)
    facts = record("benchmarks/methods/attended.py", ("torch", "numpy"))
    write(out, facts | {"clips": len(train), "area": test.sources.mean().item(), "rows": rows})


if __name__ == "__main__":
    main()
