"""Embeddings of a run's training clips, for mining neighbours with the model itself (HardPos does)."""

from pathlib import Path

import numpy as np

from index.arrays import EMBEDDINGS, check_replaceable, differences
from index.embeddings import write_embeddings
from manifests.views import VIEWS
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair
from training.data.selection import select
from training.leakage import find_tests, own_truth
from training.predict import pooled_under_maps, predict
from training.runs import LoadedRun
from training.trained_on import seen_by


def embed(run: LoadedRun, store: ShardStore, out: Path, under_map: bool = False) -> tuple[int, bool]:
    """Write `embeddings/`: image and audio of every training clip, never of a test clip.

    `under_map`: an image's vector is made of its cells, weighted by its map, in place of the method's own. Returns the
    number of clips, and False when `out` already holds these embeddings.
    """
    view = run.config.evaluation.view
    said = [each for each, given in ((view, view != VIEWS[0]), ("under its map", under_map)) if given]
    facts = {
        "encoder": ", ".join([f"run {run.folder.parent.name}/{run.folder.name}", *said]),
        "manifest_sha256": store.manifest_sha256,
        "front_end": store.front_end,
        "split": run.config.data.train_list or run.config.data.split,
    }
    check_replaceable(out, EMBEDDINGS, {"RUN": run.folder, "--shards": run.config.data.shards})
    rows = _rows(run, store)
    if differences(out, facts, [store.keys[row] for row in rows]) == []:
        return len(rows), False
    pairs = [EvaluationPair(store.keys[row], row, row) for row in rows]
    image, audio = pooled_under_maps(run, store, pairs) if under_map else _own(run, store, pairs)
    write_embeddings(out, image=image, audio=audio, keys=store.table.take(rows), **facts)
    return len(rows), True


def _own(run: LoadedRun, store: ShardStore, pairs: list[EvaluationPair]) -> tuple[np.ndarray, np.ndarray]:
    predictions = predict(run, store, pairs)
    return predictions.image_embeddings, predictions.audio_embeddings


def _rows(run: LoadedRun, store: ShardStore) -> list[int]:
    """The clips the run trained on; in other shards than its own, those it would train on. Says what is not known."""
    seen = seen_by(run.folder)
    print(*seen.said(), sep="\n", end="\n" if seen.unknown else "", flush=True)
    if seen.clips and store.manifest_sha256 == run.manifest_sha256:
        return [store.row_of(key) for key in seen.clips]
    tests = find_tests(run.config, own_truth(run.config)).known_as(store.keys)
    return select(store, run.config.data, tests.banned).mask.nonzero()[0].tolist()
