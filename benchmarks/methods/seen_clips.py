"""Clips as frozen trunks see them, so that heads alone are trained on them in seconds, and where sounds can be made to
look.

What benchmarks of methods that pool an image by attention share. They work in the work folder of `real.yaml`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.methods.measure_run import HEARD, LOCALIZATION, TRUTH
from manifests.files.parquet import read_table
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
from training.loop.kept_features import frozen_trunks

TRAIN = Path("train.txt")
BATCH = 64
POLICY = IMAGE_POLICIES["crop_flip"]
ATTENTIONS = ("source", "whole image", "centre", "chance", "all but the source")


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
def looked_at(method: Any, config: RunConfig, store: ShardStore, keys: list[str], views: int = 0) -> Seen:
    """The clips as a method's frozen trunks see them; `views` second views of each, drawn as SSPL draws them."""
    (image_trunk,), (audio_trunk,) = (frozen_trunks(method, f"{name}_trunk") for name in ("image", "audio"))
    boxes, rows = sources_by_key(), [store.row_of(key) for key in keys]
    pairs = [EvaluationPair(store.keys[row], row, row) for row in rows]
    parts: list[list[Tensor]] = []
    for chunk, pixels, spectrograms in paired_batches(store, pairs, config.data.image_size, BATCH):
        images = pixels.float()
        masks = torch.stack([torch.from_numpy(box_mask(boxes[pair.name])) for pair in chunk])[:, None].float()
        shown = [(images, masks), *(second_view(images, masks) for _ in range(views))]
        trunk = [image_trunk(normalise_image(image.round().to(torch.uint8))) for image, _ in shown]
        cells = [F.adaptive_avg_pool2d(mask, tuple(trunk[0].shape[-2:]))[:, 0] for _, mask in shown]
        parts.append([audio_trunk(normalise_audio(spectrograms, config.data)), *trunk, *cells])
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


def shuffled(count: int, draw: torch.Generator) -> list[Tensor]:
    """One epoch: the rows of each batch; what does not fill one is left out."""
    return list(torch.randperm(count, generator=draw)[: count // BATCH * BATCH].split(BATCH))


def clips_of_lists(method: Any, config: RunConfig, views: int = 0) -> tuple[Seen, Seen]:
    """The clips of the training list and the heard test clips that show what sounds."""
    store, boxes = ShardStore.open("shards"), sources_by_key()
    train, heard = ([key for key in read_ids(path).ids if key in boxes] for path in (TRAIN, HEARD))
    return looked_at(method, config, store, train, views), looked_at(method, config, store, heard, views)


def scores(names: tuple[str, ...], maps: Tensor) -> dict[str, float]:
    """cIoU@0.5 of maps (N, h, w) of the heard test clips, by protocol."""
    heard = read_truth(TRUTH, "vggss", wanted=read_ids(HEARD))
    raw = RawMaps(names, maps.numpy())
    return {name: score(raw, heard, name).summary["scores"]["audio_visual"]["ciou50"] for name in LOCALIZATION[:2]}


def optimiser(method: Any, rate: float) -> torch.optim.Optimizer:
    groups = [group | {"lr": rate * group.pop("rate", 1.0)} for group in method.parameter_groups()]
    return torch.optim.AdamW(groups)


def descend(own: torch.optim.Optimizer, loss: Tensor) -> float:
    """One step of an optimiser; returns what the loss was."""
    own.zero_grad()
    loss.backward()
    own.step()
    return loss.item()


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
