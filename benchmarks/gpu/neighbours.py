"""Neighbours found on the GPU against the CPU's: the same positions, and how much sooner."""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.step.sizes import Sizes
from index.embeddings import unit_rows
from index.knn import neighbour_blocks, sampled_recall
from index.ranking import Ranking
from index.search import gpu_count, open_search

DIMENSION = 512


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((300, DIMENSION))
    mixed = centres[random.integers(0, 300, sizes.vectors)] + random.standard_normal((sizes.vectors, DIMENSION))
    note(vectors=sizes.vectors, dimension=DIMENSION, k=sizes.k)
    np.save(folder / "vectors.npy", unit_rows(mixed).astype(np.float32))
    found: dict[str, np.ndarray] = {}
    for name, backend, where in contenders(device):
        figures = in_own_process(folder, backend, where, sizes.k)
        if "failed" not in figures:
            found[name] = np.load(folder / f"{backend}-{where}.npy")
            first = next(iter(found.values()))
            figures["same_as_" + next(iter(found))] = float((found[name] == first).mean())
        note(**{name: figures})


def contenders(device: str) -> list[tuple[str, str, str]]:
    """Name, backend and device of what this machine can search with; the CPU's first, since others are held to it."""
    faiss = importlib.util.find_spec("faiss") is not None
    on_cpu = [("faiss_cpu", "faiss", "cpu")] if faiss else []
    return [*on_cpu, ("torch_cpu", "torch", "cpu"), *([("torch_gpu", "torch", "cuda")] if device == "cuda" else []),
            *([("faiss_gpu", "faiss", "cuda")] if faiss and device == "cuda" else [])]  # fmt: skip


def in_own_process(folder: Path, backend: str, device: str, k: int) -> dict[str, object]:
    """FAISS and torch never share a process."""
    command = [sys.executable, "-m", "benchmarks.gpu.neighbours", str(folder), backend, device, str(k)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr.strip().splitlines()[-1:]}


def search(folder: Path, backend: str, device: str, k: int) -> dict[str, object]:
    """All rows' neighbours as `index build-knn` finds them, written to the folder."""
    if device == "cuda" and not gpu_count(backend):
        raise SystemExit(f"{backend} sees no GPU")
    vectors = np.load(folder / "vectors.npy")
    start = time.perf_counter()
    opened = open_search(vectors, backend, device, None)
    ranking = Ranking(vectors, np.arange(len(vectors)), k, opened.rounding)
    neighbours = np.concatenate([block for _, block in neighbour_blocks(ranking, opened)])
    seconds = time.perf_counter() - start
    np.save(folder / f"{backend}-{device}.npy", neighbours)
    return {"search": opened.name, "seconds": round(seconds, 2), "recall": sampled_recall(ranking, neighbours)}


if __name__ == "__main__":
    print(json.dumps(search(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
