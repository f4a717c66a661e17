"""How long does scoring take? 10,316 samples (Extended VGG-SS: half of them negative), maps of 224 x 224.

    python -m benchmarks.evaluation.scoring                 a few minutes; needs 3 GB for the maps
    python -m benchmarks.evaluation.scoring --samples 2000

Truth and maps are made up, everything else is `score` as every command calls it: enlarging, scaling, threshold,
cIoU, confidence, floors, ceiling, intervals, AP and max-F1. CPU seconds are user + system of the process. `metric`
is the part without floors, ceiling and aggregates. Writes scoring-<samples>.json beside this file.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from benchmarks.measure import cpu_time, record, write
from manifests.annotations import Annotation, TestSet
from manifests.readers.extended import ExtendedSet, Negative
from manifests.test_sets import Truth
from training.evaluation.localization import ciou
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols import known_protocols
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks.localization import BATCH, score
from training.evaluation.truth import weight_maps

PROTOCOLS = {n: p for n, p in known_protocols("localization").items() if isinstance(p, MapProtocol)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_316)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--protocol", default="ezvsl", choices=PROTOCOLS)
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    options = parser.parse_args()
    extended, names = made_up(options.samples // 2)
    maps = np.random.default_rng(0).random((len(names), options.side, options.side), dtype=np.float32)
    report = {
        **record("benchmarks/evaluation/scoring.py", ("numpy", "torch"), options.machine),
        "samples": len(names),
        "side": options.side,
        "protocol": options.protocol,
        "metric_cpu_s": round(cpu_time(lambda: metric(extended.positives, maps, options.protocol)), 1),
        "everything_cpu_s": round(cpu_time(lambda: everything(extended, names, maps, options.protocol)), 1),
        "omp_threads": os.environ.get("OMP_NUM_THREADS"),
    }
    write(Path(__file__).with_name(f"scoring-{options.samples}.json"), report)
    print(json.dumps(report, indent=2))


def made_up(positives: int) -> tuple[ExtendedSet, list[str]]:
    """As many negatives as positives, with boxes of all sizes, and the names of all samples."""
    random = np.random.default_rng(1)
    starts, sides = random.uniform(0, 0.5, (positives, 2)), random.uniform(0.1, 0.5, (positives, 2))
    boxes = np.concatenate([starts, starts + sides], axis=1)
    keys = [f"{number:011d}_000000" for number in range(positives)]
    truth = (Annotation(key, None, (tuple(box),)) for key, box in zip(keys, boxes.tolist(), strict=True))
    test_set = TestSet("made_up", tuple(truth), "made up", "0" * 64)
    pairs = tuple(Negative(key, keys[number - 1], "easy") for number, key in enumerate(keys))
    return ExtendedSet("extended", test_set, pairs, "made up", "0" * 64), [*keys, *(pair.key for pair in pairs)]


def everything(extended: ExtendedSet, names: list[str], maps: np.ndarray, protocol: str) -> None:
    score(RawMaps(names, maps), Truth("extended", extended.positives, extended), PROTOCOLS[protocol])


def metric(test_set: TestSet, maps: np.ndarray, name: str) -> None:
    """Maps to cIoU and confidence, every sample against a truth, in batches as `score` takes them."""
    protocol, annotations = PROTOCOLS[name], test_set.annotations
    for start in range(0, len(maps), BATCH):
        chunk = maps[start : start + BATCH]
        weights = weight_maps([annotations[(start + at) % len(annotations)] for at in range(len(chunk))])
        prepared = prepare(chunk, protocol)["audio_visual"]
        ciou(binarise(prepared.maps, protocol, (weights != 0).sum(axis=(1, 2))).masks, weights)


if __name__ == "__main__":
    main()
