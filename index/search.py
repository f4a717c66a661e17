"""Maximum inner product search over a whole corpus, exact, behind one small interface.

A search returns more hits than neighbours are wanted; `index.ranking` turns them into neighbours that are the same
whatever ran the search. Backends: FAISS on the CPU, FAISS on a GPU, and torch (`index.search_torch`, imported only when
asked for, so that FAISS and torch never share a process: two OpenMP runtimes in one process is the classic crash).
`index.approximate` is one more, for corpora of millions.
"""

from typing import Protocol

import numpy as np

from index.device import chosen_device, device_number
from index.ranking import GPU_RANKERS

FAISS_GPU_HITS = 2048  # the k-selection kernels of faiss-gpu support no more


class Search(Protocol):
    """A corpus ready to be searched.

    `name` says what runs; `largest_count` is the most hits one query may ask for (None: any); `block` is the number of
    queries to give at once; `rankers` is the number of CPU threads that keep up with ranking its hits; `rounding`
    bounds the error of a score s, in units of 2^-24, as rounding * |s| + 2.
    """

    name: str
    largest_count: int | None
    block: int
    rankers: int
    rounding: float

    def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """queries (Q, D) float32 -> scores (Q, count) float32, largest first, and positions (Q, count) int64."""
        ...


def search_device(backend: str, given: str) -> str:
    """`cpu`, or `cuda:N` of the GPUs the backend sees. InputError as `chosen_device`."""
    return chosen_device(given, gpu_count(backend), backend)


def gpu_count(backend: str) -> int:
    """How many GPUs a backend can use."""
    if backend == "torch":
        from index.search_torch import gpu_count as torch_gpu_count

        return torch_gpu_count()
    import faiss

    return faiss.get_num_gpus()


def open_search(vectors: np.ndarray, backend: str, device: str, threads: int | None) -> Search:
    """Make `vectors` (N, D) float32 searchable; `threads` limits CPU threads (None: all)."""
    device = search_device(backend, device)
    if backend == "torch":
        from index.search_torch import TorchSearch

        return TorchSearch(vectors, device, threads)
    number = device_number(device)
    return FaissCpuSearch(vectors, threads) if number is None else FaissGpuSearch(vectors, number)


class FaissCpuSearch:
    """`faiss.knn` on the array itself: no index object, so no second copy of the corpus."""

    name = "faiss.knn, inner product, CPU"
    largest_count: int | None = None
    block = 4096  # faiss multiplies matrices of as many queries; smaller ones cost it about a tenth
    rankers = 1
    rounding = 16.0

    def __init__(self, vectors: np.ndarray, threads: int | None) -> None:
        import faiss

        if threads is not None:
            faiss.omp_set_num_threads(threads)
        self._faiss = faiss
        self._vectors = vectors

    def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self._faiss.knn(queries, self._vectors, count, metric=self._faiss.METRIC_INNER_PRODUCT)


class FaissGpuSearch:
    """`faiss.GpuIndexFlatIP`: the corpus is copied to the GPU once, scores are float32 there as well."""

    name = "faiss.GpuIndexFlatIP"
    largest_count: int | None = FAISS_GPU_HITS
    block = 2048
    rankers = GPU_RANKERS
    rounding = 48.0  # one long chain of additions per score, where CPU kernels keep several

    def __init__(self, vectors: np.ndarray, gpu: int = 0) -> None:
        import faiss

        self._resources = faiss.StandardGpuResources()
        options = faiss.GpuIndexFlatConfig()
        options.device = gpu
        self._index = faiss.GpuIndexFlatIP(self._resources, vectors.shape[1], options)
        self._index.add(np.ascontiguousarray(vectors))

    def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self._index.search(queries, count)
