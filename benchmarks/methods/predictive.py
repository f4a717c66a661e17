"""Why SSPL places nothing on the real bed: what more steps do, and whether its loss asks for the source at all.

    python -m benchmarks.methods.predictive --work DIR

DIR is the work folder of `real.yaml`, with its run of SSPL without PCM. Its frozen trunks see every clip once as it is
and twice as SSPL's second view, so that thousands of steps cost seconds. Then, over the heads alone:

- **steps**: SSPL as it is, its score on the heard test clips as it learns, ten times as long as in the comparison;
- **attentions**: where the sound looks is given, not learned (the source itself, the whole image, its centre, chance,
  all but the source). What the loss comes to on clips it did not train on says which of them it prefers.

Writes real-predictive.json here.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import record, write
from benchmarks.methods.measure_run import HEARD, LOCALIZATION, TRUTH, one_thread
from manifests.parquet import read_table
from manifests.splits import read_ids
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.config import RunConfig
from training.data.augment import IMAGE_POLICIES
from training.data.augment.images import draw_crops, resized_crop
from training.data.pairs import EvaluationPair, paired_batches
from training.data.views import normalise_audio, normalise_image
from training.evaluation.boxes import box_mask
from training.evaluation.floors import disc_masks
from training.evaluation.protocols.ezvsl import EZVSL
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.methods.sspl import agreement
from training.runs import build_method, load_run

RUN = "sspl_without_pcm"  # the PCM revises features, at ten times the cost; loss and pooling are the same
BATCH, VIEWS = 64, 2
EPOCHS, EVERY = 30, 3  # ten times the comparison's; scored every so many epochs
POLICY = IMAGE_POLICIES["crop_flip"]


@dataclass(frozen=True)
class Seen:
    """What frozen trunks make of clips: images (N, C, h, w), sounds (N, A), where the sources are (N, h, w), shares.

    For each of VIEWS second views the same of the image as it was cut.
    """

    names: tuple[str, ...]
    images: Tensor
    sounds: Tensor
    sources: Tensor
    views: tuple[tuple[Tensor, Tensor], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def of(self, rows: Tensor) -> "Seen":
        views = tuple((images[rows], sources[rows]) for images, sources in self.views)
        names = tuple(self.names[row] for row in rows.tolist())
        return Seen(names, self.images[rows], self.sounds[rows], self.sources[rows], views)


@torch.no_grad()
def looked_at(method: Any, config: RunConfig, store: ShardStore, keys: list[str], views: int) -> Seen:
    """The clips as the frozen trunks see them; `views` second views of each, drawn as SSPL draws them."""
    boxes, rows = sources_by_key(), [store.row_of(key) for key in keys]
    pairs = [EvaluationPair(store.keys[row], row, row) for row in rows]
    parts: list[list[Tensor]] = []
    for chunk, pixels, spectrograms in paired_batches(store, pairs, config.data.image_size, BATCH):
        images = pixels.float()
        masks = torch.stack([torch.from_numpy(box_mask(boxes[pair.name])) for pair in chunk])[:, None].float()
        shown = [(images, masks), *(second_view(images, masks) for _ in range(views))]
        trunk = [method.image_trunk(normalise_image(image.round().to(torch.uint8))) for image, _ in shown]
        cells = [F.adaptive_avg_pool2d(mask, tuple(trunk[0].shape[-2:]))[:, 0] for _, mask in shown]
        parts.append([method.audio_trunk(normalise_audio(spectrograms, config.data)), *trunk, *cells])
        print(f"looked at {sum(len(part[0]) for part in parts)}/{len(keys)} clips", flush=True)
    sounds, *rest = (torch.cat(each) for each in zip(*parts, strict=True))
    images, sources = rest[: views + 1], rest[views + 1 :]
    return Seen(tuple(keys), images[0], sounds, sources[0], tuple(zip(images[1:], sources[1:], strict=True)))


def second_view(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Images (B, 3, S, S) and masks (B, 1, R, R), both cut and mirrored alike."""
    side = images.shape[-1]
    crops = draw_crops(len(images), side, side, POLICY.crop_area, POLICY.crop_aspect)
    flips = torch.rand(len(images)) < POLICY.flip_chance
    return resized_crop(images, crops, flips), resized_crop(masks, crops * masks.shape[-1] / side, flips)


