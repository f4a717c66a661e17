"""Approximate search for corpora on which exact search takes too long: FAISS's inverted lists (IVF) on the CPU.

Vectors are put into lists around centres found by k-means, and a query looks into the nearest lists only. How many it
looks into is tried on queries of the corpus until the share of true neighbours that was asked for is found; what is
then really found is measured after the build, as for every search. Exact search grows with the square of the corpus,
this with less: `benchmarks/index/approximate.json` says from where on it is quicker.
"""

import math
from typing import Any

import numpy as np

from index.device import AUTO
from manifests.errors import InputError

TRIED_ROWS = 256  # queries on which the number of lists is chosen
POINTS_PER_LIST = 39  # fewer make FAISS warn that centres are not to be trusted
TRAINED_POINTS, ROUNDS = 64, 10  # of k-means: vectors a centre, and repetitions
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
    """`faiss.IndexIVFFlat` over unit vectors; a `Search` whose scores are exact and whose hits are most of the best.

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
        self._lists = max(1, min(round(4 * math.sqrt(len(vectors))), len(vectors) // POINTS_PER_LIST))
        self._index = self._filled()
        self._index.nprobe = self._probes(recall, count)
        self.name = f"faiss.IndexIVFFlat, {self._index.nprobe:,} of {self._lists:,} lists, CPU"

    def _filled(self) -> Any:
        """The index with all vectors in its lists."""
        centres = self._faiss.IndexFlatIP(self._vectors.shape[1])
        index = self._faiss.IndexIVFFlat(centres, self._vectors.shape[1], self._lists, self._faiss.METRIC_INNER_PRODUCT)
        index.cp.spherical, index.cp.niter, index.cp.max_points_per_centroid = True, ROUNDS, TRAINED_POINTS
        index.train(self._vectors)
        index.add(self._vectors)
        return index

    def _probes(self, recall: float, count: int) -> int:
        """The fewest lists, of those tried, in which queries find that share of their true hits."""
        rows = np.unique(np.linspace(0, len(self._vectors) - 1, TRIED_ROWS).astype(int))
        queries = self._vectors[rows]
        scores, _ = self._faiss.knn(queries, self._vectors, count, metric=self._faiss.METRIC_INNER_PRODUCT)
        last, probes = scores[:, -1:] - SAME_SCORE, 1  # clips that tie with the last are as true as it is
        while probes < self._lists:
            self._index.nprobe = probes
            found, positions = self._index.search(queries, count)
            if ((found >= last) & (positions >= 0)).mean() >= recall:
                break
            probes = min(self._lists, math.ceil(GROWTH * probes))
        return probes

    def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """As `Search.hits`. A query whose lists hold fewer vectors than it asks for is compared with all there are."""
        scores, positions = self._index.search(queries, count)
        if (short := (positions < 0).any(axis=1)).any():
            scores[short], positions[short] = self._faiss.knn(
                queries[short], self._vectors, count, metric=self._faiss.METRIC_INNER_PRODUCT
            )
        return scores, positions
