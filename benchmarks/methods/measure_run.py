"""One run of the comparison: trained, then scored under everything the field measures."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from manifests.commands.freed_memory import keep_freed_memory
from manifests.splits import read_ids
from manifests.truth import read_truth
from training.config import RunConfig
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.protocols.boxes import BOXES
from training.evaluation.raw_maps import RawMaps
from training.evaluation.results import Result
from training.evaluation.scores import values_of
from training.evaluation.tasks import score
from training.loop.remembered import Memory, remembering
from training.loop.start import start
from training.runs import LoadedRun, load_run

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RUNS = Path("runs")
HEARD, UNHEARD, NEGATIVES = Path("heard.txt"), Path("unheard.txt"), Path("corpus/vggss_test_plus_silent.csv")
TRUTH, VALIDATION = Path("corpus/vggss.json"), Path("validation.json")
SEEN: Memory = {}  # what frozen trunks made of the test clips, for all runs that a process scores
LOCALIZATION = ("ezvsl", "adaptive", "textbook")
ONSCREEN = ("onscreen", "onscreen_validated")


def one_thread() -> None:
    """Initialises a worker process: runs are trained beside one another, each on a core of its own."""
    torch.set_num_threads(1)
    keep_freed_memory()


def train(config: RunConfig) -> Path:
    """Train (or resume, or find) a run; returns its folder."""
    return start(config, RUNS, DEVICE)[0]


def train_and_score(config: RunConfig) -> dict[str, Any]:
    """Train (or resume, or find) a run and score it; returns its line of the result."""
    folder = train(config)
    steps, seconds = (float(part.split()[0]) for part in (folder / "DONE").read_text().split(","))
    parts = (HEARD, UNHEARD)
    bed = config.evaluation.test_set.removesuffix("-vggss")
    run, validation = load_run(folder, DEVICE), f"{bed}-validation"
    _evaluated(run, [EvaluationRequest(truth=VALIDATION, test_set=validation, protocols=ONSCREEN[:1])])
    requests = [
        EvaluationRequest(clips=parts, protocols=(*LOCALIZATION, "retrieval"), listen=True),
        EvaluationRequest(clips=parts[:1], protocols=ONSCREEN, threshold_set=validation),
        EvaluationRequest(negatives=NEGATIVES, test_set=f"{bed}-extended", protocols=("slavc_relative",)),
    ]
    if "proposals" in run.method.needs:  # what chooses among regions answers with them
        requests.append(EvaluationRequest(clips=parts, protocols=(BOXES,)))
    results = _evaluated(run, requests)
    early = EvaluationRequest(clips=parts[:1], protocols=LOCALIZATION[:2])
    history = json.loads((folder / "validation.json").read_text())
    return {
        "name": config.name,
        "run": str(folder),
        "method": config.method.as_json(),
        "seed": config.seed,
        "steps": int(steps),
        "seconds": seconds,
        "validation": list(history.values()),
        "scores": _scores(results),
        "best_epoch": _scores(_evaluated(load_run(folder, DEVICE, "best"), [early])),
    }


def _evaluated(run: LoadedRun, requests: Iterable[EvaluationRequest]) -> list[Result]:
    with remembering(run.method, SEEN):
        return [result for request in requests for result in evaluate(run, request)]


def _scores(results: Iterable[Result]) -> dict[str, dict[str, Any]]:
    """Test set -> protocol -> map (or direction) -> score."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        facts = result.summary
        rows = {name: values_of(facts, name) for name in facts["scores"]}
        found.setdefault(facts["test_set"], {})[facts["protocol"]["name"]] = rows
    return found


def context(folders: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Floors, ceiling and counts of every test set and protocol, of the first of these runs that has them: they are
    equal for all."""
    found: dict[str, dict[str, Any]] = {}
    for path in (path for folder in folders for path in sorted((folder / "evaluation").glob("*.json"))):
        facts = json.loads(path.read_text())
        kept = {name: facts[name] for name in ("floors", "ceiling", "n_scored", "n_expected")}
        found.setdefault(facts["test_set"], {}).setdefault(facts["protocol"]["name"], kept)
    return found


def alpha_sweep(folder: Path, test_set: str, alphas: Iterable[float]) -> dict[str, dict[str, float]]:
    """cIoU@0.5 with the object prior mixed in: alpha -> protocol -> score, on the heard test clips."""
    heard = read_truth(TRUTH, "vggss", wanted=read_ids(HEARD))
    with np.load(folder / "evaluation" / f"{test_set}-heard.maps.npz") as arrays:
        stored = {name: arrays[name] for name in ("names", "maps", "object_maps")}
    return {
        str(alpha): {
            protocol: score(RawMaps.of(stored, alpha), heard, protocol).summary["scores"]["combined"]["ciou50"]
            for protocol in LOCALIZATION[:2]
        }
        for alpha in alphas
    }
