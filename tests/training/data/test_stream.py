"""The training stream over real shards: each clip once, the same batches however many processes read them."""

import pickle
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from shard_maker import MadeClip, write_shards

from index.embed import rows_of_list
from index.neighbours import Neighbours
from manifests.errors import InputError
from manifests.splits import read_ids
from pipeline.shards.store import ShardStore
from training.config import Data
from training.data.order import Streams
from training.data.positives import Positives
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader
from training.data.views import clip_random, normalise_audio, normalise_image, random_view, resized, view_side
from training.leakage import TestLists

TRAINED = 61  # of 83 clips: every fifth is test, every eleventh silent


def make_stream(store: ShardStore, streams: Streams, replicas: range | None = None, seed: int = 0, **options):
    positives = options.pop("positives", None)
    data = Data(image_size=32, workers=streams.readers if streams.readers > 1 else 0, shuffle=16, **options)
    return TrainingStream(
        store, data, select(store, data).mask, streams, seed, replicas or range(streams.replicas), positives
    )


def keys_of(stream: TrainingStream, epoch: int = 0, first_step: int = 0) -> list[list[list[str]]]:
    """Keys by step and replica."""
    stream.start(epoch, first_step)
    return [[part["key"] for part in parts] for parts in training_loader(stream)]


@pytest.mark.parametrize(("replicas", "readers"), [(1, 1), (2, 1), (2, 3), (4, 2)])
def test_an_epoch_reads_each_training_clip_at_most_once(store: ShardStore, replicas: int, readers: int) -> None:
    stream = make_stream(store, Streams(8, replicas, readers))
    steps = keys_of(stream)
    assert len(steps) == stream.steps == TRAINED // 8
    assert all(len(parts) == replicas and all(len(part) == 8 // replicas for part in parts) for parts in steps)
    keys = [key for parts in steps for part in parts for key in part]
    assert len(set(keys)) == len(keys)
    flags = dict(zip(store.keys, store.table["flags"].to_pylist(), strict=True))
    splits = dict(zip(store.keys, store.table["split"].to_pylist(), strict=True))
    assert all(splits[key] == "train" and flags[key] == [] for key in keys)


def test_silent_clips_can_be_kept(store: ShardStore) -> None:
    assert make_stream(store, Streams(1, 1, 1), drop_flagged=()).steps == 67
    assert make_stream(store, Streams(1, 1, 1)).steps == TRAINED


@pytest.mark.parametrize("readers", [1, 2])
def test_two_processes_read_what_one_reads(store: ShardStore, readers: int) -> None:
    streams = Streams(8, 4, readers)
    alone = keys_of(make_stream(store, streams))
    halves = [keys_of(make_stream(store, streams, replicas)) for replicas in (range(2), range(2, 4))]
    assert alone == [first + second for first, second in zip(*halves, strict=True)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on machines with fewer cores
def test_a_reader_that_is_sent_the_stream_reads_what_one_with_a_copy_reads(store: ShardStore) -> None:
    stream = make_stream(store, Streams(8, 1, 1))
    assert keys_of(pickle.loads(pickle.dumps(stream))) == keys_of(stream)


def test_readers_without_a_step_of_their_own_end_quietly(store: ShardStore) -> None:
    """One step for four readers: three have nothing to read, and nobody waits for them."""
    stream = make_stream(store, Streams(32, 2, 4))
    ((first, second),) = keys_of(stream)
    assert len({*first, *second}) == 32
    assert keys_of(stream, first_step=1) == []


def test_clips_of_a_shard_do_not_come_in_the_tars_order(store: ShardStore) -> None:
    stream = make_stream(store, Streams(1, 1, 1))
    rows = [store.row_of(key) for parts in keys_of(stream) for part in parts for key in part]
    follows = sum(second == first + 1 for first, second in pairwise(rows))
    assert follows < len(rows) / 3


@pytest.mark.parametrize("readers", [1, 2])
@pytest.mark.parametrize("first_step", [1, 2, 5])
def test_resuming_inside_an_epoch_continues_its_order(store: ShardStore, readers: int, first_step: int) -> None:
    stream = make_stream(store, Streams(8, 2, readers))
    assert keys_of(stream, 3, first_step) == keys_of(stream, 3)[first_step:]


def test_order_changes_with_epoch_and_seed_only(store: ShardStore) -> None:
    streams = Streams(8, 1, 1)
    assert keys_of(make_stream(store, streams), 1) == keys_of(make_stream(store, streams), 1)
    assert keys_of(make_stream(store, streams), 1) != keys_of(make_stream(store, streams), 2)
    assert keys_of(make_stream(store, streams, seed=1), 1) != keys_of(make_stream(store, streams), 1)


def test_batches_hold_the_clip_s_own_content(store: ShardStore) -> None:
    stream = make_stream(store, Streams(8, 1, 1), crop_scale=1.0, flip=False)
    stream.start(0)
    part = next(iter(training_loader(stream)))[0]
    assert part["image"].shape == (8, 3, 64, 64)  # as stored: the training device makes them 32 x 32
    assert part["image"].dtype == torch.uint8
    for position, key in enumerate(part["key"]):
        expected = store.spectrogram(store.row_of(key))
        assert np.array_equal(part["audio"][position].numpy(), expected)


def test_only_the_k_nearest_are_drawn_and_excluded(store: ShardStore, knn: Path) -> None:
    neighbours = Neighbours.open(knn, store.manifest_sha256)
    positives = Positives(store, neighbours, frozenset({"neighbours", "exclusions"}), neighbours.keys, k=1)
    key = neighbours.keys[0]
    drawn = {positives._drawn(positives._lists()[0], key, clip_random(0, epoch, key)) for epoch in range(10)}
    assert drawn == {store.row_of(neighbours.keys[neighbours.image[0, 0]])}
    assert positives.exclusions(neighbours.keys)["audio"].sum(dim=1).tolist() == [1] * len(neighbours)
    with pytest.raises(InputError, match=rf"lists {neighbours.k} neighbours a clip. Build .* --k {neighbours.k + 1}"):
        Positives(store, neighbours, frozenset({"neighbours"}), neighbours.keys, k=neighbours.k + 1)


def test_neighbours_are_drawn_from_the_clip_s_list_and_reproducibly(store: ShardStore, knn: Path) -> None:
    neighbours = Neighbours.open(knn, store.manifest_sha256)
    positives = Positives(store, neighbours, frozenset({"neighbours"}), neighbours.keys)
    stream = make_stream(store, Streams(8, 1, 1), positives=positives)
    audio = {store.spectrogram(row).tobytes(): store.keys[row] for row in range(len(store))}
    drawn = []
    for _ in range(2):
        stream.start(0)
        parts = [step[0] for step in training_loader(stream)]
        drawn.append([[audio[s.numpy().tobytes()] for s in part["neighbours"]["audio"]] for part in parts])
        for part, near in zip(parts, drawn[-1], strict=True):
            for key, other in zip(part["key"], near, strict=True):
                assert other in {neighbours.keys[i] for i in neighbours.audio[neighbours.position_of(key)]}
    assert drawn[0] == drawn[1]


def test_neighbours_of_other_shards_are_refused(knn: Path) -> None:
    with pytest.raises(InputError, match="other shards"):
        Neighbours.open(knn, "0" * 64)


def test_a_list_names_clips_in_the_folders_that_ingest_put_before_their_names(tmp_path: Path) -> None:
    frame, audio = np.zeros((32, 32, 3), np.uint8), np.zeros((257, 300), np.float16)
    keys = ["cat__001", "dog__001", "dog__002", "tests__cow__001"]
    store = ShardStore.open(write_shards(tmp_path / "shards", [MadeClip(key, frame, audio) for key in keys]))
    (tmp_path / "mine.txt").write_text("dog/001.mp4\ncow/001.mp4\n")
    (tmp_path / "test.txt").write_text("cow/001.mp4\n")
    selection = select(store, Data(train_list=str(tmp_path / "mine.txt")))
    assert selection.keys(store) == ["dog__001", "tests__cow__001"]
    tests = TestLists((read_ids(tmp_path / "test.txt"),), (), ()).known_as(store.keys)
    assert select(store, Data(train_list=str(tmp_path / "mine.txt")), tests.banned).keys(store) == ["dog__001"]
    assert rows_of_list(store, read_ids(tmp_path / "mine.txt")).tolist() == [1, 3]


def test_too_few_clips_for_a_batch_and_an_unknown_split(store: ShardStore) -> None:
    with pytest.raises(InputError, match=r"61 usable clips, fewer than optim.batch_size 64"):
        make_stream(store, Streams(64, 1, 1))
    with pytest.raises(
        InputError, match=r"no usable clip of split 'validation'; its splits are test \(16\), train \(67\)"
    ):
        make_stream(store, Streams(1, 1, 1), split="validation")


@pytest.mark.parametrize("shape", [(3, 20, 90), (3, 90, 20), (3, 32, 32)])
def test_random_views_are_square_whatever_the_frame(shape: tuple[int, int, int]) -> None:
    image = torch.zeros(shape, dtype=torch.uint8)
    view = random_view(image, 32, Data(image_size=32, crop_scale=1.1), random.Random(0))
    assert view.shape == (3, 32, 32)


def test_views_are_cut_as_stored_and_resized_together() -> None:
    data = Data(image_size=32, crop_scale=1.25, flip=False)
    assert view_side(data, 100) == 80
    assert view_side(data.model_copy(update={"squash": True}), 100) == 32
    assert view_side(data, 0) == 32  # frames of all sizes
    frames = torch.randint(0, 255, (2, 3, 100, 160), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    views = [random_view(frame, 80, data, random.Random(number)) for number, frame in enumerate(frames)]
    for number, (frame, view) in enumerate(zip(frames, views, strict=True)):
        draw = random.Random(number)
        top, left = draw.randint(0, 20), draw.randint(0, 80)
        assert torch.equal(view, frame[:, top : top + 80, left : left + 80])
    alone = [resized(view, 32) for view in views]
    assert torch.equal(resized(torch.stack(views), 32), torch.stack(alone))


def test_a_squashed_view_loses_no_side_of_a_wide_frame() -> None:
    image = torch.zeros(3, 20, 90, dtype=torch.uint8)
    image[:, :, 0] = image[:, :, -1] = 255
    view = random_view(image, 32, Data(image_size=32, crop_scale=1.0, squash=True, flip=False), random.Random(0))
    assert view[:, :, 0].float().mean() > 60
    assert view[:, :, -1].float().mean() > 60


def test_normalisation_constants() -> None:
    silence = torch.full((1, 257, 300), float(np.log(1e-7)), dtype=torch.float16)
    assert normalise_audio(silence, Data()).mean().item() == pytest.approx(-1.34317, abs=1e-3)
    white = normalise_image(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    assert white[0, :, 0, 0].tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], abs=1e-5)
