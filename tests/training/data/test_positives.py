"""Which clips are drawn as positives, and which are no negatives, against plain statements of both."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from index.neighbours import Neighbours
from manifests.errors import InputError
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore, read_index
from training.data.positives import Positives
from training.data.views import decode_image


@pytest.fixture
def neighbours(store: ShardStore, knn: Path) -> Neighbours:
    return Neighbours.open(knn, store.manifest_sha256)


def two_cuts_a_video(store: ShardStore) -> ShardStore:
    """The same clips, of which rows 2 n and 2 n + 1 come from one video."""
    return of_videos(store, [f"video{row // 2}" for row in range(len(store))])


def of_videos(store: ShardStore, names: Sequence[str | None]) -> ShardStore:
    """The same clips, cut from videos of these names."""
    sources = pa.array(names, pa.string())
    column = store.table.column_names.index("source_id")
    return ShardStore(store.folder, read_index(store.folder), store.table.set_column(column, "source_id", sources))


def test_exclusions_are_neighbours_and_cuts_of_the_same_video(store: ShardStore, neighbours: Neighbours) -> None:
    store = two_cuts_a_video(store)
    keys = neighbours.keys[:24]
    masks = Positives(store, neighbours, frozenset({"exclusions"}), neighbours.keys).exclusions(keys)
    for i, anchor in enumerate(keys):
        for j, other in enumerate(keys):
            for modality, near in (("image", neighbours.image), ("audio", neighbours.audio)):
                listed = other in {neighbours.keys[place] for place in near[neighbours.position_of(anchor)]}
                assert bool(masks[modality][i, j]) == listed
            same_video = store.row_of(anchor) // 2 == store.row_of(other) // 2
            assert bool(masks["source"][i, j]) == (same_video and i != j)
    assert all(mask.any() and not mask.diagonal().any() for mask in masks.values())


def test_clips_whose_video_is_unknown_are_cuts_of_their_own(store: ShardStore, neighbours: Neighbours) -> None:
    unknown = of_videos(store, [None] * len(store))
    positives = Positives(unknown, neighbours, frozenset({"exclusions"}), neighbours.keys)
    assert not positives.exclusions(neighbours.keys[:24])["source"].any()


def test_clips_that_are_not_trained_on_are_never_drawn(store: ShardStore, neighbours: Neighbours) -> None:
    key = neighbours.keys[0]
    near = [neighbours.keys[place] for place in neighbours.image[0]]
    trained = set(neighbours.keys) - set(near[1:])
    positives = Positives(store, neighbours, frozenset({"neighbours"}), trained)
    listed_by_sound = {neighbours.keys[place] for place in neighbours.audio[0]} & trained
    image = decode_image(store.read(store.row_of(near[0]), FRAME))
    near_audio = {store.spectrogram(store.row_of(other)).tobytes() for other in listed_by_sound}
    drawn = [positives.draw(key, random.Random(seed)) for seed in range(40)]
    assert all(torch.equal(found["image"], image) for found in drawn)
    assert {found["audio"].tobytes() for found in drawn} == near_audio
    alone = Positives(store, neighbours, frozenset({"near_audio"}), trained)
    for seed, both in enumerate(drawn):  # the same draw, of which one half is read
        found = alone.draw(key, random.Random(seed))
        assert found.keys() == {"audio"}
        assert found["audio"].tobytes() == both["audio"].tobytes()
    with pytest.raises(InputError, match=r"none of the 5 neighbours of .* is a clip this run trains on"):
        Positives(store, neighbours, frozenset({"neighbours"}), trained - set(near)).draw(key, random.Random(0))


def test_lists_hold_no_clip_of_another_split(store: ShardStore, neighbours: Neighbours) -> None:
    """Test clips are neither given neighbours nor are they any: only one split is embedded."""
    splits = dict(zip(store.keys, store.table["split"].to_pylist(), strict=True))
    assert "test" in splits.values()
    listed = {neighbours.keys[place] for near in (neighbours.image, neighbours.audio) for place in np.unique(near)}
    assert {splits[key] for key in listed | set(neighbours.keys)} == {"train"}
    with pytest.raises(InputError, match="has no neighbours of clip"):
        neighbours.position_of(next(key for key, split in splits.items() if split == "test"))


def test_neighbours_that_hardly_agree_are_doubted(store: ShardStore, knn: Path, tmp_path: Path) -> None:
    lists = Neighbours.open(knn, store.manifest_sha256)
    trained = set(lists.keys)
    assert Positives(store, lists, frozenset({"neighbours"}), trained).doubts() == []
    rng = np.random.default_rng(0)
    anywhere = np.stack([rng.permutation(len(lists))[: lists.k] for _ in range(len(lists))]).astype(np.int32)
    mixed = replace(lists, image=anywhere)
    (doubt,) = Positives(store, mixed, frozenset({"neighbours"}), trained, k=3).doubts()
    assert re.match(r"only 2\d% of the 3 nearest clips by image .* \(2\d% would by chance\): such positives", doubt)


def test_lists_that_do_not_serve_every_training_clip_are_refused_before_they_are_drawn_from(
    store: ShardStore, neighbours: Neighbours
) -> None:
    key, wanted = neighbours.keys[0], frozenset({"near_audio"})
    Positives(store, neighbours, wanted, neighbours.keys).check()
    without = set(neighbours.keys) - {neighbours.keys[place] for place in neighbours.audio[0]}
    with pytest.raises(InputError, match=r"none of the 5 neighbours of .* is a clip this run trains on"):
        Positives(store, neighbours, wanted, without | {key}).check()
    Positives(store, neighbours, frozenset({"exclusions"}), without | {key}).check()  # nothing is drawn
    absent = next(other for other in store.keys if other not in neighbours)
    with pytest.raises(InputError, match=f"no neighbours of clip '{absent}'"):
        Positives(store, neighbours, frozenset({"exclusions"}), {*neighbours.keys, absent}).check()
