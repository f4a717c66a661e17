"""From what size on is approximate search quicker than exact? The arithmetic of `index build-knn --recall`.

    python -m benchmarks.index.approximate               50,000 x 512, one thread: a minute

What decides is the share of the corpus that a query has to look through until it has found 95 % of its neighbours, and
that depends on how many of the corpus its neighbours are: 1,000 of 50,000 are one in fifty, 1,000 of five million one
in five thousand. So one corpus is asked for fewer and fewer neighbours, each time standing for a larger corpus that is
asked for 1,000. Larger corpora have finer lists than this one, which makes the figures for them careful ones.

Vectors lie on a curved sheet of 24 dimensions under noise, as embeddings of images and sounds roughly do; of vectors
that lie anywhere there is nothing to gain. Writes approximate.json beside this file.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.measure import cpu_seconds, cpu_time, record, write
from index.approximate import ApproximateSearch
from index.embeddings import unit_rows
from index.search import FaissCpuSearch

DIMENSION, RECALL, QUERIES = 512, 0.95, 512
K = 1000  # that a corpus is asked for
FEWER = (1000, 300, 100, 30, 10)  # that this one is asked for
SHEET = 24  # dimensions of the sheet that the vectors lie on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=50_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("approximate.json"))
    options = parser.parse_args()
    vectors = curved(options.clips)
    began = cpu_seconds()
    search = ApproximateSearch(vectors, RECALL, FEWER[-1], 1)
    report = record("benchmarks/index/approximate.py", ("faiss-gpu", "numpy")) | {
        "clips": options.clips, "dimension": DIMENSION, "recall_asked": RECALL, "queries": QUERIES, "threads": 1,
        "lists": search.lists, "seconds_to_make_lists": round(cpu_seconds() - began, 1),
    }  # fmt: skip
    standing_for = []
    for count in FEWER:
        standing_for.append(compared(search, vectors, count))
        write(options.out, report | {"standing_for": standing_for})
        print(standing_for[-1], flush=True)


def curved(clips: int) -> np.ndarray:
    """Unit vectors (clips, DIMENSION) float32 on a curved sheet of SHEET dimensions, with a tenth of noise."""
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((SHEET, DIMENSION), np.float32) / SHEET**0.5
    places = generator.standard_normal((clips, SHEET), np.float32)
    return unit_rows(np.tanh(places @ directions) + 0.1 * generator.standard_normal((clips, DIMENSION), np.float32))


def compared(search: ApproximateSearch, vectors: np.ndarray, count: int) -> dict[str, object]:
    """Lists that had to be looked into, and CPU seconds of both searches for each clip of the corpus."""
    queries = vectors[7 :: len(vectors) // QUERIES][:QUERIES] + 0  # not those that the number of lists is chosen on
    exact = FaissCpuSearch(vectors, 1)
    probes = search.look_for(RECALL, count)
    truth = exact.hits(queries, count)[1]
    found = search.hits(queries, count)[1]
    recall = np.mean([np.isin(one, other).mean() for one, other in zip(truth, found, strict=True)])
    nanoseconds = {
        name: 1e9 * cpu_time(lambda one=one: one.hits(queries, count)) / len(queries) / len(vectors)
        for name, one in (("exact", exact), ("approximate", search))
    }
    return {
        "clips": len(vectors) * K // count, "neighbours": K, "asked_here": count, "recall": round(float(recall), 4),
        "share_of_lists": round(probes / search.lists, 4),
        "core_nanoseconds_a_pair": {name: round(value, 2) for name, value in nanoseconds.items()},
        "approximate_against_exact": round(nanoseconds["approximate"] / nanoseconds["exact"], 3),
    }  # fmt: skip


if __name__ == "__main__":
    main()
