"""Does AVObject find who is heard, of two faces that look alike and both talk? Against methods that see one image.

    python -m benchmarks.synchrony.measure --work DIR

Needs the extra `encoders` (its object prior is EfficientNet-Lite0 of ImageNet). The peak of a map lies on the face that
is heard, on the other one, or on neither: by one image no more than half can be told.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import ROOT, cpu_seconds, record, write
from benchmarks.synchrony.talkers import FPS, write_corpus
from training.config import RunConfig
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.scores import values_of
from training.loop.start import start
from training.runs import load_run

CLIPS, IMAGES = 640, 9
PRIOR = {"layout": "efficientnet_lite0", "weights": "imagenet", "kind": "activation", "alpha": 0.4}
TRUNK = {"blocks": [1, 1, 1], "width": 16, "weights": "none"}
POOLED = {"input_pool": [4, 1]}  # of a sound, in frequency alone: it is when that matters
AVOBJECT = {"name": "avobject", "images": IMAGES, "rate": FPS, "shifts": 15, "dimension": 128, "scale": 10}
METHODS: dict[str, dict[str, Any]] = {
    "avobject": AVOBJECT,
    "avobject without shifts": AVOBJECT | {"shifts": 0},
    "ezvsl": {"name": "ezvsl", "dimension": 128, "temperature": 0.15},
}


def describe(work: Path, name: str, seed: int, epochs: int) -> RunConfig:
    """A run of the comparison: all have the same trunks, clips and steps."""
    return RunConfig.model_validate(
        {
            "name": name.replace(" ", "_"), "seed": seed, "method": METHODS[name],
            "data": {"shards": work / "shards", "image_size": 64, "crop_scale": 1.0, "exclude_test": [],
                     "audio_mean": -15.5, "audio_deviation": 1.5},
            "encoders": {"image": TRUNK, "audio": TRUNK | POOLED},
            "optim": {"epochs": epochs, "batch_size": 16, "learning_rate": 1e-3},
            "evaluation": {"protocols": ["adaptive", "ezvsl"], "object_prior": PRIOR},
        }
    )  # fmt: skip


def measured(work: Path, config: RunConfig) -> dict[str, Any]:
    """One run, trained and scored; CPU seconds of its training, 0 where it was there already."""
    before = cpu_seconds()
    folder, _ = start(config, work / "runs", "cpu")
    spent = cpu_seconds() - before
    results = evaluate(load_run(folder, "cpu"), EvaluationRequest(truth=work / "corpus/vggss.json"))
    facts = {result.summary["protocol"]["name"]: result.summary for result in results}
    return {
        "seed": config.seed,
        "cpu_seconds": round(spent),
        "peaks": peaks(folder, json.loads((work / "corpus/vggss.json").read_text())),
        **{protocol: dict(_scores(found)) for protocol, found in facts.items()},
    }


def _scores(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for name in ("audio_visual", "object_prior"):
        yield name, {score: round(value, 4) for score, value in values_of(found, name).items() if "ciou50" in score}
    yield "centred_disc", {"ciou50": round(found["floors"]["centred_disc"]["ciou50"], 4)}


def peaks(folder: Path, truth: list[dict[str, Any]]) -> dict[str, int]:
    """Test clips by where the highest cell of the map lies."""
    (path,) = (folder / "evaluation").glob("*.maps.npz")
    with np.load(path) as saved:
        maps = dict(zip(saved["names"].tolist(), saved["maps"], strict=True))
    boxes = {one["file"]: one["bbox"][0] for one in truth}
    found = {"heard": 0, "elsewhere": 0}
    for key, cells in maps.items():
        row, column = np.unravel_index(cells.argmax(), cells.shape)
        x, y = (column + 0.5) / cells.shape[1], (row + 0.5) / cells.shape[0]
        x1, y1, x2, y2 = boxes[key]
        found["heard" if x1 <= x <= x2 and y1 <= y <= y2 else "elsewhere"] += 1
    return found


def prepare(work: Path) -> None:
    """Videos and shards, unless they are there."""
    if (work / "shards/index.json").is_file():
        return
    write_corpus(work / "corpus", CLIPS, seed=0)
    line = ["ingest", "--src", work / "corpus", "--out", work / "shards", "--short-side", 0, "--burst", IMAGES]
    program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    subprocess.run([*program, *map(str, line), "--burst-rate", str(FPS), "--workers", "1"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    prepare(given.work)
    facts = record("benchmarks/synchrony/measure.py", ("torch", "av", "numpy")) | {"clips": CLIPS}
    runs: dict[str, list[dict[str, Any]]] = {}
    for name in given.methods:
        configs = [describe(given.work, name, seed, given.epochs) for seed in given.seeds]
        runs[name] = [measured(given.work, config) for config in configs]
        write(ROOT / "benchmarks/synchrony/talkers.json", facts | {"runs": runs})


if __name__ == "__main__":
    main()
