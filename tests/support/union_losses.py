"""Losses and gradients over a batch that several processes share, written by the first one for a test to compare.

    torchrun --nproc-per-node W tests/support/union_losses.py OUT

`losses_and_gradients` does the same in one process.
"""

import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.config import Encoder, Encoders
from training.distributed import Ranks, ranks
from training.encoders.spread import Share, spread_trunks
from training.loop.optimiser_step import LossOf
from training.methods import method_config, method_module, method_names

TINY = Encoders(
    image=Encoder(blocks=(1, 1), width=8, weights="none"), audio=Encoder(blocks=(1, 1), width=8, input_pool=(4, 3))
)
BATCH, REPLICAS, SIZE = 8, 4, 32
SMALLER = {"pixelplayer": {"components": 4, "width": 4, "levels": 3}}
VARIANTS: list[tuple[str, dict]] = [
    ("ezvsl", {"positives": ["own", "image", "audio", "both"], "exclude": ["image", "audio", "source"]}),
    ("ezvsl", {"matching": "mean"}),
    ("ezvsl", {"matching": "pooled"}),
    ("lvs", {"formula": "as_paper"}),
    ("hardpos", {"combine": "sum_of_logs"}),
    ("slavc", {"audio_to_image": "image"}),
    ("alignment", {"localization": "softmask", "direction": "symmetric"}),
    ("sspl", {"predictive_coding": False}),
]


def build(name: str, options: dict) -> nn.Module:
    torch.manual_seed(0)
    return method_module(name).Method(method_config(name, SMALLER.get(name, {}) | options), TINY).train()


def variants() -> Iterator[tuple[str, dict]]:
    """Every method that learns, with its defaults, and the options that change what is contrasted."""
    for name, options in [*((name, {}) for name in method_names()), *VARIANTS]:
        if any(parameter.requires_grad for parameter in build(name, options).parameters()):
            yield name, options


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(1)

    def fields() -> dict[str, Tensor]:
        image = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
        return {"image": image, "audio": torch.randn(BATCH, 1, 129, 150, generator=generator)}

    masks = torch.rand(3, BATCH, BATCH, generator=generator) < 0.2
    masks &= ~torch.eye(BATCH, dtype=torch.bool)
    exclusions = dict(zip(("image", "audio", "source"), masks, strict=True))
    keys = [f"clip{number}" for number in range(BATCH)]
    numbers = {"row": torch.arange(BATCH), "source": torch.arange(BATCH) // 2, "label": torch.arange(BATCH) % 3}
    corners = 0.4 * torch.rand(BATCH, 6, 4, generator=generator)
    proposals = corners + torch.tensor([0.0, 0.0, 0.5, 0.5])
    return {
        "key": keys,
        **numbers,
        "proposals": proposals,
        **fields(),
        "neighbours": fields(),
        "augmented": fields(),
        "exclusions": exclusions,
        "flow": torch.randn(BATCH, 2, 14, 14, generator=generator),
        "burst": torch.randn(BATCH, 9, 3, SIZE, SIZE, generator=generator),
        "waveform": 0.1 * torch.randn(BATCH, 2600, generator=generator),
    }


def losses_and_gradients(name: str, options: dict, prepare: Callable[[nn.Module], nn.Module]) -> dict[str, Tensor]:
    """One step's losses and gradients by name, and the running statistics after it; `prepare` wraps the method."""
    method = build(name, options)
    model = prepare(method)
    torch.manual_seed(2)  # dropout and SSL-TIE's geometry
    losses = model(make_batch())
    losses["total"].backward()
    found = {f"loss/{key}": value.detach() for key, value in losses.items()}
    found |= {f"gradient/{key}": value.grad for key, value in method.named_parameters() if value.grad is not None}
    return found | {f"statistics/{key}": value.float() for key, value in method.named_buffers()}


def shared(process: Ranks, *, together: bool, recompute: bool) -> Callable[[nn.Module], nn.Module]:
    """Prepares a method to share the batch between the processes."""

    def prepare(method: nn.Module) -> nn.Module:
        spread_trunks(method, Share(process, REPLICAS, together, recompute))
        return DistributedDataParallel(LossOf(method)) if process.world > 1 else LossOf(method)

    return prepare


if __name__ == "__main__":
    torch.set_num_threads(1)
    with ranks("cpu") as process:
        found = {}
        for name, options in variants():
            for together in (True, False):
                prepare = shared(process, together=together, recompute=True)
                found[f"{name} {options} {together}"] = losses_and_gradients(name, options, prepare)
        if process.first:
            torch.save(found, sys.argv[1])
