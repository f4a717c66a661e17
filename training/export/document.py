"""config.json of an exported model: what another program, or this one elsewhere, must know of the weights.

Places of the machine it was trained on are not in it: of a path only the last name stays.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
import torchvision

from index.encoders.imagenet import DEVIATION, MEAN
from manifests.files.given import has_file
from manifests.views import IN_WORDS
from pipeline.console import version
from pipeline.media.front_ends import find_front_end
from training.config import RunConfig
from training.evaluation.printing import undefined_in_words
from training.evaluation.scores import task_values, values_of
from training.export.exported import VERSION
from training.leakage import TRAINING_CLIPS
from training.model_names import FORMAT
from training.report.results import Evaluation, read_run
from training.runs import LoadedRun, known_contents, read_facts, training_clips

ORDER = "(batch, 3, size, size) float32, RGB, rows from the top: pixels / 255, minus mean, divided by deviation"
RESIZED = "bicubic with antialiasing, in 8 bits"
HEARD = "(batch, 1, frequencies, times) float32: spectrogram of the sound around the moment, minus mean, by deviation"
MAP = "(batch, rows, columns) float32, raw: larger where it sounds more; covers what is shown of the frame"
_LAST_OF_PATH = re.compile(r".*[/\\]")


def document_of(run: LoadedRun) -> dict[str, Any]:
    """Everything that config.json says, as plain values, without its seal."""
    facts = read_facts(run.folder)
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": run.config.name,
        "method": run.config.method.name,
        "weights": run.weights,
        "front_end": find_front_end(run.front_end).facts(),
        "image": _image(run.config),
        "audio": {"mean": run.config.data.audio_mean, "deviation": run.config.data.audio_deviation, "is": HEARD},
        "map": {"is": MAP} | map_size(run),
        "run": without_places(run.config.model_dump(mode="json")),
        "shards": {"manifest_sha256": run.manifest_sha256},
        "training": _training(run, facts),
        "evaluations": [_evaluation(one) for one in evaluations_of(run)],
        "made_with": {
            "sound-source-localization": version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    } | ({"imported": facts["imported"]} if "imported" in facts else {})


def without_places(value: Any) -> Any:
    """Plain data in which every text that is a path has become the last name of it."""
    if isinstance(value, dict):
        return {key: without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_places(inner) for inner in value]
    return _LAST_OF_PATH.sub("", value.rstrip("/\\")) if isinstance(value, str) else value


@torch.no_grad()
def map_size(run: LoadedRun) -> dict[str, int]:
    """Rows and columns of the run's maps."""
    size, shape = run.config.data.image_size, find_front_end(run.front_end).shape
    image, audio = torch.zeros(1, 3, size, size), torch.zeros(1, 1, *shape)
    rows, columns = run.method(image.to(run.device), audio.to(run.device)).map.shape[1:]
    return {"rows": rows, "columns": columns}


def _image(config: RunConfig) -> dict[str, Any]:
    view = config.evaluation.view
    return {
        "size": config.data.image_size,
        "view": view,
        "shown": IN_WORDS[view],
        "resized": RESIZED,
        "mean": list(MEAN),
        "deviation": list(DEVIATION),
        "is": ORDER,
    }


def _training(run: LoadedRun, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The training list: its name, how many clips it has, and the hash of their names."""
    known = known_contents(run.folder)
    listed = has_file(run.folder / TRAINING_CLIPS)
    count = facts.get("training_clips") or (len(training_clips(run.folder)) if listed else None)
    named = run.config.data.train_list
    return {
        "list": without_places(named) if named else None,
        "split": run.config.data.split,
        "clips": count,
        "sha256": known.get("training_clips"),
    }


def evaluations_of(run: LoadedRun) -> list[Evaluation]:
    """Those of the weights that are exported."""
    return [one for one in read_run(run.folder).every_evaluation if one.is_early_stopped == (run.weights == "best")]


def _evaluation(one: Evaluation) -> dict[str, Any]:
    """A result as numbers: every map's scores, the floors and the ceiling beside them, n scored of n expected."""
    facts = one.facts
    floors, training = facts["floors"] or {}, facts.get("lists", {}).get("training") or {}
    return {
        "test_set": one.test_set,
        "protocol": one.protocol,
        "view": one.view,
        "task": facts.get("task", "localization"),
        "truth": {"name": one.test_set, "sha256": one.truth_sha256},
        "n_scored": facts["n_scored"],
        "n_expected": facts["n_expected"],
        "trained_on": training.get("test_clips_trained_on"),
        "trained_on_unknown": training.get("unknown") or [],
        "scores": {name: values_of(facts, name) for name in facts["scores"]},
        "floors": {name: task_values(scores) for name, scores in floors.items()},
        "ceiling": task_values(facts["ceiling"] or {}),
        "undefined": undefined_in_words(facts),
    }
