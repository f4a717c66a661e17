"""Embeddings of a run's training clips, for mining neighbours with the model itself (HardPos does)."""

from pathlib import Path

from index.embeddings import write_embeddings
from pipeline.store import ShardStore
from training.data import Pairing, selected_rows
from training.overlaps import find_tests
from training.predict import predict
from training.runs import LoadedRun


def embed(run: LoadedRun, store: ShardStore, out: Path) -> int:
    """Write `embeddings/`: picture and sound of every training clip, never of a test clip; returns the count."""
    rows = selected_rows(store, run.config.data, find_tests(run.config).banned).nonzero()[0].tolist()
    predictions = predict(run, store, [Pairing(store.keys[row], row, row) for row in rows])
    write_embeddings(
        out,
        image=predictions.image_embeddings,
        audio=predictions.audio_embeddings,
        keys=store.table.take(rows),
        encoder=f"run {run.folder.parent.name}/{run.folder.name}",
        manifest_sha256=store.manifest_sha256,
        front_end=store.front_end,
        split=run.config.data.split,
    )
    return len(rows)
