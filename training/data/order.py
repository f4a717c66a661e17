"""Which clip is read when: the order of an epoch as a pure function of (seed, epoch), cut into equal streams.

The selected clips of all shards, shards shuffled, form one long sequence. It is cut into contiguous runs, one per
(replica, reader) stream, sized so that every step gets a full batch: no clip is read twice in an epoch, at most
`batch_size - 1` are left over, and no stream ends early, however unevenly shards divide. The cut depends on the
number of replicas and readers, never on the number of processes: one process and eight see the same batches.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segment:
    """Consecutive manifest rows `first`..`last` (both included) of one shard, some of them possibly not selected."""

    first: int
    last: int


@dataclass(frozen=True)
class Streams:
    """How an epoch is cut: `batch_size` clips a step, in `replicas` equal parts, each fed by `readers` in turn."""

    batch_size: int
    replicas: int
    readers: int

    def steps(self, clips: int) -> int:
        """Full steps in an epoch of this many clips."""
        return clips // self.batch_size

    def stream_steps(self, clips: int, reader: int) -> int:
        """How many of the epoch's steps a reader serves: those with step % readers == reader."""
        return len(range(reader, self.steps(clips), self.readers))


def epoch_sequence(shard_of_row: np.ndarray, selected: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Selected manifest rows (int64) with shards in the epoch's order, rows of a shard in tar order.

    `shard_of_row` (N,) numbers each row's shard, non-decreasing; `selected` (N,) is a boolean mask.
    """
    rows = np.flatnonzero(selected)
    shards = np.unique(shard_of_row[rows])
    order = np.random.default_rng([seed, epoch]).permutation(shards)
    position = np.empty(int(shards.max(initial=-1)) + 1, dtype=np.int64)
    position[order] = np.arange(len(order))
    return rows[np.argsort(position[shard_of_row[rows]], kind="stable")]


def stream_rows(sequence: np.ndarray, streams: Streams, replica: int, reader: int) -> np.ndarray:
    """The run of the sequence that one stream reads."""
    part = streams.batch_size // streams.replicas
    start = 0
    for r in range(streams.replicas):
        for w in range(streams.readers):
            length = part * streams.stream_steps(len(sequence), w)
            if (r, w) == (replica, reader):
                return sequence[start : start + length]
            start += length
    raise IndexError((replica, reader))


def segments(rows: np.ndarray, shard_of_row: np.ndarray) -> list[Segment]:
    """Contiguous byte ranges that cover a stream's rows (N,): one segment per visited shard."""
    if len(rows) == 0:
        return []
    shards = shard_of_row[rows]
    starts = np.flatnonzero(np.r_[True, shards[1:] != shards[:-1]])
    ends = np.r_[starts[1:], len(rows)] - 1
    return [Segment(int(rows[a]), int(rows[b])) for a, b in zip(starts, ends, strict=True)]
