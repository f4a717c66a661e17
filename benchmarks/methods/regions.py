"""What of the proposal-based method's answers is the regions', what the selection's and what the choice's.

    python -m benchmarks.methods.regions benchmarks/methods/cpu.json --work DIR

Its answer is a region, so that it is scored under `boxes`, and so is everything it is compared with, on the heard test
clips: the region that fits the truth best, of all and of the K that its map selects (what a choice could reach), the
one on which the object prior responds most, the one on which its own map does, and one at random. Beside them, how
often the sound of another clip leads to another region. Writes the figures' name with `-regions` behind it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from benchmarks.measure import record, write
from benchmarks.methods.left_runs import begin, maps_of, scored
from benchmarks.methods.measure_run import HEARD, TRUTH
from manifests.annotations import Box
from manifests.splits import read_ids
from manifests.test_sets import Truth
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.data.beside import Beside, collated
from training.data.pairs import EvaluationPair, paired_batches
from training.data.views import normalise_audio, normalise_image
from training.evaluation.boxes import box_maps
from training.evaluation.protocols.boxes import BOXES
from training.evaluation.tasks import score
from training.parts.regions import responses, standard_range
from training.runs import LoadedRun, load_run

TOGETHER = 32


class Chosen(NamedTuple):
    """Of one clip, in fractions of the image: all regions (P, 4), those selected (K, 4), and which was the answer."""

    regions: Tensor
    selected: Tensor
    own: Tensor  # (4,) under its own sound
    foreign: Tensor  # (4,) under another clip's
    map: Tensor  # (h, w)


@torch.no_grad()
def chosen(run: LoadedRun, store: ShardStore, names: list[str]) -> Iterator[tuple[str, Chosen]]:
    """What a run answers for each clip that has any region."""
    method: Any = run.method
    size, beside = run.config.data.image_size, Beside(store, method.needs)
    rows = [store.row_of(name) for name in names]
    pairs = [EvaluationPair(name, row, row) for name, row in zip(names, rows, strict=True)]
    for chunk, pixels, spectrograms in paired_batches(store, pairs, size, TOGETHER):
        batch = {"image": normalise_image(pixels), "audio": normalise_audio(spectrograms, run.config.data)}
        batch |= collated([beside.shown(pair.image_row, "squash", size) for pair in chunk])
        own = method.predict(batch)
        foreign = method.predict(batch | {"audio": batch["audio"].roll(1, 0)}).boxes[:, 0, :4]
        kept, there = method.selected(batch["proposals"], own.map)
        for at, pair in enumerate(chunk):
            regions = present(batch["proposals"][at])
            if len(regions):
                yield pair.name, Chosen(regions, kept[at][there[at]], own.boxes[at, 0, :4], foreign[at], own.map[at])


def present(regions: Tensor) -> Tensor:
    """Regions (P, 4) without the rows that fill a batch up."""
    return regions[(regions[:, 2:] > regions[:, :2]).all(dim=1)]


def choices(found: Mapping[str, Chosen], truth: Mapping[str, Tensor], prior: Mapping[str, Tensor]) -> dict[str, Any]:
    """By what is asked: clip -> the region (4,) that it leads to."""
    draw = torch.Generator().manual_seed(0)
    return {
        "answer": {name: one.own for name, one in found.items()},
        "answer_to_another_sound": {name: one.foreign for name, one in found.items()},
        "best_region": {name: fitting(one.regions, truth[name]) for name, one in found.items()},
        "best_selected": {name: fitting(one.selected, truth[name]) for name, one in found.items()},
        "most_of_the_object_prior": {name: responding(one.regions, prior[name]) for name, one in found.items()},
        "most_of_its_map": {name: responding(one.regions, one.map) for name, one in found.items()},
        "at_random": {
            name: one.regions[int(torch.randint(len(one.regions), (1,), generator=draw))] for name, one in found.items()
        },
    }


def fitting(regions: Tensor, boxes: Tensor) -> Tensor:
    """The region (4,) that fits one of the boxes best."""
    return regions[box_iou(regions, boxes).amax(dim=1).argmax()]


def responding(regions: Tensor, response: Tensor) -> Tensor:
    """The region (4,) that holds most of a map (h, w) less its mean."""
    return regions[responses(standard_range(response[None], 224), regions[None], "sum_centred")[0].argmax()]


def scored_boxes(truth: Truth, boxes: Mapping[str, Tensor]) -> float:
    """cIoU@0.5 under `boxes`; a clip without a region has none."""
    names = list(truth.test_set.keys)
    given = [np.append(boxes[name].numpy(), 1.0)[None] if name in boxes else np.zeros((0, 5)) for name in names]
    return score(box_maps(names, given), truth, BOXES).summary["scores"]["audio_visual"]["ciou50"]


def object_prior() -> dict[str, Tensor]:
    """Maps (h, w) of the heard test clips, as any run stored them: the prior is the same for all."""
    for folder in scored("*"):
        with np.load(maps_of(folder)) as stored:
            if "object_maps" in stored:
                return dict(zip(stored["names"].tolist(), torch.from_numpy(stored["object_maps"]), strict=True))
    raise SystemExit("No run of this comparison has an object prior.")


def looked_at(folder: Path, store: ShardStore, truth: Truth) -> dict[str, Any]:
    """The figures of one run."""
    run = load_run(folder, "cpu")
    found = dict(chosen(run, store, list(truth.test_set.keys)))
    boxes: dict[str, list[Box]] = {one.key: list(one.boxes) for one in truth.test_set.annotations}
    asked = choices(found, {name: torch.tensor(boxes[name], dtype=torch.float32) for name in found}, object_prior())
    same = [torch.equal(one.own, one.foreign) for one in found.values()]
    return {
        "run": str(folder),
        "clips_without_regions": len(truth.test_set.keys) - len(found),
        "regions": float(np.mean([len(one.regions) for one in found.values()])),
        "another_sound_another_region": 1 - float(np.mean(same)),
        "ciou50": {name: scored_boxes(truth, regions) for name, regions in asked.items()},
    }


def main() -> None:
    _, out = begin(__doc__, "regions")
    store, truth = ShardStore.open("shards"), read_truth(TRUTH, "vggss", wanted=read_ids(HEARD))
    rows = []
    for folder in scored("proposal*"):
        rows.append(looked_at(folder, store, truth))
        print(rows[-1], flush=True)
    write(out, record("benchmarks/methods/regions.py", ("torch", "numpy")) | {"rows": rows})


if __name__ == "__main__":
    main()
