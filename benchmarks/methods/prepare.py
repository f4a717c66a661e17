"""What every run of the comparison shares: corpus, shards, pretrained image trunk, lists of clips.

The first `heard_classes` classes in alphabetical order, of those that are seen sounding at all, are heard: their
training clips, less the validation ones, are the training list. Test clips of the other classes are the open set.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.methods.plan import Plan
from manifests.clip_lists.written import as_list
from manifests.files.parquet import read_table


def prepare(plan: Plan, material: Path | None) -> None:
    """Make what is missing in the current folder; every command leaves alone what it finds finished.

    material: real images and recordings as docs/corpora.md lays them out, for a plan whose corpus is composed of them.
    """
    if plan.bed == "real":
        if material is None:
            raise SystemExit("This plan's corpus is composed of real images and sounds: name them with --material.")
        given = ("--pictures", material, "--sounds", material, "--backgrounds", material / "backgrounds")
        command("pipeline", "compose", *given, "--out", "corpus", *flags(plan.corpus))
        if not Path("yamnet.pth").exists():
            Path("yamnet.pth").symlink_to(material / "weights" / "yamnet_torch.pth")
    else:
        command("pipeline", "synth", "--out", "corpus", *flags(plan.corpus))
    command("pipeline", "ingest", "--src", "corpus", "--out", "shards", *flags(plan.ingest))
    for kind in plan.annotate:
        command("pipeline", "annotate", f"--{kind}", "--shards", "shards")
    if plan.pretraining is not None:
        made = ("--src", "corpus/objects", "--out", "pretrained.safetensors")
        command("training", "pretrain", *made, *flags(plan.pretraining))
    _write_lists(plan)
    if plan.collages:
        _make_collages(plan)


def _make_collages(plan: Plan) -> None:
    """Collages in shards of their own, and a list of those to train on. They are made of what is trained on or tested
    as heard, so that none shows a validation clip, or a class of the open set."""
    lists = ("--list", "train.txt", "--list", "heard.txt")
    command("pipeline", "collage", "--src", "corpus", "--out", "collages", *lists, *flags(plan.collages))
    kept = {name: plan.ingest[name] for name in ("front_end",) if name in plan.ingest}
    command("pipeline", "ingest", "--src", "collages", "--out", "collage-shards", *flags(kept))
    rows = read_table(Path("collages/collages.parquet")).to_pylist()
    _write_ids("collages.txt", list(dict.fromkeys(row["key"] for row in rows if row["split"] == "train")))


def command(program: str, *arguments: object) -> None:
    """Run one of the project's commands as this checkout has it, installed or not; its output on the screen."""
    started = [sys.executable, "-c", f"from {program}.cli import main; main()"]
    subprocess.run([*started, *map(str, arguments)], check=True)


def flags(options: dict[str, Any]) -> list[str]:
    """Options as a command line: {"image_size": 112, "proposals": True} -> --image-size 112 --proposals. One that is
    None or False, as over a plan that has it, is left out."""
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    named = ((f"--{name.replace('_', '-')}", value) for name, value in given.items())
    return [word for name, value in named for word in ((name,) if value is True else (name, str(value)))]


def _write_lists(plan: Plan) -> None:
    rows = read_table(Path("corpus/truth.parquet")).to_pylist()
    clips = {row["key"]: row for row in rows}
    seen: dict[str, list[list[float]]] = {}
    for row in rows:
        if row["sounding"] and row["on_screen"]:
            seen.setdefault(row["key"], []).append([row[side] for side in ("x1", "y1", "x2", "y2")])
    heard = set(sorted({clips[key]["label"] for key in seen})[: plan.heard_classes])  # others sound off-screen only
    trained = [key for key, row in clips.items() if row["split"] == "train" and row["label"] in heard]
    validation = [key for key in trained if key in seen][: plan.validation_clips]
    test = [key for key, row in clips.items() if row["split"] == "test" and key in seen]
    entries = [{"file": key, "class": clips[key]["label"], "bbox": seen[key]} for key in validation]
    Path("validation.json").write_text(json.dumps(entries))
    _write_ids("train.txt", [key for key in trained if key not in set(validation)])
    _write_ids("heard.txt", [key for key in test if clips[key]["label"] in heard])
    _write_ids("unheard.txt", [key for key in test if clips[key]["label"] not in heard])


def _write_ids(name: str, keys: list[str]) -> None:
    Path(name).write_text(as_list(keys))
