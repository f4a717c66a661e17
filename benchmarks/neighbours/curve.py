"""Do conceptual positives help localization, and how does that depend on k, modality and agreement?

    python -m benchmarks.neighbours.curve --work DIR --shards SHARDS --truth vggss.json --yamnet yamnet.pth

On a composed corpus with frozen real encoders (`real_ezvsl.yaml`): linear heads on features that are computed once.
Every finished run is a line of the JSON file at once, and a repeated command goes on with what is missing.
"""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import record, write
from benchmarks.neighbours.lists import agreement, build_lists, build_map_lists
from manifests.truth import read_truth
from training.config import RunConfig, load_config
from training.distributed import ranks
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.loop.device_batches import DeviceBatches
from training.loop.free_memory import free_memory
from training.loop.inputs import open_inputs
from training.loop.kept_features import KeptFeatures, Trunks
from training.loop.room import Room
from training.loop.start import start
from training.runs import load_run

RESULT = Path(__file__).with_name("real.json")
SEEDS, DEPTHS = (0, 1, 2), (10, 30, 100, 300, 1000)
EZVSL = {
    "none": ["own"],
    "image": ["own", "image"],
    "audio": ["own", "audio"],
    "all": ["own", "image", "audio", "both"],
}
PROTOCOLS = ("ezvsl", "adaptive")


@dataclass(frozen=True)
class Case:
    """One run: `positives` of the k nearest of a folder of lists."""

    method: str
    positives: str
    lists: str = "supervised"
    k: int = 0
    seed: int = 0


def cases() -> Iterator[Case]:
    """What matters most first, so that an unfinished table is of use."""
    kinds = ("image", "audio")
    for seed in SEEDS:
        yield Case("ezvsl", "none", seed=seed)
        yield Case("ezvsl", "all", "map", 30, seed)
        yield from (Case("ezvsl", kind, "random", 100, seed) for kind in kinds)
        yield Case("alignment", "none", seed=seed)
        yield Case("alignment", "all", "map", 30, seed)
        yield from (Case("ezvsl", kind, "labels", 100, seed) for kind in kinds)
        yield from (Case("ezvsl", kind, "supervised", k, seed) for k in DEPTHS for kind in kinds)
        yield from (Case(method, "all", "supervised", k, seed) for k in DEPTHS for method in ("ezvsl", "alignment"))
        yield from (Case("ezvsl", kind, "map", 100, seed) for kind in kinds)
        yield from (Case("alignment", "all", lists, 100, seed) for lists in ("labels", "random"))


class Bed:
    """The corpus, its test clips' features, and how a case is trained and scored on it. Works in the current folder."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.truth = read_truth(given.truth, "vggss")
        test = self._opened("data.split=test", "data.exclude_test=[]", "evaluation.truth=null")
        self.test = self._features(test)
        self.names = [test.stream.store.keys[row] for row in np.flatnonzero(test.stream.selected)]
        train = self._opened()
        kept = self._features(train)
        rows, self.store = np.flatnonzero(train.stream.selected), train.stream.store
        features = kept.images(rows.tolist(), [], 0).permute(0, 2, 3, 1), kept.audio(rows.tolist())
        build_lists(self.store, rows, *features)
        build_map_lists(self.store, rows, load_run(self.trained(Case("ezvsl", "none"))).method, *features)
        self.clips = len(rows)

    def config(self, *overrides: str, name: str = "real_ezvsl.yaml") -> RunConfig:
        given = self.given
        return load_config(
            name,
            (
                f"data.shards={given.shards}",
                f"data.exclude_test=[{given.truth}]",
                f"evaluation.truth={given.truth}",
                f"encoders.audio.weights={given.yamnet}",
                "compute.features=features",
                *overrides,
            ),
        )

    def _opened(self, *overrides: str) -> Any:
        with ranks("cpu") as process:
            return open_inputs(self.config(*overrides), process)

    def _features(self, inputs: Any) -> KeptFeatures:
        method = inputs.method.to(memory_format=torch.channels_last)
        batches = DeviceBatches(inputs.stream.data, method, inputs.stream.store.front_end)
        trunks = Trunks.of(method, inputs.stream.data)
        room = Room(torch.device("cpu"), free_memory(torch.device("cpu")))
        return KeptFeatures(inputs.stream, trunks, batches, nullcontext, room, Path("features"))

    def run(self, case: Case) -> dict[str, Any]:
        """Train a case and score its last epoch."""
        folder = self.trained(case)
        maps = self._maps(folder)
        scores = {name: score(maps, self.truth, name).summary["scores"]["audio_visual"] for name in PROTOCOLS}
        losses = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
        return asdict(case) | {
            "ciou50": {name: round(values["ciou50"], 4) for name, values in scores.items()},
            "auc": {name: round(values["auc"], 4) for name, values in scores.items()},
            "last_loss": round(losses["total"], 4),
        }

    def trained(self, case: Case) -> Path:
        """The folder of a case's run, trained if it is not there."""
        config = "real_alignment.yaml" if case.method == "alignment" else "real_ezvsl.yaml"
        chosen = (
            f"method.semantic={str(case.positives != 'none').lower()}"
            if case.method == "alignment"
            else f"method.positives={json.dumps(EZVSL[case.positives])}"
        )
        drawn = (f"data.neighbours=knn-{case.lists}", f"data.k={case.k}") if case.k else ()
        return start(self.config(chosen, f"seed={case.seed}", *drawn, name=config), Path("runs"), "cpu")[0]

    @torch.no_grad()
    def _maps(self, folder: Path) -> RawMaps:
        run = load_run(folder)
        rows = list(self.test._place)
        maps = [
            run.method(self.test.images(part, [], 0), self.test.audio(part)).map.numpy()
            for part in (rows[first : first + 64] for first in range(0, len(rows), 64))
        ]
        return RawMaps(self.names, np.concatenate(maps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "shards", "truth", "yamnet"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="only these, so that processes can share")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    for name in ("shards", "truth", "yamnet", "out"):
        setattr(given, name, getattr(given, name).resolve())
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    os.chdir(given.work)
    bed = Bed(given)
    if not given.out.is_file():
        write(given.out, _head(bed))
    for case in cases():
        if case.seed in given.seeds and not _lines(given.out, case):
            line = bed.run(case)
            report = json.loads(given.out.read_text())  # another process may have added to it
            write(given.out, report | {"runs": [*report["runs"], line]})


def _lines(path: Path, case: Case) -> list[dict[str, Any]]:
    """What is known of a case."""
    runs = json.loads(path.read_text())["runs"]
    return [run for run in runs if all(run[name] == value for name, value in asdict(case).items())]


def _head(bed: Bed) -> dict[str, Any]:
    of_lists = {name: agreement(bed.store, name, DEPTHS) for name in ("supervised", "map", "labels", "random")}
    return record("benchmarks/neighbours/curve.py", ("torch", "numpy")) | {
        "bed": {"training_clips": bed.clips, "test_clips": len(bed.truth.test_set.annotations)},
        "agreement": of_lists,
        "runs": [],
    }


if __name__ == "__main__":
    main()
