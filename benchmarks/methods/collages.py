"""What DSOL's two stages make of collages, where four objects are seen and two of them heard.

    python -m benchmarks.methods.collages benchmarks/methods/real.json --work DIR

First stage: how many training clips carry the most common class of their cluster (the names of its objects), and how
many of the heard test clips sound like the cluster that most of their class's training clips are in. Both stages, on
the test collages, none of whose clips was trained on: whether the map's highest cell lies on an object that is heard or
on one that is only seen; and, asked for each heard object alone, whether the highest cell lies on it, on the other one
that is heard or on one that is only seen. The first stage is asked with another clip's sound of the class, the second
with its map of the class, which is found as evaluation finds it, by what the frozen copy hears in clips of each class.
Writes the figures' name with `-collages` behind it.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import record, write
from benchmarks.methods.clusters import purity
from benchmarks.methods.left_runs import begin, scored
from benchmarks.methods.measure_run import HEARD
from benchmarks.methods.peaks import place
from manifests.files.parquet import read_table
from manifests.splits import read_ids
from pipeline.shards.joined import open_shards
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair, paired_batches
from training.data.views import normalise_audio, normalise_image
from training.reference_sounds import owned_classes
from training.runs import LoadedRun, load_run

TOGETHER, SOUNDS = 32, 8  # of each class, by which classes are told
PLACES = ("sounding", "silent", "elsewhere")
Objects = dict[str, dict[str, tuple[bool, np.ndarray]]]  # by collage and class: whether it is heard, and its boxes


class Stage:
    """A run of either stage, and the shards that its collages and single clips lie in."""

    def __init__(self, folder: Path, clips: ShardStore, collages: ShardStore) -> None:
        self.run: LoadedRun = load_run(folder, "cpu")
        self.method: Any = self.run.method
        self.both = open_shards([clips.folder, collages.folder])
        self.sounds = sounds_of_classes(clips)

    def maps(self, wanted: list[tuple[str, str]], of: str = "map") -> np.ndarray:
        """Of images under sounds, by their clips' keys: l (N, h, w), or, `of` being `classes`, (N, K, h, w)."""
        found = []
        with torch.no_grad():
            for images, sounds in self._batches(wanted):
                if of == "classes":
                    found.append(self.method.class_maps(images, sounds))
                else:
                    found.append(self.method(images, sounds).map)
        return torch.cat(found).numpy()

    def heard_as(self, keys: list[str]) -> np.ndarray:
        """How much sounds are heard as each cluster, (N, K)."""
        with torch.no_grad():
            each = [self._heard(sounds) for _, sounds in self._batches([(key, key) for key in keys])]
        return torch.cat(each).numpy()

    def _heard(self, sounds: torch.Tensor) -> torch.Tensor:
        if hasattr(self.method, "heard_classes"):
            return self.method.heard_classes(sounds)
        return self.method.audio_classes(self.method.audio_trunk(sounds)).softmax(dim=1)

    def _batches(self, wanted: list[tuple[str, str]]) -> Any:
        rows = {key: row for row, key in enumerate(self.both.keys)}
        pairs = [EvaluationPair(str(n), rows[image], rows[sound]) for n, (image, sound) in enumerate(wanted)]
        data = self.run.config.data
        for _, images, sounds in paired_batches(self.both, pairs, data.image_size, TOGETHER):
            yield normalise_image(images), normalise_audio(sounds, data)


def sounds_of_classes(clips: ShardStore) -> dict[str, list[str]]:
    """The first clips of each class that is trained on."""
    found, labels = defaultdict[str, list[str]](list), _labels(clips)
    for key in read_ids(Path("train.txt")).ids:
        if len(found[labels[key]]) < SOUNDS:
            found[labels[key]].append(key)
    return dict(found)


def _labels(clips: ShardStore) -> dict[str, str]:
    return dict(zip(clips.keys, clips.table["label"].to_pylist(), strict=True))


