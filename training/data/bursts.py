"""Consecutive images around a clip's own, as a view of that image shows them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from manifests.annotations import Box
from manifests.errors import InputError
from pipeline.shards.companion import BURST
from pipeline.shards.store import ShardStore
from training.data.views import resized


def consecutive(store: ShardStore, row: int, count: int, rate: float) -> list[np.ndarray]:
    """The `count` images around a clip's own, uint8 (H, W, 3). InputError where its burst holds fewer on a side."""
    burst = store.companions.burst(row)
    before, behind = burst.moment, len(burst.images) - 1 - burst.moment
    half = (count - 1) // 2
    if before < half or behind < half:
        raise InputError(
            f"The burst of {store.keys[row]} in {store.folder} holds {len(burst.images)} consecutive images, {before} "
            f"of them before the clip's own; {count} are needed, {half} before it. Ingest the videos again with "
            f"`--burst {count} --burst-rate {rate:g}` into a new folder, or ask for fewer; images without a video have "
            "none."
        )
    return burst.images[burst.moment - half : burst.moment + half + 1]


def check_rate(store: ShardStore, row: int, count: int, rate: float) -> None:
    """InputError as `consecutive`, where there is no burst at all, and where the images follow one another at another
    rate than a method counts on."""
    if not store.companions.has(BURST):
        raise InputError(
            f"The shards in {store.folder} hold no consecutive images. Ingest the videos again with `--burst {count} "
            f"--burst-rate {rate:g}` into a new folder."
        )
    consecutive(store, row, count, rate)
    seconds = store.companions.burst(row).seconds
    shown, expected = seconds[-1] - seconds[0], (len(seconds) - 1) / rate
    if abs(shown - expected) > 1 / rate + 0.25 * expected:  # images begin at most one before they are asked for
        raise InputError(
            f"The {len(seconds)} consecutive images of {store.keys[row]} in {store.folder} span {shown:.2f} s, where "
            f"{rate:g} images a second would span {expected:.2f} s. Set method.rate to the `--burst-rate` they were "
            f"ingested with, or ingest the videos again with `--burst-rate {rate:g}`."
        )


def burst_in_view(images: Sequence[np.ndarray], part: Box, flipped: bool, side: int) -> Tensor:
    """What a part of the frame (fractions) shows of each: uint8 (N, 3, side, side), perhaps mirrored."""
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    height, width = stacked.shape[2:]
    left, top, right, bottom = (round(place * whole) for place, whole in zip(part, (width, height) * 2, strict=True))
    shown = resized(stacked[..., top:bottom, left:right], side)
    return shown.flip(-1) if flipped else shown
