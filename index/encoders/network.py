"""What the networks share: clips are read in threads, go through the network in batches, and become unit vectors."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from index.embeddings import all_alike, unit_rows
from manifests.errors import InputError
from pipeline.shards.store import ShardStore

BATCH = 32
AHEAD = 2  # batches read while one is computed
READERS = min(16, len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Network:
    """An encoder made of two functions: `read` gives a clip's arrays (in threads), `embed` maps their batches, each
    (B, ...) on `device`, to (B, D). A clip's vector does not depend on the others of its batch.

    InputError when a vector is not finite, and when clips that differ all have one vector: the weights are to blame.
    """

    version: str
    device: torch.device
    read: Callable[[ShardStore, int], tuple[np.ndarray, ...]]
    embed: Callable[..., Tensor]

    def check(self, store: ShardStore, row: int) -> None:
        self.read(store, row)

    def vectors(self, store: ShardStore, rows: Sequence[int], advance: Callable[[int], None]) -> np.ndarray:
        done: list[np.ndarray] = []

        def finish(clips: Iterable[tuple[np.ndarray, ...]]) -> None:
            done.append(self._embedded(clips))
            advance(len(done[-1]))

        with ThreadPoolExecutor(READERS) as pool:
            waiting: deque[Iterable[tuple[np.ndarray, ...]]] = deque()
            for start in range(0, len(rows), BATCH):
                waiting.append(pool.map(partial(self.read, store), rows[start : start + BATCH]))
                if len(waiting) > AHEAD:
                    finish(waiting.popleft())
            while waiting:
                finish(waiting.popleft())
        found = np.concatenate(done)
        if all_alike(found):
            self._check_seen_alike(store, rows)
        return found

    def _check_seen_alike(self, store: ShardStore, rows: Sequence[int]) -> None:
        """InputError where clips of one vector are not one to the eye and ear of the network."""
        first, *others = (self.read(store, row) for row in rows[:BATCH])
        if not all(np.array_equal(one, other) for each in others for one, other in zip(first, each, strict=True)):
            raise InputError(
                f"{self.version} gives all {len(rows):,} clips the same vector, though they differ: its weights tell "
                "nothing apart, as weights of zeros do. Give the weights of a trained network."
            )

    @torch.inference_mode()
    def _embedded(self, clips: Iterable[tuple[np.ndarray, ...]]) -> np.ndarray:
        batches = (torch.from_numpy(np.stack(arrays)).to(self.device) for arrays in zip(*clips, strict=True))
        features = self.embed(*batches).float().cpu().numpy()
        if not np.isfinite(features).all():
            raise InputError(
                f"{self.version} gave a vector that is not finite: nothing can be computed with its weights. Give "
                "those of a trained network that was saved whole."
            )
        return unit_rows(features)


def needed(name: str, modality: str, weights: Path | None, what: str) -> Path:
    """The weights that were given; InputError when there are none."""
    if weights is None:
        raise InputError(f"the {modality} encoder {name} needs --{modality}-weights: {what}.")
    return weights


def fingerprint(path: Path) -> str:
    """First digits of a file's sha256, for an encoder's version."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
