"""What the runs of a comparison make of several sources at once: of mixtures of two clips, and of collages.

    python -m benchmarks.methods.several_sources benchmarks/methods/cpu.json --work DIR

On the heard test clips, two of which are mixed and shown side by side, `noprior_duet`. On the test collages, of whose
four objects two are heard, `music_synthetic`: a method with maps of classes of its own is asked with the collage's
sound, and some sounds of each class say which class is which; any other with a training clip's sound of each class.
Answers that are boxes also under `boxes`, among regions that are searched for in the collages' images where the
comparison's own have regions; they are kept beside the collages' shards. Every finished run of the work folder at the
temperature that the figures chose is looked at, on the CPU; results are written into its folder, so that an
interrupted call goes on where it was. Writes the figures' name with `-several-sources` behind it, and a page beside
it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import record, write
from benchmarks.methods.collages import sounds_of_classes
from benchmarks.methods.left_runs import at_chosen_temperatures, begin
from benchmarks.methods.measure_run import HEARD, SEEN
from benchmarks.methods.prepare import command
from benchmarks.methods.several_sources_page import page
from manifests.clip_lists.written import as_csv
from manifests.files.parquet import read_table
from manifests.readers.music import read_music_synthetic
from manifests.splits import read_ids
from pipeline.media.proposals import check_proposals, selective_search
from pipeline.shards.companion import CONTEXT, PROPOSALS
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.data.beside import KINDS
from training.data.evaluation_pairs import read_pairs
from training.data.views import decode_image
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.protocols.boxes import BOXES
from training.evaluation.results import Result
from training.evaluation.scores import task_values, values_of
from training.loop.remembered import remembering
from training.methods.contract import HasClassMaps, HasSourceMaps
from training.run_folders.names import seed_of
from training.runs import LoadedRun, load_run

MIXTURES, INSTRUMENTS = "noprior_duet", "music_synthetic"
FRAMES, PAIRS = Path("collages/music/box"), Path("collages/music/pairs.csv")
SHARDS = (Path("shards"), Path("collage-shards"))
REGIONS = Path("collage-regions.json")
MAP = "audio_visual"
STORED_AS = {"waveform": CONTEXT}  # the companion that a need is read from, where it has another name


@dataclass(frozen=True)
class Collages:
    """The test collages of a work folder, and lists of sounds to ask with: one of each class, and several."""

    test_set: str
    one_sound: Path
    several_sounds: Path
    companions: frozenset[str] = field(default_factory=frozenset)  # what their shards hold beside images and sounds

    def lacking(self, run: LoadedRun) -> list[str]:
        """What a run needs beside image and sound that the collages' shards lack."""
        return sorted((run.method.needs & KINDS) - self.companions)

    def requests(self, run: LoadedRun) -> list[EvaluationRequest]:
        """None where something is lacking."""
        if self.lacking(run):
            return []
        references = self.several_sounds if _has_classes(run) else self.one_sound
        given = {"truth": FRAMES, "format": "music", "pairs": PAIRS, "shards": SHARDS, "test_set": self.test_set}
        asked = [EvaluationRequest(**given, references=references, protocols=(INSTRUMENTS,))]
        return asked + ([EvaluationRequest(**given, protocols=(BOXES,))] if run.method.gives_boxes else [])


def found_collages(plan: Mapping[str, Any]) -> Collages | None:
    """Those of the work folder, with lists of sounds written beside them; None where there are none."""
    if not FRAMES.is_dir():
        return None
    _refuse_trained()
    if plan["ingest"].get("proposals") and not ShardStore.open(SHARDS[1]).companions.has(PROPOSALS):
        _find_regions()
    sounds, named = sounds_of_classes(ShardStore.open(SHARDS[0])), _instruments()
    lists = Path("collage-sounds-one.csv"), Path("collage-sounds-several.csv")
    for path, most in zip(lists, (1, None), strict=True):
        rows = [(instrument, clip) for label, instrument in named.items() for clip in sounds[label][:most]]
        path.write_text(as_csv([("category", "clip"), *rows]))
    stored = ShardStore.open(SHARDS[1]).companions
    held = frozenset(kind for kind in KINDS if stored.has(STORED_AS.get(kind, kind)))
    return Collages(f"{plan.get('bed', 'synth')}-collages", *lists, held)


