"""The demo over several seeds: time of every stage and scores of every run, beside floor and ceiling.

Runs the very lines of `make demo` (corpus, pretraining and training all seeded anew) in a folder of its own per seed:

    python -m benchmarks.demo.seeds --work seeds --seeds 0 1 2 --out benchmarks/demo/seeds.json
"""

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "torchvision", "webdataset", "faiss-gpu", "dask", "av", "numpy")


def demo_lines(seed: int) -> list[list[str]]:
    """The commands `make demo` runs for a seed, with this environment's executables."""
    printed = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/ready", "demo", f"SEED={seed}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.replace("\\\n", " ")  # fmt: skip
    lines = [shlex.split(line) for line in printed.splitlines() if line.startswith(".venv/bin/")]
    return [[str(Path(sys.prefix) / "bin" / Path(line[0]).name), *line[1:]] for line in lines]


def run_seed(work: Path, seed: int, without: str | None) -> dict[str, object]:
    """One demo, less the lines that hold `without`; wall and CPU seconds per stage, and what the evaluations wrote.

    A folder where the demo has run before keeps its scores, and its times are those of finding everything finished.
    """
    folder = work / f"seed{seed}"
    found = (folder / "demo").is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    stages = []
    for line in demo_lines(seed):
        if not found and without and any(without in word for word in line):
            continue
        name = " ".join([Path(line[0]).name, *line[1:3]])
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(line, cwd=folder, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        stages.append({"stage": name, "wall_s": round(time.monotonic() - start, 1), "cpu_s": round(cpu, 1)})
    return {"seed": seed, "found_finished": found, "stages": stages, "scores": read_scores(folder / "demo/runs")}


def read_scores(runs: Path) -> dict[str, dict[str, object]]:
    """cIoU@0.5, AUC and mean IoU of every map of every run, by run and protocol."""
    found: dict[str, dict[str, object]] = {}
    for path in sorted(runs.glob("*/*/evaluation/*.json")):
        facts = json.loads(path.read_text())
        rows = {**{f"floor {k}": v for k, v in facts["floors"].items()}, **facts["scores"], "ceiling": facts["ceiling"]}
        kept = {name: {k: row[k] for k in ("ciou50", "auc", "mean_iou")} for name, row in rows.items()}
        counts = {"n_scored": facts["n_scored"], "n_expected": facts["n_expected"]}
        found.setdefault(path.parents[2].name, {})[facts["protocol"]["name"]] = {**counts, **kept}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--without", help="leave out the lines with this word, for instance demo_semantic")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    result: dict[str, object] = {
        "command": shlex.join(["python", "benchmarks/demo/seeds.py", *sys.argv[1:]]),
        "hardware": {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine(), "gpu": None},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
    done = []
    for seed in options.seeds:
        done.append(run_seed(options.work, seed, options.without))
        options.out.write_text(json.dumps(result | {"seeds": done}, indent=1) + "\n")


if __name__ == "__main__":
    main()
