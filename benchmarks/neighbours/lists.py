"""Neighbour lists of the comparison: of the encoders, of random vectors, and of vectors that know the labels.

The encoders' vectors are taken from the features that the runs keep: what EfficientNet-Lite0's classifier judges by,
and YAMNet's mean, as `index embed` computes them. `map` are a trained run's cells under its own map and its sounds, as
`training embed RUN --pool map` writes them. `labels` mixes a label's own direction with noise: the nearest clips are
those of the same label, in random order, and agree as much as any can.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from index.embeddings import unit_rows, write_embeddings
from index.encoders.efficientnet_lite import Classifier, read_classifier
from index.neighbours import Neighbours
from pipeline.shards.store import ShardStore
from training.similarity import pooled_by_map, unit

K = 1000
LABEL_SHARE = 3.0  # length of the label's direction beside noise of length 1


@torch.no_grad()
def build_map_lists(store: ShardStore, rows: np.ndarray, method: Any, image: torch.Tensor, audio: torch.Tensor) -> None:
    """The folder knn-map; features as `build_lists` takes them."""
    parts = zip(image.permute(0, 3, 1, 2).split(128), audio.split(128), strict=True)
    heard = method.auditory(audio)
    seen = [pooled_by_map(unit(method.visual(seen)), unit(method.auditory(sound))) for seen, sound in parts]
    _build(store, rows, "map", torch.cat(seen).numpy(), heard.numpy())


def build_lists(store: ShardStore, rows: np.ndarray, image: torch.Tensor, audio: torch.Tensor) -> None:
    """Folders knn-<lists> of the rows (N,), whose kept features are image (N, h, w, 320) and audio (N, 1024)."""
    rng = np.random.default_rng(0)
    noise = [unit_rows(rng.standard_normal((len(rows), 64))) for _ in range(2)]
    labels = np.unique(np.array(store.table["label"].to_pylist())[rows], return_inverse=True)[1]
    known = LABEL_SHARE * np.eye(64)[labels]
    _build(store, rows, "supervised", _judged(image), audio.numpy())
    _build(store, rows, "random", noise[0], noise[1])
    _build(store, rows, "labels", known + noise[0], known + noise[1])


@torch.no_grad()
def _judged(image: torch.Tensor) -> np.ndarray:
    """(N, h, w, 320) -> (N, 1280)."""
    network = Classifier().eval()
    network.load_state_dict(read_classifier("imagenet"))
    return np.concatenate(
        [network.judged_by(part.permute(0, 3, 1, 2)).mean(dim=(2, 3)).numpy() for part in image.split(128)]
    )


def _build(store: ShardStore, rows: np.ndarray, name: str, image: np.ndarray, audio: np.ndarray) -> None:
    if Path(f"knn-{name}", "meta.json").is_file():
        return
    write_embeddings(
        f"embeddings-{name}",
        image=unit_rows(image),
        audio=unit_rows(audio),
        keys=store.table.take(rows),
        encoder=name,
        manifest_sha256=store.manifest_sha256,
        front_end=store.front_end,
        split="train",
    )
    options = ["--k", K, "--embeddings", f"embeddings-{name}", "--shards", store.folder, "--out", f"knn-{name}"]
    command = [sys.executable, "-c", "from index.cli import main; main()", "build-knn", "--backend", "torch"]
    subprocess.run([*command, *map(str, options)], check=True)


def agreement(store: ShardStore, name: str, depths: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Modality -> k -> share of the k nearest that carry their clip's label; and what chance gives."""
    folder = Path(f"knn-{name}")
    keys = {key: place for place, key in enumerate(store.keys)}
    lists = Neighbours.open(folder, store.manifest_sha256)
    labels = np.array(store.table["label"].to_pylist())[[keys[key] for key in lists.keys]]
    found = {
        modality: {str(k): round(float((labels[near[:, :k]] == labels[:, None]).mean()), 4) for k in depths}
        for modality, near in (("image", lists.image), ("audio", lists.audio))
    }
    chance = json.loads((folder / "meta.json").read_text())["label_agreement_by_chance"]
    return found | {"chance": {"any": round(chance, 4)}}