def _find_regions() -> None:
    """Search the test collages' images for regions, as `pipeline ingest --proposals` does of clips."""
    check_proposals()
    store, entries = ShardStore.open(SHARDS[1]), list[dict[str, Any]]()
    for row in np.flatnonzero(np.array(store.table["split"].to_pylist()) == "test").tolist():
        image = store.decoded(row, FRAME, decode_image).permute(1, 2, 0).numpy()
        entries.append({"file": store.keys[row], "class": "", "bbox": selective_search(image).tolist()})
    REGIONS.write_text(json.dumps(entries))
    command("pipeline", "annotate", "--proposals", REGIONS, "--shards", SHARDS[1])


def _refuse_trained() -> None:
    """No test collage may show a clip that was trained on."""
    rows = read_table(Path("collages/collages.parquet")).to_pylist()
    seen = {row["clip"] for row in rows if row["split"] == "test"} & set(read_ids(Path("train.txt")).ids)
    if seen:
        raise SystemExit(f"{len(seen)} clips of test collages are in train.txt, such as {min(seen)}. Make others.")


def _instruments() -> dict[str, str]:
    """What MUSIC's format calls each class, by the order in which a collage's heard objects are written."""
    labels: dict[str, list[str]] = {}
    for row in read_table(Path("collages/truth.parquet")).to_pylist():
        if row["sounding"]:
            labels.setdefault(row["key"], []).append(row["object_label"])
    pairs, found = read_pairs(PAIRS), dict[str, str]()
    for frame in read_music_synthetic(FRAMES).frames:
        found.update(zip(labels[pairs[frame.key][0]], frame.boxes, strict=True))
    return dict(sorted(found.items()))


def _has_classes(run: LoadedRun) -> bool:
    method: object = run.method
    return isinstance(method, HasClassMaps)


def _takes_apart(run: LoadedRun) -> bool:
    method: object = run.method
    return isinstance(method, HasSourceMaps)


def measured(run: LoadedRun, collages: Collages | None) -> list[Result]:
    """The results of a run under every protocol that it can be asked with."""
    requests = [EvaluationRequest(clips=(HEARD,), protocols=(MIXTURES,))]
    requests += collages.requests(run) if collages else []
    with remembering(run.method, SEEN):
        return [result for request in requests for result in evaluate(run, request)]


def line(entry: str, run: LoadedRun, results: Sequence[Result], lacking: Sequence[str]) -> dict[str, Any]:
    """A run's line of the figures."""
    return {
        "entry": entry,
        "run": str(run.folder),
        "seed": seed_of(run.folder.name),
        "maps_of_mixtures": "source" if _takes_apart(run) else "mixture",
        "maps_of_collages": "class" if _has_classes(run) else "sound",
        "lacking": list(lacking),
        "scores": {result.summary["protocol"]["name"]: values_of(result.summary, MAP) for result in results},
    }


def beside(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Protocol -> floors, ceiling and counts, which are equal for all runs but for noise of another number of maps."""
    kept = ("test_set", "ceiling", "n_scored", "n_expected")
    return {
        facts["protocol"]["name"]: {name: facts[name] for name in kept}
        | {"floors": {name: task_values(scores) for name, scores in facts["floors"].items()}}
        for facts in (result.summary for result in results)
    }


def main() -> None:
    figures, out = begin(__doc__, "several-sources")
    result = json.loads(figures.read_text())
    found, collages = at_chosen_temperatures(result), found_collages(result["plan"])
    head = record("benchmarks/methods/several_sources.py", ("torch", "numpy")) | {
        "chosen_temperatures": result["chosen_temperatures"],
        "not_there": sorted(result["chosen_temperatures"].keys() - found.keys()),
    }
    rows, context = list[dict[str, Any]](), dict[str, dict[str, Any]]()
    for entry, folder in ((entry, folder) for entry, folders in found.items() for folder in folders):
        run, began = load_run(folder), time.process_time()
        results = measured(run, collages)
        lacking = collages.lacking(run) if collages else []
        rows.append(line(entry, run, results, lacking))
        context = beside(results) | context
        _save(out, head | {"context": context, "rows": rows})
        print(f"{folder}: {time.process_time() - began:.0f} CPU seconds", flush=True)


def _save(out: Path, figures: Mapping[str, Any]) -> None:
    """The figures and their page, after every run."""
    write(out, figures)
    out.with_suffix(".md").write_text(page(figures, out.stem))


if __name__ == "__main__":
    main()
