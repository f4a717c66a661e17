"""Several maps of one frame, and which instrument each is of: each frame under reference sounds.

MUSIC's duet and synthetic frames are scored by a map per cluster, and which clusters an instrument owns (DSOL clusters
its features; see `evaluation/tasks/several_sources`). Here a cluster is a reference sound: a csv `category,clip` names
clips of the shards in which one instrument is heard alone, any number for each, and every frame's image is paired with
every one of these sounds. What the frame itself sounds like is not used: its annotated instruments say which sound.

A method with maps of classes of its own (DSOL's second stage) is asked with the frame's sound instead; the reference
sounds only say which class is which instrument.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.namesakes import clips_named
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair
from training.evaluation.protocol import Protocol
from training.evaluation.tasks.several_sources import ClusterMaps
from training.predict import Predictions

HEADER = ["category", "clip"]
BY_REFERENCES = {"cluster_maps", "labels"}  # what reference sounds are for; the second may do without
_SEPARATOR = "\t"  # never part of a frame's name


@dataclass(frozen=True)
class References:
    """One cluster for each reference sound: `categories` (K,) are their instruments, `clips` (K,) their keys."""

    categories: tuple[str, ...]
    clips: tuple[str, ...]

    def rows(self, store: ShardStore) -> list[int]:
        """Where the sounds lie in the shards. InputError for one that they lack."""
        row_of = {key: row for row, key in enumerate(store.keys)}
        absent = [clip for clip in self.clips if clip not in row_of]
        if absent:
            raise InputError(
                f"{len(absent)} of {len(self.clips)} reference sounds are not in {store.folder}, first {absent[0]}. "
                "Ingest these clips into the same shards, or name others in --references."
            )
        return [row_of[clip] for clip in self.clips]

    def pairings(self, store: ShardStore, frames: Sequence[EvaluationPair]) -> list[EvaluationPair]:
        """Every frame's image with every reference sound. InputError as `rows`."""
        rows = self.rows(store)
        return [
            EvaluationPair(name, frame.image_row, row)
            for frame in frames
            for name, row in zip(self.names(frame.name), rows, strict=True)
        ]

    def names(self, frame: str) -> list[str]:
        """What the pairs of a frame are called, in the order of the references."""
        return [f"{frame}{_SEPARATOR}{number}" for number in range(len(self.clips))]

    def maps(self, predictions: Predictions, frames: Sequence[str]) -> ClusterMaps:
        """The predicted pairs of `frames`, in their order, as maps (N, K, h, w) with the instruments owning them."""
        row_of = {name: row for row, name in enumerate(predictions.names)}
        rows = [[row_of[name] for name in self.names(frame)] for frame in frames]
        categories = list(dict.fromkeys(self.categories))
        owned = np.array([[own == category for own in self.categories] for category in categories], np.int64)
        return ClusterMaps(frames, predictions.maps[rows], owned, categories)

    def named(self, maps: np.ndarray, heard: np.ndarray, frames: Sequence[str]) -> ClusterMaps:
        """Maps (N, K, h, w) of a method's own classes, by what the reference sounds are heard as, (R, K)."""
        categories = list(dict.fromkeys(self.categories))
        each = [heard[[own == category for own in self.categories]].mean(axis=0) for category in categories]
        return ClusterMaps(frames, maps, owned_classes(np.stack(each)), categories)


def owned_classes(heard: np.ndarray) -> np.ndarray:
    """Which classes (K) an instrument (C) owns, by how much it is heard as each, (C, K): 0 or 1, int64 (C, K).

    Each instrument one class, as far as there are any, so that the sum is largest; a further class goes to the one that
    is most heard as it.
    """
    from scipy.optimize import linear_sum_assignment

    owned = np.zeros(heard.shape, np.int64)
    rows, columns = linear_sum_assignment(heard, maximize=True)
    owned[rows, columns] = 1
    further = np.setdiff1d(np.arange(heard.shape[1]), columns)
    owned[heard[:, further].argmax(axis=0), further] = 1
    return owned


def asked_references(path: Path | None, protocols: Sequence[Protocol], present: Collection[str]) -> References | None:
    """The sounds that frames are asked with, of clips in the names that `present` ones have; None without a file.

    InputError where a protocol needs them, or none asks with any; or as `read_references`.
    """
    asking = {protocol.asks: protocol.name for protocol in protocols if protocol.asks in BY_REFERENCES}
    if path is None:
        if "cluster_maps" not in asking:
            return None
        raise InputError(
            f"The protocol {asking['cluster_maps']} compares several maps of a frame: give --references, a csv "
            "category,clip with a sound of every instrument."
        )
    if not asking:
        raise InputError(
            f"{', '.join(protocol.name for protocol in protocols)} asks with no reference sounds, as music_duet and "
            "avss do. Leave --references out."
        )
    return read_references(path, present)


def read_references(path: Path, present: Collection[str] = ()) -> References:
    """Read a csv `category,clip`, clips in the names that `present` ones have. InputError for another header, a row
    that is not two fields, a clip of two instruments, or a name that several present clips could have."""
    remedy = (
        "Give a list of reference sounds: an instrument as MUSIC's annotations name it, and a clip in which it is "
        "heard alone."
    )
    categories, clips = zip(*read_content(path).table(HEADER, 1, remedy), strict=True)
    names = clips_named(clips, str(path))
    called = names.among(present)
    return References(categories, tuple(called.get(key, key) for key in names.keys))
