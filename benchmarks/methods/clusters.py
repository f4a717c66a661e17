"""Why methods that cluster fall below the floors, looked at in the runs that a comparison has left.

    python -m benchmarks.methods.clusters benchmarks/methods/real.json --work DIR

DMC: the score of the cluster that it does not choose, how often the chosen centre is the shorter vector, and how often
a foreign sound chooses another one. Coarse-to-fine: how many clips carry the most common class of their cluster, and
how many test clips have a map of zeros alone, since no cell is of the class that is heard. Writes the figures' name
with `-clusters` behind it.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import record, write
from benchmarks.methods.left_runs import begin, maps_of, scored
from benchmarks.methods.measure_run import HEARD, LOCALIZATION, TRUTH
from manifests.splits import read_ids
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair, paired_batches
from training.data.views import normalise_audio, normalise_image
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.runs import load_run

CLIPS = 64


def other_cluster(folder: Path) -> dict[str, float]:
    """cIoU@0.5 of what DMC leaves out, by protocol: its two clusters share every cell, so it is one minus the map."""
    heard = read_truth(TRUTH, "vggss", wanted=read_ids(HEARD))
    with np.load(maps_of(folder)) as stored:
        left_out = RawMaps(stored["names"], 1 - stored["maps"])
    return {
        protocol: score(left_out, heard, protocol).summary["scores"]["audio_visual"]["ciou50"]
        for protocol in LOCALIZATION[:2]
    }


@torch.no_grad()
def choice(folder: Path, store: ShardStore) -> dict[str, Any]:
    """Of clips spread over the shards: how often DMC's choice is the shorter centre, and a foreign sound's another."""
    run = load_run(folder, "cpu")
    rows = range(0, len(store), len(store) // CLIPS)[:CLIPS]
    pairs = [EvaluationPair(store.keys[row], row, row) for row in rows]
    _, pixels, spectrograms = next(paired_batches(store, pairs, run.config.data.image_size, CLIPS))
    method: Any = run.method
    seen = method.clustered(method.visual(normalise_image(pixels)), 2).centres
    sounds = method._sounds(method.audio_cells(normalise_audio(spectrograms, run.config.data)))
    chosen = method._chosen(seen, sounds)[0][:, 0]
    foreign = method._chosen(seen, sounds.roll(1, 0))[0][:, 0]
    shorter = seen.norm(dim=2).argmin(dim=1)
    shares = {"chosen_is_shorter": chosen == shorter, "foreign_sound_chooses_another": chosen != foreign}
    projected = run.config.encoders.image.projection is not None
    return {"projected": projected} | {name: each.float().mean().item() for name, each in shares.items()}


def empty_maps(folder: Path) -> float:
    """Share of the heard test clips whose map is zero everywhere."""
    with np.load(maps_of(folder)) as stored:
        return float((stored["maps"].max(axis=(1, 2)) <= 0).mean())


def purity(folder: Path, store: ShardStore) -> dict[str, float]:
    """Share of the training clips that carry the most common class of their cluster, and of all."""
    method: Any = load_run(folder, "cpu").method
    labels, found = method.pseudo_labels, defaultdict[int, Counter[str]](Counter)
    named = store.table["label"].to_pylist()
    for row, label in zip(labels.rows.tolist(), labels.labels.tolist(), strict=True):
        found[label][named[row]] += 1
    whole, common = sum(found.values(), Counter[str]()), sum(max(each.values()) for each in found.values())
    return {"purity": common / whole.total(), "largest_class": max(whole.values()) / whole.total()}


def main() -> None:
    _, out = begin(__doc__, "clusters")
    store, rows = ShardStore.open("shards"), list[dict[str, Any]]()
    for folder in scored("dmc"):
        rows.append({"run": str(folder), "other_cluster": other_cluster(folder), **choice(folder, store)})
    for folder in scored("coarse_to_fine*"):
        named = purity(folder, store) if load_run(folder).config.method.as_json().get("labels") == "clusters" else {}
        rows.append({"run": str(folder), "empty_maps": empty_maps(folder), **named})
    write(out, record("benchmarks/methods/clusters.py", ("torch", "numpy")) | {"rows": rows})
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