def sources_by_key() -> dict[str, np.ndarray]:
    """Boxes (n, 4) of what sounds in the image, of every clip that has one."""
    found: dict[str, list[list[float]]] = {}
    for row in read_table(Path("corpus/truth.parquet")).to_pylist():
        if row["sounding"] and row["on_screen"]:
            found.setdefault(row["key"], []).append([row[side] for side in ("x1", "y1", "x2", "y2")])
    return {key: np.array(boxes) for key, boxes in found.items()}


def batches(clips: Seen, seed: int) -> Iterator[tuple[Seen, Tensor, Tensor]]:
    """One epoch: clips, and one of their second views with where its sources are."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(clips), generator=draw)
    images, sources = clips.views[int(torch.randint(len(clips.views), (1,), generator=draw))]
    for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
        yield clips.of(rows), images[rows], sources[rows]


def optimiser(method: Any, rate: float) -> torch.optim.Optimizer:
    groups = [group | {"lr": rate * group.pop("rate")} for group in method.parameter_groups()]
    return torch.optim.AdamW(groups)


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
    own.zero_grad()
    loss.backward()
    own.step()
    return loss.item()


@torch.no_grad()
def located(method: Any, test: Seen) -> dict[str, Any]:
    """cIoU@0.5 on the heard test clips, the loss there, and how far maps follow the sound."""
    maps = torch.cat([method(test.images[r], test.sounds[r]).map for r in torch.arange(len(test)).split(BATCH)])
    foreign = torch.cat(
        [method(test.images[r], test.sounds.roll(1, 0)[r]).map for r in torch.arange(len(test)).split(BATCH)]
    )
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(maps.flatten(1).numpy(), foreign.flatten(1).numpy(), strict=True)]
    heard = read_truth(TRUTH, "vggss", wanted=read_ids(HEARD))
    raw = RawMaps(test.names, maps.numpy())
    found = {name: score(raw, heard, name).summary["scores"]["audio_visual"]["ciou50"] for name in LOCALIZATION[:2]}
    return found | {"correlation_with_foreign": float(np.mean(alike))}


def given(config: RunConfig, name: str, train: Seen, held_out: Seen) -> dict[str, Any]:
    """The loss on clips that were not trained on, where attention is given and the SimSiam head alone learns."""
    torch.manual_seed(config.seed)
    method: Any = build_method(config)
    own = optimiser(method, config.optim.learning_rate)
    for epoch in range(EPOCHS):
        for clips, view, sources in batches(train, epoch):
            loss = loss_under(method.train(), name, clips, view, sources)
            own.zero_grad()
            loss.backward()
            own.step()
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


def attention(name: str, sources: Tensor) -> Tensor:
    """Weights (B, h, w) in [0, 1]; `sources` is the share of each cell that is source."""
    if name == "source":
        return sources
    if name == "all but the source":
        return 1 - sources
    if name == "whole image":
        return torch.ones_like(sources)
    if name == "chance":
        return torch.rand(sources.shape)
    disc = torch.from_numpy(disc_masks(EZVSL, np.ones(1, int))).float()
    return F.adaptive_avg_pool2d(disc, (sources.shape[-2], sources.shape[-1])).expand(len(sources), -1, -1)


ATTENTIONS = ("source", "whole image", "centre", "chance", "all but the source")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the comparison")
    work = parser.parse_args().work
    out = Path(__file__).with_name("real-predictive.json").resolve()
    os.chdir(work)
    one_thread()
    store, boxes = ShardStore.open("shards"), sources_by_key()
    run = load_run(next(Path("runs", RUN).glob("*-s0")))
    torch.manual_seed(0)
    keys = {
        name: [key for key in Path(f"{name}.txt").read_text().split() if key in boxes] for name in ("train", "heard")
    }
    train, test = (looked_at(run.method, run.config, store, keys[name], VIEWS) for name in ("train", "heard"))
    facts: Mapping[str, Any] = record("benchmarks/methods/predictive.py", ("torch", "numpy"))
    attentions = [given(run.config, name, train, test) for name in ATTENTIONS]
    steps = list(learned(run.config, train, test))
    write(out, {**facts, "clips": len(train), "attentions": attentions, "steps": steps})


if __name__ == "__main__":
    main()
