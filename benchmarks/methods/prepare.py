"""What every run of the comparison shares: corpus, shards, pretrained image trunk, lists of clips.

The first `heard_classes` classes in alphabetical order are heard: their training clips, less the validation ones, are
the training list. Test clips of the other classes are the open set.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.methods.plan import Plan
from manifests.parquet import read_table

BIN = Path(sys.prefix) / "bin"


def prepare(plan: Plan) -> None:
    """Make what is missing in the current folder; every command leaves alone what it finds finished."""
    command("pipeline", "synth", "--out", "synth", *flags(plan.corpus))
    command("pipeline", "ingest", "--src", "synth", "--out", "shards")
    command(
        "training", "pretrain", "--src", "synth/objects", "--out", "pretrained.safetensors", *flags(plan.pretraining)
    )
    _write_lists(plan)


def command(program: str, *arguments: object) -> None:
    """Run one of the project's commands, its output on the screen."""
    subprocess.run([str(BIN / program), *map(str, arguments)], check=True)


def flags(options: dict[str, object]) -> list[str]:
    """Options as a command line: {"image_size": 112} -> --image-size 112."""
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _write_lists(plan: Plan) -> None:
    rows = read_table(Path("synth/truth.parquet")).to_pylist()
    clips = {row["key"]: row for row in rows}
    heard = set(sorted({row["label"] for row in clips.values()})[: plan.heard_classes])
    seen: dict[str, list[list[float]]] = {}
    for row in rows:
        if row["sounding"] and row["on_screen"]:
            seen.setdefault(row["key"], []).append([row[side] for side in ("x1", "y1", "x2", "y2")])
    trained = [key for key, row in clips.items() if row["split"] == "train" and row["label"] in heard]
    validation = [key for key in trained if key in seen][: plan.validation_clips]
    test = [key for key, row in clips.items() if row["split"] == "test" and key in seen]
    entries = [{"file": key, "class": clips[key]["label"], "bbox": seen[key]} for key in validation]
    Path("validation.json").write_text(json.dumps(entries))
    _write_ids("train.txt", [key for key in trained if key not in set(validation)])
    _write_ids("heard.txt", [key for key in test if clips[key]["label"] in heard])
    _write_ids("unheard.txt", [key for key in test if clips[key]["label"] not in heard])


def _write_ids(name: str, keys: list[str]) -> None:
    Path(name).write_text("".join(f"{key}\n" for key in keys))
