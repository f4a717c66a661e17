"""Every method on the same corpus, trunks and number of steps, over seeds, under everything the field measures.

Resumes where it was stopped, and ends with a page of all runs in the work folder. Two cores take less than two hours
for the methods of `cpu.yaml`, and as long again for what `--ablations` adds:

    python -m benchmarks.methods.compare --work /tmp/methods

With `--only hardpos hardpos_random` these methods and ablations are measured again and replace their lines in the file
of figures (with `--ablations` also all others of these methods); the rest of it stays, and so do the temperatures it
chose for the others. With `--without sspl ssltie` these are left for later: they look at new views of a clip in every
step, so that a frozen trunk saves them nothing.
"""

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import record, write
from benchmarks.methods.measure_run import DEVICE, RUNS, alpha_sweep, context, one_thread, train, train_and_score
from benchmarks.methods.merge import earlier, merged_figures
from benchmarks.methods.plan import Entry, Plan, describe, neighbours_folder, read_plan
from benchmarks.methods.prepare import command, prepare
from training.config import RunConfig
from training.loop.start import start
from training.report.page import write_report
from training.run_folders.environment import environment

PACKAGES = ("torch", "torchvision", "webdataset", "faiss-gpu", "numpy")
RANDOM = "random"
BACKEND = "torch" if DEVICE == "cuda" else "faiss"  # both find the same; a GPU may be one that FAISS cannot use
Line = dict[str, Any]


class Comparison:
    """A plan being carried out in the current folder, `jobs` runs at a time.

    only: names of the methods and ablations to measure; the others' `chosen` temperatures must be given.
    ablated: with the ablations of these methods.
    save: called with the comparison whenever a run is scored, so that an interrupted one is of use.
    """

    def __init__(
        self,
        plan: Plan,
        jobs: int,
        only: Collection[str] = (),
        chosen: Mapping[str, float | None] | None = None,
        save: Callable[["Comparison"], None] = lambda comparison: None,
        ablated: bool = False,
    ) -> None:
        self.plan, self.save = plan, save
        self.methods = [entry for entry in plan.methods if not only or entry.name in only]
        with_theirs = {entry.name for entry in self.methods} if ablated else set()
        self.ablations = [
            entry for entry in plan.ablations if entry.name in only or entry.temperature_of in with_theirs
        ]
        self.pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=one_thread)
        alone = {entry.name: next(iter(entry.temperatures), None) for entry in self.methods if _has_no_choice(entry)}
        self.chosen: dict[str, float | None] = alone | dict(chosen or {})
        self.agreement: dict[str, Any] = {}  # of neighbours' labels, by miner and seed
        self.lines: list[Line] = []

    def run(self) -> None:
        """Methods that need no neighbours, their later stages, the neighbours they mine, methods that need them,
        ablations."""
        first = [entry for entry in self.methods if entry.neighbours is None]
        self._entries(entry for entry in first if entry.begins_with is None)
        self._entries(entry for entry in first if entry.begins_with is not None)
        neighbourly = [entry for entry in self.methods if entry.neighbours is not None]
        self._mine(neighbourly)
        self._entries(neighbourly)
        self._mine(entry for entry in self.ablations if entry.neighbours is not None)
        for entry in self.ablations:
            self.chosen[entry.name] = self.chosen[str(entry.temperature_of)]
        self._train((entry, seed) for entry in self.ablations for seed in self._seeds(entry))
        self.pool.shutdown()

    def _entries(self, entries: Iterable[Entry]) -> None:
        """With the first seed at every temperature, then with the other seeds at the one that was better."""
        entries, first = list(entries), self.plan.seeds[0]
        tried = [(entry, first, value) for entry in entries for value in self._temperatures(entry)]
        found = self._train_at(tried)
        for entry in entries:
            own = [at for at, (other, _, _) in enumerate(tried) if other.name == entry.name]
            best = max(own, key=lambda at: found[at]["validation"][-1])
            self.chosen[entry.name] = tried[best][2]
        self._train((entry, seed) for seed in self.plan.seeds[1:] for entry in entries if seed in self._seeds(entry))

    def _seeds(self, entry: Entry) -> tuple[int, ...]:
        return entry.seeds or self.plan.seeds

    def _temperatures(self, entry: Entry) -> tuple[float | None, ...]:
        if entry.temperature_of is not None:
            return (self.chosen[entry.temperature_of],)
        return entry.temperatures or (None,)

    def _train(self, wanted: Iterable[tuple[Entry, int]]) -> list[Line]:
        return self._train_at([(entry, seed, self.chosen[entry.name]) for entry, seed in wanted])

    def _train_at(self, wanted: list[tuple[Entry, int, float | None]]) -> list[Line]:
        configs = [self._described(*one) for one in wanted]
        futures = [self.pool.submit(train_and_score, config) for config in configs]
        places = {future: at for at, future in enumerate(futures)}
        for done in as_completed(futures):
            line = done.result()
            entry, _, temperature = wanted[places[done]]
            line |= {"entry": entry.name, "temperature": temperature}
            self.lines.append(line)
            self.save(self)
            print(f"{line['name']} seed {line['seed']}: {_brief(line)}", flush=True)
        return [future.result() for future in futures]

    def _described(self, entry: Entry, seed: int, temperature: float | None) -> RunConfig:
        earlier = next((one for one in self.plan.methods if one.name == entry.begins_with), None)
        folder = None if earlier is None else self.folder(earlier, seed)
        return describe(self.plan, entry, seed, temperature, folder)

    def _mine(self, entries: Iterable[Entry]) -> None:
        """The miners' embeddings of the training clips into neighbour lists, per seed."""
        for miner in sorted({entry.neighbours for entry in entries if entry.neighbours is not None}):
            self._train_unmeasured(miner)
            for seed in self.plan.seeds:
                out = neighbours_folder(miner, seed)
                self._neighbours(miner, seed, out)
                meta = json.loads((out / "meta.json").read_text())
                self.agreement[f"{miner}-s{seed}"] = {
                    name: meta[name] for name in ("label_agreement", "label_agreement_by_chance")
                }

    def _train_unmeasured(self, miner: str) -> None:
        """A miner that is not measured this time is trained all the same."""
        entries = [entry for entry in self.plan.methods if entry.name == miner and entry not in self.methods]
        wanted = [(entry, seed, self.chosen[entry.name]) for entry in entries for seed in self.plan.seeds]
        list(self.pool.map(train, [describe(self.plan, *one) for one in wanted]))

    def _neighbours(self, miner: str, seed: int, out: Path) -> None:
        common = ("--k", self.plan.neighbours_k, "--shards", "shards", "--out", out)
        if miner == RANDOM:
            command("index", "random-knn", "--seed", seed, *common)
            return
        entry = next(one for one in self.plan.methods if one.name == miner)
        embeddings = f"embeddings-{miner}-s{seed}"
        command("training", "embed", self.folder(entry, seed), "--pool", self.plan.neighbours_pool, "--out", embeddings)
        command("index", "build-knn", "--embeddings", embeddings, "--backend", BACKEND, *common)

    def folder(self, entry: Entry, seed: int) -> Path:
        """The folder of an entry's finished run at its chosen temperature."""
        return start(describe(self.plan, entry, seed, self.chosen[entry.name]), RUNS, DEVICE)[0]