def names(folder: Path, stage: Stage, clips: ShardStore) -> dict[str, float]:
    """What the first stage's clusters are worth as names of objects, and whether sounds tell them."""
    labels, of_class, named = _labels(clips), defaultdict[str, Counter[int]](Counter), stage.method.pseudo_labels
    for row, cluster in zip(named.rows.tolist(), named.labels.tolist(), strict=True):
        of_class[labels[clips.keys[row]]][cluster] += 1
    keys = [key for key in read_ids(HEARD).ids if labels[key] in of_class]
    found = stage.heard_as(keys).argmax(axis=1).tolist()
    right = [of_class[labels[key]].most_common(1)[0][0] == cluster for key, cluster in zip(keys, found, strict=True)]
    return purity(folder, clips) | {"heard_as_their_cluster": float(np.mean(right))}


def on_collages(stage: Stage, objects: Objects) -> dict[str, dict[str, float]]:
    """Shares of test collages (`mixture`) and of their heard objects (`alone`) by where the highest cell lies."""
    keys = sorted(objects)
    mixture = [
        place(one, _boxes(objects[key])) for key, one in zip(keys, stage.maps([(k, k) for k in keys]), strict=True)
    ]
    asked = [(key, label) for key in keys for label, (heard, _) in objects[key].items() if heard]
    alone = [_place_of(one, objects[key], label) for (key, label), one in zip(asked, _asked(stage, asked), strict=True)]
    return {"mixture": _shares(mixture, PLACES), "alone": _shares(alone, ("itself", "other", *PLACES[1:]))}


def _asked(stage: Stage, asked: list[tuple[str, str]]) -> np.ndarray:
    """A map (h, w) for each collage and class."""
    if not hasattr(stage.method, "heard_trunk"):
        return stage.maps([(key, stage.sounds[label][0]) for key, label in asked])
    labels = sorted(stage.sounds)
    heard = np.stack([stage.heard_as(stage.sounds[label]).mean(axis=0) for label in labels])
    owned = dict(zip(labels, owned_classes(heard).astype(bool), strict=True))
    found = stage.maps([(key, key) for key, _ in asked], "classes")
    each = zip(asked, found, strict=True)
    # a class that no cluster stands for has a map of nothing
    return np.stack([np.where(owned[label][:, None, None], maps, 0).max(axis=0) for (_, label), maps in each])


def _boxes(objects: dict[str, tuple[bool, np.ndarray]]) -> dict[bool, np.ndarray]:
    """Boxes of what is heard and of what is only seen."""
    return {kind: np.concatenate([b for heard, b in objects.values() if heard is kind]) for kind in (True, False)}


def _place_of(found: np.ndarray, objects: dict[str, tuple[bool, np.ndarray]], label: str) -> str:
    """Where the map that was asked for one heard object is highest."""
    where = place(found, _boxes(objects))
    if where != "sounding":
        return where
    itself = {True: objects[label][1], False: np.zeros((0, 4))}
    return "itself" if place(found, itself) == "sounding" else "other"


def _shares(found: list[str], parts: tuple[str, ...]) -> dict[str, float]:
    return {part: found.count(part) / len(found) for part in parts}


def test_objects() -> Objects:
    """The four objects of each test collage."""
    found: Objects = defaultdict(dict)
    for row in read_table(Path("collages/truth.parquet")).to_pylist():
        if row["split"] == "test":
            box = np.array([[row[side] for side in ("x1", "y1", "x2", "y2")]])
            found[row["key"]][row["object_label"]] = (row["sounding"], box)
    return dict(found)


def main() -> None:
    _, out = begin(__doc__, "collages")
    clips, collages, objects = ShardStore.open("shards"), ShardStore.open("collage-shards"), test_objects()
    rows = list[dict[str, Any]]()
    for folder in [*scored("dsol"), *scored("dsol_mixtures")]:
        stage = Stage(folder, clips, collages)
        named = names(folder, stage, clips) if hasattr(stage.method, "pseudo_labels") else {}
        rows.append({"run": str(folder), **named, **on_collages(stage, objects)})
        print(rows[-1], flush=True)
    write(out, record("benchmarks/methods/collages.py", ("torch", "numpy")) | {"collages": len(objects), "rows": rows})


if __name__ == "__main__":
    main()
