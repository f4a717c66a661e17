"""Building `knn/`: the k nearest neighbours of every clip, per modality, from a folder of embeddings.

Queries go through the search in blocks; each block is ranked (`index.ranking`) and appended to the result file, so
memory stays at the embeddings plus one block. A sample of the rows is then checked against plain float64 arithmetic.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index import arrays
from index.embeddings import Embeddings
from index.label_agreement import LabelAgreement, chance
from index.ranking import Ranking, check_k, source_sizes
from index.search import Search, open_search
from manifests.errors import InputError, WorkFailed
from pipeline.shards.sources import source_numbers

FIRST = 8  # of a block: the part of it that the first one is
CHECKED_ROWS = 32  # rows compared with exact arithmetic after each build, and at once
MEASURED_ROWS = 256  # rows on which the recall of an approximate search is measured
BELOW = 0.05  # what is measured may lie under the recall asked for, which was reached on other rows
CORPUS_ROWS = 8192  # corpus rows held in float64 at once by that comparison
SAME_SCORE = 1e-12  # float64 sums of the same products in another order


@dataclass(frozen=True)
class KnnRequest:
    """What neighbours are wanted of which embeddings: all that decides the result (how it is computed does not).

    `recall_asked`: the share of the true neighbours that must be found, None for all of them (exact search).
    """

    k: int
    encoder: str
    manifest_sha256: str
    embeddings_sha256: str
    recall_asked: float | None = None

    @classmethod
    def of(cls, embeddings: Embeddings, k: int, recall: float = 1.0) -> "KnnRequest":
        """InputError when the corpus is too small for k."""
        check_k(k, source_sizes(source_numbers(embeddings.keys["source_id"].to_pylist())))
        meta = embeddings.meta
        made_from = str(meta["encoder"]), str(meta["manifest_sha256"]), embeddings.fingerprint()
        return cls(k, *made_from, recall if recall < 1 else None)

    @property
    def least_recall(self) -> float:
        """What a finished build must be measured to have found."""
        return 1.0 if self.recall_asked is None else self.recall_asked - BELOW

    @property
    def checked_rows(self) -> int:
        """Rows on which it is measured."""
        return CHECKED_ROWS if self.recall_asked is None else MEASURED_ROWS

    def as_meta(self) -> dict[str, object]:
        return dict(vars(self))


@dataclass(frozen=True)
class Means:
    """How to compute: backend ("faiss" or "torch"), device ("cpu" or "cuda"), CPU threads (None: all)."""

    backend: str
    device: str
    threads: int | None = None


@dataclass(frozen=True)
class _Found:
    """What is told about one modality once its array is written."""

    index: str
    recall: float
    agreement: dict[str, float]


def build(
    embeddings: Embeddings, request: KnnRequest, means: Means, out: Path, advance: Callable[[int], None]
) -> dict[str, object]:
    """Find all neighbours and write `out` in one step; returns its meta.json.

    `advance` is called with the number of clips done, len(embeddings) per modality. InputError when k is too large for
    the device; WorkFailed when the disk is full or the check against exact arithmetic fails.
    """
    started = time.monotonic()
    sources = source_numbers(embeddings.keys["source_id"].to_pylist())
    labels = embeddings.keys["label"].to_pylist()
    found: dict[str, _Found] = {}
    with arrays.replaced_folder(out, arrays.NEIGHBOURS) as partial:
        for modality in arrays.MODALITIES:
            vectors = np.asarray(getattr(embeddings, modality))  # off np.memmap: its indexing is slower
            search = _opened(vectors, sources, request, means)
            ranking = Ranking(vectors, sources, request.k, search.rounding)
            path = partial / f"{modality}.npy"
            agreement = _write_neighbours(path, ranking, search, labels, advance)
            found[modality] = _Found(search.name, _checked_recall(path, ranking, request, search.name), agreement)
        meta = (
            request.as_meta()
            | _facts(embeddings, found, request)
            | {
                "device": means.device,
                "largest_source": int(source_sizes(sources).max()),
                "label_agreement_by_chance": chance(labels),
                "seconds": round(time.monotonic() - started, 1),
            }
        )
        arrays.write_keys_and_meta(partial, embeddings.keys, meta)
    return meta


def _opened(vectors: np.ndarray, sources: np.ndarray, request: KnnRequest, means: Means) -> Search:
    """The search that a request needs: exact by any means, or approximate."""
    if request.recall_asked is None:
        return open_search(vectors, means.backend, means.device, means.threads)
    from index.approximate import ApproximateSearch

    count = Ranking(vectors, sources, request.k, ApproximateSearch.rounding).hits_needed
    return ApproximateSearch(vectors, request.recall_asked, count, means.threads)


def _write_neighbours(
    path: Path, ranking: Ranking, search: Search, labels: list[str | None], advance: Callable[[int], None]
) -> dict[str, float]:
    """Write all neighbours; how often they carry their clip's label, by depth."""
    _check_count(ranking, search)
    agreement = LabelAgreement(labels, ranking.k)

    def counted() -> Iterator[np.ndarray]:
        for clips, neighbours in neighbour_blocks(ranking, search):
            agreement.count(clips, neighbours)
            advance(len(clips))
            yield neighbours

    arrays.write_array(path, (len(ranking.vectors), ranking.k), np.dtype(np.int32), counted())
    return agreement.shares()


