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
from training.data.resident import ResidentSet, ResidentStream, resident_bytes
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader

CPU = torch.device("cpu")


def make_stream(store: ShardStore, streams: Streams, positives: Positives | None = None, **options) -> TrainingStream:
    data = Data(image_size=32, workers=streams.readers if streams.readers > 1 else 0, shuffle=16, **options)
    return TrainingStream(store, data, select(store, data).mask, streams, 7, range(streams.replicas), positives)


def both(stream: TrainingStream, epoch: int, first_step: int = 0):
    """The steps as readers decode them, and out of memory."""
    rows = np.flatnonzero(stream.selected)
    kept = ResidentStream(stream, ResidentSet(stream.store, stream.data, rows, CPU))
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


@pytest.mark.parametrize(("replicas", "readers", "first_step"), [(1, 1, 0), (2, 1, 3), (2, 3, 0), (2, 3, 4)])
def test_the_same_batches_in_the_same_order(store: ShardStore, replicas: int, readers: int, first_step: int) -> None:
    decoded, kept = both(make_stream(store, Streams(8, replicas, readers)), 2, first_step)
    assert len(decoded) == 61 // 8 - first_step
    assert_same(decoded, kept)


@pytest.mark.parametrize("options", [{"squash": True}, {"flip": False}, {"crop_scale": 1.0}])
def test_every_way_to_cut(store: ShardStore, options: dict) -> None:
    assert_same(*both(make_stream(store, Streams(8, 1, 1), **options), 0))


def test_frames_of_many_shapes_and_sizes(tmp_path: Path) -> None:
    """Upright, wide, square; frames smaller than the shards' short side, whose crops are scaled up."""
    rng = np.random.default_rng(3)
    shapes = [(64, 80), (80, 64), (64, 64), (64, 150), (40, 50), (33, 90)]
    clips = [
        MadeClip(f"clip{n:07d}_{n:06d}", rng.integers(0, 256, (*shapes[n % 6], 3), dtype=np.uint8),
                 rng.normal(size=(257, 300)).astype(np.float16), "a")
        for n in range(24)
    ]  # fmt: skip
    store = ShardStore.open(write_shards(tmp_path / "shards", clips, [10, 14], short_side=64))
    assert_same(*both(make_stream(store, Streams(8, 1, 1)), 1))


def test_neighbours_and_masks(store: ShardStore, knn: Path) -> None:
    mask = select(store, Data()).mask
    trained = {store.keys[row] for row in np.flatnonzero(mask)}
    lists = Neighbours.open(knn, store.manifest_sha256)
    positives = Positives(store, lists, frozenset({"neighbours", "exclusions"}), trained)
    decoded, kept = both(make_stream(store, Streams(8, 2, 1), positives), 0)
    assert {"neighbours", "exclusions"} <= decoded[0][0].keys()
    assert_same(decoded, kept)


def test_the_memory_it_takes_is_known_before(store: ShardStore) -> None:
    rows = np.array([0, 5, 9])
    kept = ResidentSet(store, Data(), rows, CPU)
    assert (
        resident_bytes(store, Data(), rows)
        == kept._pixels.nbytes + kept._audio.nbytes
        == 3 * (64 * 80 * 3 + 257 * 300 * 2)
    )
