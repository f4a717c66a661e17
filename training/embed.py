"""Embeddings of a run's training clips, for mining neighbours with the model itself (HardPos does)."""

from pathlib import Path

from index.arrays import EMBEDDINGS, check_replaceable, differences
from index.embeddings import write_embeddings
from manifests.splits import read_ids
from manifests.views import VIEWS
from pipeline.shards.store import ShardStore
from training.data.selection import select
from training.data.stream import EvaluationPair
from training.leakage import TRAINING_CLIPS, find_tests, own_truth
from training.predict import predict
from training.runs import LoadedRun


def embed(run: LoadedRun, store: ShardStore, out: Path) -> tuple[int, bool]:
    """Write `embeddings/`: image and audio of every training clip, never of a test clip.

    Returns the number of clips, and False when `out` already holds these embeddings.
    """
    view = run.config.evaluation.view
    facts = {
        "encoder": f"run {run.folder.parent.name}/{run.folder.name}" + (f", {view}" if view != VIEWS[0] else ""),
        "manifest_sha256": store.manifest_sha256,
        "front_end": store.front_end,
        "split": run.config.data.train_list or run.config.data.split,
    }
    check_replaceable(out, EMBEDDINGS, {"RUN": run.folder, "--shards": run.config.data.shards})
    rows = _rows(run, store)
    if differences(out, facts, [store.keys[row] for row in rows]) == []:
        return len(rows), False
    predictions = predict(run, store, [EvaluationPair(store.keys[row], row, row) for row in rows])
    image, audio = predictions.image_embeddings, predictions.audio_embeddings
    write_embeddings(out, image=image, audio=audio, keys=store.table.take(rows), **facts)
    return len(rows), True


def _rows(run: LoadedRun, store: ShardStore) -> list[int]:
    """The clips the run trained on; in other shards than its own, those it would train on."""
    named = run.folder / TRAINING_CLIPS
    if named.is_file() and store.manifest_sha256 == run.manifest_sha256:
        return [store.row_of(key) for key in read_ids(named).ids]
    tests = find_tests(run.config, own_truth(run.config)).known_as(store.keys)
    return select(store, run.config.data, tests.banned).mask.nonzero()[0].tolist()
