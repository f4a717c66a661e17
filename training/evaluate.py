"""`training evaluate`: the clips of a test set through a finished run, then through the scoring that serves any maps.

Writes `evaluation/<set>.maps.npz` (raw maps, as another program could score them) and, per protocol,
`evaluation/<set>.<protocol>.{json,parquet}` into the run folder.
"""

from pathlib import Path
from typing import Any

import numpy as np

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.vggss import read_vggss
from pipeline.store import ShardStore
from training.data import Pairing
from training.evaluation.protocols import find_protocol
from training.evaluation.scoring import Result, score_maps
from training.predict import Predictions, object_prior_of, predict
from training.runs import LoadedRun


def evaluate(
    run: LoadedRun,
    truth: Path | None = None,
    test_set: str | None = None,
    protocols: tuple[str, ...] = (),
    shards: Path | None = None,
) -> list[Result]:
    """Score a run under each protocol; what is not given comes from the run's config."""
    wanted = run.config.evaluation
    chosen = [find_protocol(name) for name in protocols or wanted.protocols]
    truth = truth or wanted.truth
    if truth is None:
        raise InputError(f"run {run.folder} names no test set; give its annotations: --truth vggss.json.")
    annotated = read_vggss(truth, name=test_set or wanted.test_set)
    store = ShardStore.open(shards or run.config.data.shards)
    prior = object_prior_of(run.config, run.device)
    predictions = predict(run, store, found_pairings(store, annotated), prior)
    folder = run.folder / "evaluation"
    folder.mkdir(exist_ok=True)
    save_maps(folder / f"{annotated.name}.maps.npz", predictions, annotated)
    results = [
        score_maps(
            predictions.names,
            predictions.maps,
            annotated,
            protocol,
            object_maps=predictions.object_maps,
            alpha=wanted.object_prior.alpha if wanted.object_prior else 0.4,
            run=f"{run.folder.parent.name}/{run.folder.name}",
        )
        for protocol in chosen
    ]
    for result in results:
        result.write(folder)
    return results


def found_pairings(store: ShardStore, test_set: TestSet) -> list[Pairing]:
    """Picture and sound of every test clip the shards hold; InputError when they hold none."""
    rows = {key: row for row, key in enumerate(store.keys)}
    keys = [annotation.key for annotation in test_set.annotations if annotation.key in rows]
    if not keys:
        raise InputError(
            f"none of the {len(test_set.annotations)} clips of {test_set.source} is in {store.folder} (it holds "
            f"{len(rows)} clips, the first is {store.keys[0]!r}). Ingest the test videos into the same shards."
        )
    return [Pairing(key, rows[key], rows[key]) for key in keys]


def save_maps(path: Path, predictions: Predictions, test_set: TestSet) -> None:
    """Raw maps as `training score` reads them, with the boxes (fractions) and the row of the clip each belongs to."""
    arrays: dict[str, Any] = {"names": np.array(predictions.names), "maps": predictions.maps}
    row_of = {name: row for row, name in enumerate(predictions.names)}
    found = [annotation for annotation in test_set.annotations if annotation.key in row_of]
    boxes = [(row_of[annotation.key], box) for annotation in found for box in annotation.boxes]
    arrays["box_owner"] = np.array([owner for owner, _ in boxes], np.int64)
    arrays["boxes"] = np.array([box for _, box in boxes], np.float64).reshape(-1, 4)
    if predictions.object_maps is not None:
        arrays["object_maps"] = predictions.object_maps
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)