def _checked_recall(path: Path, ranking: Ranking, request: KnnRequest, name: str) -> float:
    """The recall of what was written. WorkFailed when it is not what was promised."""
    recall = sampled_recall(ranking, np.load(path, mmap_mode="r", allow_pickle=False), request.checked_rows)
    if recall < request.least_recall:
        promised = request.recall_asked or 1
        raise WorkFailed(
            f"the neighbours found by {name} reach a recall of only {recall:.6f} against exact arithmetic, "
            f"where {promised:g} is promised. Nothing was written; try another --device or --backend, and report this."
        )
    return recall


def neighbour_blocks(ranking: Ranking, search: Search) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Search and rank the whole corpus; yields (positions (Q,), neighbours int32 (Q, k)) in corpus order.

    Blocks are ranked in threads beside the search of the next ones: numpy lets go of the interpreter for both. The
    first is small, and waited for: it tells how long all of them take.
    """
    ranked: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(search.rankers) as pool:
        for clips in _blocks(len(ranking.vectors), search.block):
            scores, hits = search.hits(ranking.vectors[clips[0] : clips[-1] + 1], ranking.hits_needed)
            ranked.append((clips, pool.submit(ranking.neighbours, clips, scores, hits)))
            if len(ranked) > search.rankers or not clips[0]:
                found, neighbours = ranked.popleft()
                yield found, neighbours.result()
        for clips, neighbours in ranked:
            yield clips, neighbours.result()


def _blocks(count: int, size: int) -> Iterator[np.ndarray]:
    """Positions of `count` clips in blocks of `size`, the first one an eighth of that."""
    first = max(1, size // FIRST)
    for start in (0, *range(first, count, size)):
        yield np.arange(start, min(start + (size if start else first), count))


def _check_count(ranking: Ranking, search: Search) -> None:
    """InputError when the device cannot return as many hits as k and the exclusions need."""
    if search.largest_count is not None and ranking.hits_needed > search.largest_count:
        extra = ranking.hits_needed - ranking.k
        raise InputError(
            f"--k {ranking.k} needs {ranking.hits_needed} hits a clip ({extra} more than k, for clips of its own video "
            f"and ties), and {search.name} gives at most {search.largest_count}. Use --device cpu, or k up to "
            f"{search.largest_count - extra}."
        )


def _facts(embeddings: Embeddings, found: dict[str, _Found], request: KnnRequest) -> dict[str, object]:
    return {
        "metric": "cosine",
        "index": found["image"].index,
        "recall_against_exact": min(one.recall for one in found.values()),
        "recall_rows": min(request.checked_rows, len(embeddings)),
        "count": len(embeddings),
        "front_end": embeddings.meta["front_end"],
        "split": embeddings.meta["split"],
        "label_agreement": {modality: one.agreement for modality, one in found.items()},
    }


def sampled_recall(ranking: Ranking, neighbours: np.ndarray, count: int = CHECKED_ROWS) -> float:
    """Share of the true k nearest clips found, over `count` rows spread evenly through the corpus; 1 is perfect.

    Truth is a float64 matrix product, independent of how `neighbours` (N, k) were found; clips that tie with the k-th
    are as true as it is. Excluded clips count as wrong.
    """
    rows = np.unique(np.linspace(0, len(neighbours) - 1, min(count, len(neighbours))).astype(int))
    parts = np.array_split(rows, -(-len(rows) // CHECKED_ROWS))
    return float(np.concatenate([_right(ranking, np.array(neighbours[part]), part) for part in parts]).mean())


def _right(ranking: Ranking, neighbours: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which neighbours (R, k) of the clips at `rows` (R,) are among the true k nearest: bool (R, k)."""
    queries = ranking.vectors[rows].astype(np.float64)
    truth = np.empty((len(rows), len(ranking.vectors)))
    for start in range(0, len(ranking.vectors), CORPUS_ROWS):
        block = ranking.vectors[start : start + CORPUS_ROWS].astype(np.float64)
        truth[:, start : start + CORPUS_ROWS] = queries @ block.T
    truth[ranking.sources[rows][:, None] == ranking.sources] = -np.inf
    last = np.partition(truth, -ranking.k, axis=1)[:, -ranking.k]
    found = np.sort(neighbours, axis=1)
    new = np.diff(found, axis=1, prepend=-1) > 0  # a position listed twice counts once
    return (np.take_along_axis(truth, found.astype(np.int64), axis=1) >= last[:, None] - SAME_SCORE) & new
