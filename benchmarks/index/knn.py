"""How fast and how faithful is `index build-knn`'s search? Against bare `faiss.knn` on the same vectors.

    python -m benchmarks.index.knn                       20,000 x 512, k = 1000: about a minute on two cores
    python -m benchmarks.index.knn --clips 144000 --repeats 1

Contenders take turns, each in a process of its own (FAISS and torch never share one). `bare` calls faiss.knn and drops
the hits; the others do what `build-knn` does for one modality, exclusions, exact order and the written file
included. CPU time is user + system of the process; memory is its peak beyond imports and the mapped vectors.
Writes knn-<clips>.json beside this file.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import cpu_seconds, record, write
from index.arrays import write_array
from index.embeddings import unit_rows
from index.knn import neighbour_blocks, sampled_recall
from index.ranking import Ranking
from index.search import gpu_count, open_search

CENTRES = 300
BARE_BLOCK = 8192
CLIPS_PER_VIDEO = 1.05  # a few videos give two clips, as in VGGSound


def main() -> None:
    options = parse()
    if options.child:
        print(json.dumps(contender(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "vectors.npy"), mixture(options.clips, options.dimension))
        rounds = [[child(name, folder, options) for name in contenders(options)] for _ in range(options.repeats)]
    report = summary(rounds, options)
    out = options.out or Path(__file__).with_name(f"knn-{options.clips}.json")
    write(out, report)
    print(json.dumps(report["results"], indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-torch", action="store_true", help="leave the torch backend out")
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--vectors", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def mixture(clips: int, dimension: int) -> np.ndarray:
    """Unit vectors around CENTRES directions, 1 % of them exact copies of others."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((CENTRES, dimension)).astype(np.float32)
    vectors = centres[generator.integers(0, CENTRES, clips)] / 2
    vectors += generator.standard_normal(vectors.shape, np.float32)
    copies = generator.integers(0, clips, clips // 100)
    vectors[copies] = vectors[generator.integers(0, clips, len(copies))]
    return unit_rows(vectors)


def contenders(options: argparse.Namespace) -> list[str]:
    names = ["bare", "faiss-cpu"] + ([] if options.without_torch else ["torch-cpu"])
    if gpu_count("faiss"):
        names += ["faiss-cuda"] + ([] if options.without_torch else ["torch-cuda"])
    return names


def child(name: str, folder: str, options: argparse.Namespace) -> dict[str, object]:
    """One contender's turn, in a fresh process."""
    given = {"--child": name, "--vectors": f"{folder}/vectors.npy", "--k": options.k, "--threads": options.threads}
    arguments = [str(word) for pair in given.items() for word in pair]
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    print(f"{name}: {done.stdout.strip()}", file=sys.stderr)
    return {"name": name} | json.loads(done.stdout)


def contender(options: argparse.Namespace) -> dict[str, object]:
    vectors = np.load(options.vectors, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    if options.child == "bare":
        import faiss

        faiss.omp_set_num_threads(options.threads)
        return measured(lambda: bare(vectors, options.k), vectors)
    backend, device = options.child.split("-")
    sources = (np.arange(len(vectors)) / CLIPS_PER_VIDEO).astype(np.int32)
    search = open_search(vectors, backend, device, options.threads)
    ranking = Ranking(vectors, sources, options.k, search.rounding)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        path = Path(file.name)

        def build() -> None:
            blocks = (neighbours for _, neighbours in neighbour_blocks(ranking, search))
            write_array(path, (len(vectors), options.k), np.dtype(np.int32), blocks)

        figures = measured(build, vectors)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        recall = sampled_recall(ranking, np.load(path, mmap_mode="r", allow_pickle=False))
    return figures | {"recall": recall, "neighbours_sha256": digest}


def bare(vectors: np.ndarray, k: int) -> None:
    import faiss

    for start in range(0, len(vectors), BARE_BLOCK):
        faiss.knn(vectors[start : start + BARE_BLOCK], vectors, k, metric=faiss.METRIC_INNER_PRODUCT)


def measured(work: Callable[[], None], vectors: np.ndarray) -> dict[str, object]:
    """CPU seconds, wall seconds and peak memory of `work` beyond what is held before it (vectors read once)."""
    float(vectors.sum())  # page the mapped vectors in
    before, cpu, wall = peak_bytes(), cpu_seconds(), time.perf_counter()
    work()
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    return {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2), "memory_mb": round((peak_bytes() - before) / 1e6)}


def peak_bytes() -> int:
    """Largest resident memory of this process; what getrusage says includes that of the process it was forked from."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def summary(rounds: list[list[dict[str, Any]]], options: argparse.Namespace) -> dict[str, object]:
    turns = {name: [turn for one in rounds for turn in one if turn["name"] == name] for name in contenders(options)}
    results = {name: median_turn(of_name) for name, of_name in turns.items()}
    for result in results.values():
        result["cpu_against_bare"] = round(result["cpu_s"] / results["bare"]["cpu_s"], 3)
        result["wall_against_bare"] = round(result["wall_s"] / results["bare"]["wall_s"], 3)
    digests = {turn["neighbours_sha256"] for one in rounds for turn in one if "neighbours_sha256" in turn}
    return {
        **record("benchmarks/index/knn.py", ("faiss-gpu", "numpy", "torch"), options.machine),
        "gpus": gpu_count("faiss"),
        "clips": options.clips,
        "dimension": options.dimension,
        "k": options.k,
        "threads": options.threads,
        "repeats": options.repeats,
        "data_mb": round(options.clips * options.dimension * 4 / 1e6),
        "backends_agree": len(digests) == 1,
        "results": results,
    }


def median_turn(turns: list[dict[str, Any]]) -> dict[str, float]:
    figures = {name: statistics.median(turn[name] for turn in turns) for name in ("cpu_s", "wall_s")}
    figures["memory_mb"] = max(turn["memory_mb"] for turn in turns)
    return figures | ({"recall": min(turn["recall"] for turn in turns)} if "recall" in turns[0] else {})


if __name__ == "__main__":
    main()