def _has_no_choice(entry: Entry) -> bool:
    """Whether an entry's temperature is known before it has run."""
    return len(entry.temperatures) < 2 and entry.temperature_of is None


def _brief(line: Line) -> str:
    heard = next(scores for name, scores in line["scores"].items() if name.endswith("-vggss-heard"))
    return f"{line['seconds']:.0f} s, " + ", ".join(
        f"{protocol} {100 * heard[protocol]['audio_visual']['ciou50']:.1f}" for protocol in ("ezvsl", "adaptive")
    )


def measurement(comparison: Comparison) -> dict[str, Any]:
    """What was run on what, and a line per run."""
    return {
        **record("benchmarks/methods/compare.py", PACKAGES),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": environment()["commit"],
        "plan": comparison.plan.content,
        "chosen_temperatures": comparison.chosen,
        "neighbours": comparison.agreement,
        "runs": comparison.lines,
        "context": context(Path(line["run"]) for line in comparison.lines),
    }


def references(comparison: Comparison) -> dict[str, Any]:
    """The object prior's share in EZ-VSL's maps."""
    plan, ezvsl = comparison.plan, next(entry for entry in comparison.plan.methods if entry.name == "ezvsl")
    folders = {seed: comparison.folder(ezvsl, seed) for seed in plan.seeds}
    sweeps = {str(seed): alpha_sweep(path, f"{plan.bed}-vggss", plan.alphas) for seed, path in folders.items()}
    return {"alpha": sweeps}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=Path(__file__).with_name("cpu.yaml"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--material", type=Path, help="images and recordings of the real bed")
    parser.add_argument("--out", type=Path, help="JSON file to write; default: beside the plan")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="ENTRY", help="measure these methods or ablations again, keep the rest"
    )
    parser.add_argument("--ablations", action="store_true", help="measure the ablations of the methods as well")
    parser.add_argument("--without", nargs="+", default=(), metavar="METHOD", help="leave these for later")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    plan = read_plan(options.plan, options.without)
    out = (options.out or options.plan.with_suffix(".json")).resolve()
    before = earlier(out, plan, options.only) if options.only else {}
    material = None if options.material is None else options.material.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)  # everything made lies here, under relative names
    prepare(plan, material)

    def save(comparison: Comparison, further: dict[str, Any] | None = None) -> None:
        found = measurement(comparison)
        before = json.loads(out.read_text()) if options.only else None  # another may have written it
        write(out, merged_figures(before, found) if before else found | (further or {}))

    comparison = Comparison(
        plan, options.jobs, options.only, before.get("chosen_temperatures"), save, options.ablations
    )
    comparison.run()
    save(comparison, {} if options.only else references(comparison))  # EZ-VSL's, which may not be trained here
    print(write_report([Path(line["run"]) for line in comparison.lines], Path("shards"), Path("report"))[0])


if __name__ == "__main__":
    main()
