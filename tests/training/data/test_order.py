"""The order of an epoch: nothing twice, nothing lost but a last partial batch, equal streams, whatever the shards."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.order import Streams, epoch_sequence, segments, stream_rows


@st.composite
def corpora(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    shard_of_row = np.repeat(np.arange(len(sizes)), sizes)
    selected = np.array(draw(st.lists(st.booleans(), min_size=len(shard_of_row), max_size=len(shard_of_row))))
    return shard_of_row, selected


@st.composite
def cuts(draw: st.DrawFn) -> Streams:
    replicas = draw(st.integers(1, 4))
    return Streams(replicas * draw(st.integers(1, 5)), replicas, draw(st.integers(1, 4)))


@given(corpora(), cuts(), st.integers(0, 5), st.integers(0, 5))
def test_streams_partition_an_epoch(corpus, streams: Streams, seed: int, epoch: int) -> None:
    sequence = epoch_sequence(*corpus, seed, epoch)
    assert sorted(sequence) == list(np.flatnonzero(corpus[1]))
    runs = [
        stream_rows(sequence, streams, replica, reader)
        for replica in range(streams.replicas)
        for reader in range(streams.readers)
    ]
    read = np.concatenate(runs)
    assert len(np.unique(read)) == len(read) == streams.steps(len(sequence)) * streams.batch_size
    assert len(sequence) - len(read) < streams.batch_size


@given(corpora(), cuts())
def test_every_step_finds_a_full_part_in_its_reader(corpus, streams: Streams) -> None:
    sequence = epoch_sequence(*corpus, 0, 0)
    part = streams.batch_size // streams.replicas
    for replica in range(streams.replicas):
        left = [len(stream_rows(sequence, streams, replica, reader)) for reader in range(streams.readers)]
        for step in range(streams.steps(len(sequence))):
            left[step % streams.readers] -= part
        assert left == [0] * streams.readers


@given(corpora(), st.integers(0, 3))
def test_segments_cover_a_run_shard_by_shard(corpus, epoch: int) -> None:
    shard_of_row, selected = corpus
    rows = epoch_sequence(shard_of_row, selected, 0, epoch)
    covered = [row for s in segments(rows, shard_of_row) for row in range(s.first, s.last + 1) if selected[row]]
    assert covered == list(rows)
    assert all(shard_of_row[s.first] == shard_of_row[s.last] for s in segments(rows, shard_of_row))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    shard_of_row, selected = np.repeat(np.arange(20), 5), np.ones(100, dtype=bool)
    first = epoch_sequence(shard_of_row, selected, 0, 0)
    assert np.array_equal(first, epoch_sequence(shard_of_row, selected, 0, 0))
    assert not np.array_equal(first, epoch_sequence(shard_of_row, selected, 0, 1))
    assert not np.array_equal(first, epoch_sequence(shard_of_row, selected, 1, 0))
