"""`index random-knn`: lists of randomly drawn clips in the form of neighbours, HardPos's control.

They say what conceptual positives give that any other clips would not. What holds for neighbours holds here: same
files, only clips of one split, never the clip itself nor a clip of its video.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from index import arrays
from index.label_agreement import LabelAgreement, chance
from index.ranking import check_k, source_sizes
from pipeline.shards.sources import source_numbers

ENCODER = "random"
BLOCK = 1024  # clips written at once


def request(k: int, seed: int, split: str, manifest_sha256: str) -> dict[str, Any]:
    """All that decides the lists, as it stands in meta.json."""
    return {"encoder": ENCODER, "k": k, "seed": seed, "split": split, "manifest_sha256": manifest_sha256}


def build(clips: pa.Table, wanted: dict[str, Any], out: Path, advance: Callable[[int], None]) -> dict[str, object]:
    """Draw k clips for every row of `clips` (KEYS_SCHEMA) and modality, write `out` in one step; returns its meta.json.

    `wanted` is a `request`; `advance` is called with the number of clips done, len(clips) per modality. InputError when
    k is larger than the clips of other videos.
    """
    keys = clips.select(arrays.KEYS_SCHEMA.names).cast(arrays.KEYS_SCHEMA)
    sources = source_numbers(keys["source_id"].to_pylist())
    sizes, k, labels = source_sizes(sources), int(wanted["k"]), keys["label"].to_pylist()
    check_k(k, sizes)
    shares = {}
    with arrays.replaced_folder(out, arrays.NEIGHBOURS) as partial:
        for modality in arrays.MODALITIES:
            agreement = LabelAgreement(labels, k)
            blocks = _blocks(keys["key"].to_pylist(), sources, f"{wanted['seed']}/{modality}", k)
            counted = _counted(blocks, agreement, advance)
            arrays.write_array(partial / f"{modality}.npy", (len(keys), k), np.dtype(np.int32), counted)
            shares[modality] = agreement.shares()
        facts = {"metric": None, "index": "random lists", "recall_against_exact": None, "count": len(keys)}
        facts |= {"largest_source": int(sizes.max())}
        meta = wanted | facts | {"label_agreement": shares, "label_agreement_by_chance": chance(labels)}
        arrays.write_keys_and_meta(partial, keys, meta)
    return meta


def _blocks(keys: list[str], sources: np.ndarray, seed: str, k: int) -> Iterator[np.ndarray]:
    """int32 (block, k) lists in the order of the clips."""
    by_source = np.argsort(sources, kind="stable")
    first = np.searchsorted(sources[by_source], sources)
    last = np.searchsorted(sources[by_source], sources, side="right")
    for start in range(0, len(keys), BLOCK):
        clips = range(start, min(start + BLOCK, len(keys)))
        yield np.stack([drawn(f"{seed}/{keys[i]}", k, len(keys), by_source[first[i] : last[i]]) for i in clips])


def drawn(seed: str, k: int, count: int, own: np.ndarray) -> np.ndarray:
    """k different positions below `count` in random order, none of those in `own` (sorted): int32 (k,)."""
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))
    positions = generator.choice(count - len(own), k, replace=False)
    for excluded in own:
        positions += positions >= excluded
    return positions.astype(np.int32)


def _counted(
    blocks: Iterator[np.ndarray], agreement: LabelAgreement, advance: Callable[[int], None]
) -> Iterator[np.ndarray]:
    done = 0
    for lists in blocks:
        agreement.count(np.arange(done, done + len(lists)), lists)
        done += len(lists)
        advance(len(lists))
        yield lists
