"""From a search's raw hits to neighbours: exclusions, then an order that depends on the vectors alone.

Float32 scores of equal pairs differ in the last bits between backends, block sizes and even positions in a block, and a
search may keep any of the hits that tie at its end. So hits closer together than that rounding are scored again in
float64, ties go to the lower position, and a row whose k-th neighbour lies within rounding of the end of its hits is
ranked over the whole corpus. What comes out is the exact answer, the same from every backend.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from manifests.errors import InputError

GPU_RANKERS = min(8, len(os.sched_getaffinity(0)))  # a GPU finds hits faster than one thread ranks them
UNIT_ROUNDOFF = 2.0**-24  # of float32
MARGIN = 8  # hits beyond the needed ones, so that the k-th is rarely near the last
PAIRS = 256  # pairs scored at once: both sides stay in the processor's cache
WHOLE_ROWS = 64  # queries ranked over the whole corpus at once


@dataclass(frozen=True)
class Ranking:
    """k neighbours of clips in `vectors` (N, D) float32, never of the same source.

    `sources` (N,) int32 numbers the video each clip was cut from (a clip shares its own, so self is excluded with it);
    `rounding` is the search's (see `index.search.Search`).
    """

    vectors: np.ndarray
    sources: np.ndarray
    k: int
    rounding: float

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N,) clips of the same source, the clip itself included."""
        return source_sizes(self.sources)

    @cached_property
    def largest_source(self) -> int:
        """Clips of the video that gave most of them: as many hits may have to be dropped."""
        return int(self.sizes.max())

    @property
    def hits_needed(self) -> int:
        """Hits to ask the search for."""
        return min(len(self.vectors), self.k + self.largest_source + MARGIN)

    def neighbours(self, queries: np.ndarray, scores: np.ndarray, hits: np.ndarray) -> np.ndarray:
        """Neighbours of the clips at positions `queries` (Q,), best first: int32 (Q, k).

        scores (Q, H) float32 descending and hits (Q, H) int64 are what the search found, H = hits_needed.
        """
        scores, hits = self._admissible(queries, scores, hits)
        self._order_near_ties(queries, scores, hits)
        best = hits[:, : self.k].astype(np.int32)
        unseen = hits.shape[1] < len(self.vectors) - self.sizes[queries]
        undecided = unseen & (scores[:, self.k - 1] - scores[:, -1] <= self._slack(scores[:, self.k - 1]))
        for rows in _blocks(np.flatnonzero(undecided), WHOLE_ROWS):
            best[rows] = self._over_whole_corpus(queries[rows])
        return best

    def _slack(self, scores: np.ndarray) -> np.ndarray:
        """Scores further apart than this are in their true order."""
        return 2 * UNIT_ROUNDOFF * (self.rounding * np.abs(scores) + 2)

    def _admissible(self, queries: np.ndarray, scores: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Drop hits of the query's own source; every row keeps the same number, H - largest_source."""
        width = hits.shape[1] - self.largest_source
        admissible = self.sources[hits] != self.sources[queries][:, None]
        admissible &= np.cumsum(admissible, axis=1, dtype=np.int32) <= width
        return scores[admissible].reshape(-1, width), hits[admissible].reshape(-1, width)

    def _order_near_ties(self, queries: np.ndarray, scores: np.ndarray, hits: np.ndarray) -> None:
        """Sort every run of hits that rounding may have shuffled by (-exact score, position), in place."""
        follows = np.zeros(hits.shape, dtype=bool)
        follows[:, 1:] = scores[:, :-1] - scores[:, 1:] <= self._slack(scores[:, :-1])
        later = np.flatnonzero(follows)
        tied = np.union1d(later - 1, later)  # places in the flattened hits; few, so all that follows is cheap
        run = np.cumsum(~follows.flat[tied])
        found = hits.flat[tied]
        exact = exact_scores(self.vectors, queries[tied // hits.shape[1]], found)
        hits.flat[tied] = found[np.lexsort((found, -exact, run))]

    def _over_whole_corpus(self, queries: np.ndarray) -> np.ndarray:
        """Neighbours of a few queries with every clip of the corpus considered: int32 (Q, k)."""
        scores = self.vectors[queries] @ self.vectors.T
        scores[self.sources[queries][:, None] == self.sources] = -np.inf
        last = np.partition(scores, -self.k, axis=1)[:, -self.k]
        candidates = scores >= (last - self._slack(last))[:, None]
        ranked = [self._best(query, np.flatnonzero(row)) for query, row in zip(queries, candidates, strict=True)]
        return np.stack(ranked)

    def _best(self, query: int, candidates: np.ndarray) -> np.ndarray:
        exact = exact_scores(self.vectors, np.full(len(candidates), query), candidates)
        return candidates[np.lexsort((candidates, -exact))[: self.k]].astype(np.int32)


def exact_scores(vectors: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products of the pairs vectors[left[i]], vectors[right[i]]: float64 (P,).

    Products of two float32 are exact in float64 and each row is summed in the same order, so equal vectors get equal
    scores to the last bit. (einsum with dtype=float64 would sum in an order that depends on the place in the batch.)
    """
    scores = np.empty(len(left))
    products = np.empty((PAIRS, vectors.shape[1]))
    for pairs in _blocks(np.arange(len(left)), PAIRS):
        block = products[: len(pairs)]
        block[:] = vectors[left[pairs]]
        block *= vectors[right[pairs]]
        np.sum(block, axis=1, out=scores[pairs[0] : pairs[-1] + 1])
    return scores


def source_sizes(sources: np.ndarray) -> np.ndarray:
    """Source numbers (N,) -> how many clips share each clip's source, itself included (N,)."""
    return np.bincount(sources)[sources]


def check_k(k: int, sizes: np.ndarray) -> None:
    """InputError unless every clip has k clips of other videos; names the corpus size and the largest k that works."""
    clips = len(sizes)
    largest = clips - int(sizes.max(initial=0))
    if k <= largest:
        return
    if largest < 1:
        raise InputError(f"no neighbours can be found: the {clips} clips of this corpus all come from one video.")
    raise InputError(
        f"--k {k} is more than this corpus of {clips} clips allows: a clip and the others of its video (up to "
        f"{clips - largest} in all here) are never its neighbours. The largest k that works is {largest}."
    )


def _blocks(positions: np.ndarray, size: int) -> list[np.ndarray]:
    return [positions[start : start + size] for start in range(0, len(positions), size)]
