"""Consecutive images follow the crop and the flip of the clip's own, and others than a method counts on are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from shard_maker import MadeClip, write_bursts, write_shards

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.config import Data
from training.data.beside import Beside, collated, on_device
from training.data.order import Streams
from training.data.stream import TrainingStream
from training.data.views import normalise_image

NEEDS, CLIPS, IMAGES, RATE = frozenset({"burst"}), 4, 7, 10.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ShardStore:
    """Clips whose image is brighter to the right; each further image of the burst is 20 brighter throughout."""
    slope = np.broadcast_to(np.arange(80, dtype=np.uint8)[None, :, None], (64, 80, 3))
    clips = [
        MadeClip(f"clip{number:07d}_000000", slope.copy(), np.zeros((257, 300), np.float16), "a")
        for number in range(CLIPS)
    ]
    folder = write_shards(tmp_path_factory.mktemp("bursts") / "shards", clips, short_side=64)
    burst = np.stack([slope + np.uint8(20 * number) for number in range(IMAGES)])
    write_bursts(folder, {clip.key: burst for clip in clips}, RATE, moment=3)
    return ShardStore.open(folder)


def test_consecutive_images_follow_the_crop_and_the_flip(store: ShardStore) -> None:
    data = Data(image_size=64, crop_scale=1.25)
    stream = TrainingStream(
        store, data, np.ones(CLIPS, bool), Streams(4, 1, 1), 0, range(1), None, NEEDS, burst=(5, RATE)
    )
    (parts,) = list(stream)
    own, burst = parts[0]["image"].float(), parts[0]["burst"].float()
    assert burst.shape == (CLIPS, 5, 3, stream.side, stream.side)
    assert (burst[:, 2] - own - 60).abs().mean() < 2  # the middle is the fourth of the seven, which is 60 brighter
    steps = burst.mean(dim=(2, 3, 4)).diff(dim=1)
    assert torch.allclose(steps, torch.full_like(steps, 20.0), atol=2)
    slopes = (burst[..., -1] - burst[..., 0]).mean(dim=(1, 2, 3))
    assert len({bool(slope > 0) for slope in slopes}) == 2, "some are mirrored, some not"


def test_a_test_shows_them_as_any_image(store: ShardStore) -> None:
    beside = Beside(store, NEEDS, (3, RATE))
    shown = collated([beside.shown(0, "squash", 32), beside.shown(1, "squash", 32)])
    made = on_device(shown, torch.device("cpu"), 32)["burst"]
    assert made.shape == (2, 3, 3, 32, 32)
    assert torch.allclose(made[0], normalise_image(shown["burst"][0]))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [((9, RATE), "--burst 9 --burst-rate 10"), ((5, 25.0), "--burst-rate 25"), ((5, 4.0), "method.rate")],
)
def test_others_than_a_method_counts_on_are_refused(store: ShardStore, wanted: tuple[int, float], said: str) -> None:
    Beside(store, NEEDS, (5, RATE)).check(0)
    Beside(store, NEEDS, (7, 9.5)).check(0)  # rounding of a video's clock is none
    with pytest.raises(InputError, match=said):
        Beside(store, NEEDS, wanted).check(0)


def test_a_rate_that_no_decimal_ends_is_met_by_a_rounded_one(tmp_path: Path) -> None:
    """Three images, each three seconds after the last: `--burst-rate 0.3333` is 1/3 a second."""
    still = np.zeros((32, 32, 3), np.uint8)
    clip = MadeClip("clip0000000_000000", still, np.zeros((257, 300), np.float16), "a")
    slow = write_shards(tmp_path / "slow", [clip], short_side=32)
    write_bursts(slow, {clip.key: np.stack([still] * 3)}, 0.3333, moment=1)
    for rate in (1 / 3, 0.3333, 0.33):
        Beside(ShardStore.open(slow), NEEDS, (3, rate)).check(0)
    with pytest.raises(InputError, match=r"span 6.00 s.*method.rate"):
        Beside(ShardStore.open(slow), NEEDS, (3, 1.0)).check(0)


def test_shards_without_any_are_refused_with_the_flags_that_make_them(tmp_path: Path) -> None:
    clip = MadeClip("clip0000000_000000", np.zeros((32, 32, 3), np.uint8), np.zeros((257, 300), np.float16), "a")
    folder = write_shards(tmp_path / "none", [clip], short_side=32)
    for images, rate, flags in ((3, 1.0, "--burst 3 --burst-rate 1`"), (3, 1 / 3, "--burst 3 --burst-rate 0.333333`")):
        with pytest.raises(InputError, match=flags):
            Beside(ShardStore.open(folder), NEEDS, (images, rate)).check(0)
