"""Clips kept in the device's memory give the batches that readers decode, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from shard_maker import MadeClip, write_shards

from index.neighbours import Neighbours
from pipeline.shards.store import ShardStore
from training.config import Data
from training.data.order import Streams
from training.data.positives import Positives
from training.data.resident import ResidentSet, resident_bytes
from training.data.resident_stream import ResidentStream
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader
from training.loop.room import CPU, Room


def make_stream(store: ShardStore, streams: Streams, positives: Positives | None = None, **options) -> TrainingStream:
    data = Data(image_size=32, workers=streams.readers if streams.readers > 1 else 0, shuffle=16, **options)
    return TrainingStream(store, data, select(store, data).mask, streams, 7, range(streams.replicas), positives)


def divided(stream: TrainingStream, share: float) -> np.ndarray:
    """Which of the rows lie on the device where it has room for this share of their bytes."""
    sizes = resident_bytes(stream.store, stream.data, np.flatnonzero(stream.selected))
    on_device = Room(CPU, int(share * sizes.sum()), 10**9).divided(sizes)
    assert on_device is not None
    return on_device


def both(stream: TrainingStream, epoch: int, first_step: int = 0, share: float = 1.0):
    """The steps as readers decode them, and out of memory, a share of it on the device."""
    rows = np.flatnonzero(stream.selected)
    kept = ResidentStream(stream, ResidentSet(stream.store, stream.data, rows, CPU, divided(stream, share)))
    stream.start(epoch, first_step)
    return list(training_loader(stream)), list(kept)


def assert_same(one, other) -> None:
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, list) and one and not isinstance(one[0], str):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


SHARES = pytest.mark.parametrize("share", [0.0, 0.3, 1.0])


@SHARES
@pytest.mark.parametrize(("replicas", "readers", "first_step"), [(1, 1, 0), (2, 1, 3), (2, 3, 0), (2, 3, 4)])
def test_the_same_batches_in_the_same_order(
    store: ShardStore, replicas: int, readers: int, first_step: int, share: float
) -> None:
    decoded, kept = both(make_stream(store, Streams(8, replicas, readers)), 2, first_step, share)
    assert len(decoded) == 61 // 8 - first_step
    assert_same(decoded, kept)


@SHARES
@pytest.mark.parametrize("rank", [0, 1])
def test_the_batches_of_one_process_of_two(store: ShardStore, rank: int, share: float) -> None:
    data, alone = Data(image_size=32, shuffle=16), make_stream(store, Streams(8, 4, 1))
    stream = TrainingStream(store, data, alone.selected, Streams(8, 4, 1), 7, range(2 * rank, 2 * rank + 2), None)
    _, kept = both(stream, 1, 1, share)
    alone.start(1, 1)
    assert_same([parts[2 * rank : 2 * rank + 2] for parts in training_loader(alone)], kept)


@SHARES
@pytest.mark.parametrize("options", [{"squash": True}, {"flip": False}, {"crop_scale": 1.0}])
def test_every_way_to_cut(store: ShardStore, options: dict, share: float) -> None:
    assert_same(*both(make_stream(store, Streams(8, 1, 1), **options), 0, 0, share))


@SHARES
def test_frames_of_many_shapes_and_sizes(tmp_path: Path, share: float) -> None:
    """Upright, wide, square; frames smaller than the shards' short side, whose crops are scaled up."""
    rng = np.random.default_rng(3)
    shapes = [(64, 80), (80, 64), (64, 64), (64, 150), (40, 50), (33, 90)]
    clips = [
        MadeClip(f"clip{n:07d}_{n:06d}", rng.integers(0, 256, (*shapes[n % 6], 3), dtype=np.uint8),
                 rng.normal(size=(257, 300)).astype(np.float16), "a")
        for n in range(24)
    ]  # fmt: skip
    store = ShardStore.open(write_shards(tmp_path / "shards", clips, [10, 14], short_side=64))
    assert_same(*both(make_stream(store, Streams(8, 1, 1)), 1, 0, share))


@SHARES
def test_neighbours_and_masks(store: ShardStore, knn: Path, share: float) -> None:
    mask = select(store, Data()).mask
    trained = {store.keys[row] for row in np.flatnonzero(mask)}
    lists = Neighbours.open(knn, store.manifest_sha256)
    positives = Positives(store, lists, frozenset({"neighbours", "exclusions"}), trained)
    decoded, kept = both(make_stream(store, Streams(8, 2, 1), positives), 0, 0, share)
    assert {"neighbours", "exclusions"} <= decoded[0][0].keys()
    assert_same(decoded, kept)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_memory_it_takes_is_known_before(store: ShardStore, share: float) -> None:
    rows = np.array([0, 5, 9, 11])
    sizes = resident_bytes(store, Data(), rows)
    assert sizes.tolist() == 4 * [64 * 80 * 3 + 257 * 300 * 2]
    on_device = Room(CPU, int(share * sizes.sum()), 10**9).divided(sizes)
    assert on_device is not None
    kept = ResidentSet(store, Data(), rows, CPU, on_device)
    assert kept._pixels.there.nbytes + kept._audio.there.nbytes == share * sizes.sum()
    assert kept._pixels.here.nbytes + kept._audio.here.nbytes == (1 - share) * sizes.sum()
