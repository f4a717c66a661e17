"""Approximate search for corpora on which exact search takes too long: FAISS's inverted lists (IVF) on the CPU.

Vectors are put into lists around centres found by k-means, as short codes; a query looks through the codes of the
nearest lists only, and the best of what it finds is scored again by the vectors themselves. How many lists it looks
into is tried on queries of the corpus until the share of true neighbours that was asked for is found; what is then
really found is measured after the build, as for every search. `benchmarks/index/approximate.json` says from what size
on it is quicker than exact search.
"""

import math
from typing import Any

import numpy as np

from index.device import AUTO
from manifests.errors import InputError

TRIED_ROWS = 256  # queries on which the number of lists is chosen
POINTS_PER_LIST = 39  # fewer make FAISS warn that centres are not to be trusted
TRAINED_POINTS, ROUNDS = 64, 10  # of k-means: vectors a centre, and repetitions
PER_CODE = 4  # numbers of a vector that become one code of four bits
FACTORS = (2, 4, 8, 16)  # hits by codes for each that is asked for; scored again, the best are kept
GROWTH = 1.2  # of the number of lists, from one trial to the next
SAME_SCORE = 1e-6  # float32 sums of the same products in another order


def check_means(backend: str, device: str) -> None:
    """InputError for what the approximate search does not run on."""
    if backend != "faiss" or device not in (AUTO, "cpu"):
        raise InputError(
            "--recall below 1 searches with FAISS on the CPU. Leave out --backend and --device, or search exactly: "
            "--recall 1."
        )


class ApproximateSearch:
    """`faiss.IndexIVFPQFastScan`, refined; a `Search` whose scores are exact and whose hits are most of the best.

    vectors (N, D) float32 are copied; `count` hits a query are what `recall` (0..1) is asked of.
    """

    largest_count: int | None = None
    block = 4096
    rankers = 1
    rounding = 48.0  # as one long chain of additions, which is more than it is

    def __init__(self, vectors: np.ndarray, recall: float, count: int, threads: int | None) -> None:
        import faiss

        if threads is not None:
            faiss.omp_set_num_threads(threads)
        self._faiss, self._vectors = faiss, vectors
        self.lists = max(1, min(round(4 * math.sqrt(len(vectors))), len(vectors) // POINTS_PER_LIST))
        self._index = self._filled(_in_whole_codes(vectors))
        self.look_for(recall, count)

    def look_for(self, recall: float, count: int) -> int:
        """Let queries look into as many lists as find that share of their `count` true hits; returns how many."""
        probes = self._probes(recall, count)
        self._look_into(probes)
        self.name = f"faiss.IndexIVFPQFastScan, {probes:,} of {self.lists:,} lists, refined, CPU"
        return probes

    def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """As `Search.hits`. A query whose lists hold fewer vectors than it asks for is compared with all there are."""
        scores, positions = self._index.search(_in_whole_codes(queries), count)
        if (short := (positions < 0).any(axis=1)).any():
            scores[short], positions[short] = self._exact(queries[short], count)
        return scores, positions

    def _filled(self, vectors: np.ndarray) -> Any:
        """The index with all vectors in its lists."""
        kind = f"IVF{self.lists},PQ{vectors.shape[1] // PER_CODE}x4fs,RFlat"
        index: Any = self._faiss.index_factory(vectors.shape[1], kind, self._faiss.METRIC_INNER_PRODUCT)
        means = self._faiss.extract_index_ivf(index.base_index).cp
        means.spherical, means.niter, means.max_points_per_centroid = True, ROUNDS, TRAINED_POINTS
        index.train(vectors)
        index.add(vectors)
        return index

    def _look_into(self, probes: int) -> None:
        self._faiss.extract_index_ivf(self._index.base_index).nprobe = probes

    def _exact(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self._faiss.knn(queries, self._vectors, count, metric=self._faiss.METRIC_INNER_PRODUCT)

    def _probes(self, recall: float, count: int) -> int:
        """The fewest lists, of those tried, in which queries find that share of their true hits.

        At most half of what may be missed is missed because codes are short.
        """
        rows = np.unique(np.linspace(0, len(self._vectors) - 1, TRIED_ROWS).astype(int))
        queries = self._vectors[rows]
        last = self._exact(queries, count)[0][:, -1:] - SAME_SCORE  # who ties with the last is as true as it is

        def found(probes: int) -> float:
            self._look_into(probes)
            scores, positions = self._index.search(_in_whole_codes(queries), count)
            return float(((scores >= last) & (positions >= 0)).mean())

        for factor in FACTORS:
            self._index.k_factor = factor
            if found(self.lists) >= (1 + recall) / 2:
                break
        probes = 1
        while probes < self.lists and found(probes) < recall:
            probes = min(self.lists, math.ceil(GROWTH * probes))
        return probes


def _in_whole_codes(vectors: np.ndarray) -> np.ndarray:
    """Vectors with zeros after their numbers where these fill no whole code: their products are the same."""
    missing = -vectors.shape[1] % PER_CODE
    return np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors
