"""What lies beside clips reaches a method with the image's crop and flip, or is refused with the flag that makes it."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from shard_maker import MadeClip, write_proposals, write_shards

from manifests.errors import InputError
from pipeline.shards.companion_store import Waveform
from pipeline.shards.store import ShardStore
from training.config import Data
from training.data.beside import (
    FLOW_SIDE,
    WAVEFORM_RATE,
    WAVEFORM_SAMPLES,
    Beside,
    Heard,
    around,
    collated,
    flow_in_view,
)
from training.data.order import Streams
from training.data.regions import in_view
from training.data.stream import TrainingStream
from training.data.views import clip_random, drawn_crop

NEEDS = frozenset({"proposals", "neighbours"})
SQUARE = np.array([[0.25, 0.25, 0.75, 0.75]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips whose frames are black but for a white square, which is their one proposal."""
    clips = []
    for number in range(8):
        frame = np.zeros((64, 80, 3), np.uint8)
        frame[16:48, 20:60] = 255
        clips.append(MadeClip(f"clip{number:07d}_000000", frame, np.zeros((257, 300), np.float16), "white"))
    made = write_shards(tmp_path_factory.mktemp("beside") / "shards", clips, short_side=64)
    write_proposals(made, {clip.key: SQUARE for clip in clips})
    return made


def test_proposals_follow_the_crop_and_the_flip(folder: Path) -> None:
    store, data = ShardStore.open(folder), Data(image_size=64, crop_scale=1.25)
    stream = TrainingStream(store, data, np.ones(8, bool), Streams(4, 1, 1), 0, range(1), None, NEEDS)
    for parts in stream:
        for image, boxes in zip(parts[0]["image"], parts[0]["proposals"], strict=True):
            x1, y1, x2, y2 = (boxes[0] * image.shape[1]).round().int().tolist()
            white = (image[0] > 128).float()
            assert white[y1:y2, x1:x2].mean() > 0.97
            assert white[y1:y2, x1:x2].sum() > 0.9 * white.sum()


def test_a_crop_says_which_part_of_the_frame_it_shows() -> None:
    image, data = torch.zeros(3, 64, 80), Data(image_size=64, crop_scale=1.25)
    crop = drawn_crop(image, data, random.Random(0))
    x1, y1, x2, y2 = crop.part(64, 80)
    assert (x2 - x1) * 80 == pytest.approx((y2 - y1) * 64)
    assert 0 <= x1 < x2 <= 1
    assert 0 <= y1 < y2 <= 1
    assert drawn_crop(image, data, clip_random(0, 1, "a")) == drawn_crop(image, data, clip_random(0, 1, "a"))


def test_a_test_shows_them_as_the_view_does(folder: Path) -> None:
    beside = Beside(ShardStore.open(folder), NEEDS)
    assert np.allclose(beside.shown(0, "squash", 64)["proposals"], SQUARE)
    part = ((80 - 64) / 2 / 80, 0.0, 1 - (80 - 64) / 2 / 80, 1.0)
    assert np.allclose(beside.shown(0, "centre_crop", 64)["proposals"], in_view(SQUARE, part, False), atol=1e-6)


def test_fewer_proposals_are_filled_up(folder: Path) -> None:
    found = collated([{"proposals": torch.ones(2, 4)}, {"proposals": torch.ones(1, 4)}])["proposals"]
    assert found.sum(dim=2).tolist() == [[4, 4], [4, 0]]
    assert collated([{}, {}]) == {}


def test_shards_without_them_are_refused_with_the_flag_that_makes_them(store: ShardStore) -> None:
    with pytest.raises(InputError, match="--proposals"):
        Beside(store, NEEDS).check(0)
    Beside(store, frozenset({"neighbours"})).check(0)


def test_flow_follows_the_crop_and_the_flip() -> None:
    field = np.zeros((2, 24, 32), np.float16)
    field[:, :, 16:] = np.array([0.25, -0.5])[:, None, None]  # the right half moves right and up
    right = flow_in_view(field, (0.5, 0.0, 1.0, 1.0), False)
    assert right.shape == (2, FLOW_SIDE, FLOW_SIDE)
    assert torch.allclose(right[0, :, 4:], torch.tensor(0.5), atol=1e-3)  # half the frame is the view: twice as fast
    assert torch.allclose(right[1, :, 4:], torch.tensor(-0.5), atol=1e-3)
    whole, mirrored = (flow_in_view(field, (0.0, 0.0, 1.0, 1.0), flipped) for flipped in (False, True))
    assert torch.allclose(mirrored[0], -whole[0].flip(-1))
    assert torch.allclose(mirrored[1], whole[1].flip(-1))


@pytest.mark.parametrize("rate", [11025, 16000])
def test_a_waveform_is_cut_around_the_moment_and_silent_where_there_is_none(rate: int) -> None:
    seconds = np.arange(4 * rate) / rate
    heard = Waveform(np.sin(2 * np.pi * 440 * seconds).astype(np.float32), rate, start=2.0)  # 2 s to 6 s of the clip
    inside = around(heard, 4.0)
    assert inside.shape == (WAVEFORM_SAMPLES,)
    spectrum = np.abs(np.fft.rfft(inside))
    assert spectrum.argmax() == pytest.approx(440 * 3, abs=1)
    early = around(heard, 2.5)  # from 1 s to 4 s: its first second is not there
    assert not early[: WAVEFORM_RATE - 100].any()
    assert np.abs(early[WAVEFORM_RATE + 100 :]).max() > 0.9
    assert not around(heard, 20.0).any()


def test_a_made_sound_has_a_waveform_as_well(folder: Path) -> None:
    beside = Beside(ShardStore.open(folder), frozenset({"waveform"}))
    silent, noisy = (beside.shown(0, "squash", 64, Heard(0, made, "a"))["waveform"] for made in ("silence", "noise"))
    assert not silent.any()
    assert noisy.std() == pytest.approx(0.1, rel=0.1)
    with pytest.raises(InputError, match="--audio context"):
        beside.check(0)
