"""What conceptual positives cost the training loader: samples per second of CPU time with and without them.

    python -m benchmarks.training.positives                      128 made-up clips: half a minute on one core
    python -m benchmarks.training.positives --shards shards/ --steps 40

Contenders take turns in one process, over the same clips and batches, with the readers in this process. `own` decodes
and crops every clip; `neighbours` does the same with the image of one neighbour and the sound of another, fetched
from the shards by offset; `exclusions` adds the masks of clips that are no true negatives. Lists are random ones
(`index random-knn`): drawing costs the same as from nearest neighbours, reading at least as much.
Writes positives-cpu.json beside this file.
"""

import argparse
import hashlib
import io
import json
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from benchmarks.measure import record, write
from index.embed import rows_of_split
from index.neighbours import Neighbours
from index.random_neighbours import build, request
from pipeline.media.front_ends import DEFAULT, find_front_end
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, SCHEMA_VERSION, SPECTROGRAM, Member
from pipeline.shards.store import COLUMN_OF, INDEX, MANIFEST, ShardStore
from pipeline.shards.writer import shard_name, writing_shard
from training.config import Data, load_config
from training.data.order import Streams
from training.data.positives import Positives
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader

CONTENDERS = {
    "own": frozenset(),
    "neighbours": frozenset({"neighbours"}),
    "neighbours and exclusions": frozenset({"neighbours", "exclusions"}),
}


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shards = options.shards or made_up(Path(folder, "shards"), options.clips)
        streams = contenders(ShardStore.open(shards), Path(folder, "knn-random"), options)
        rounds = [{name: seconds(stream, options) for name, stream in streams.items()} for _ in range(options.rounds)]
    rates = {name: [options.steps * options.batch / turn[name] for turn in rounds] for name in CONTENDERS}
    report = summary(rates, options)
    write(options.out or Path(__file__).with_name("positives-cpu.json"), report)
    print(json.dumps(report, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, help="a shard folder instead of made-up clips")
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--config", default="ezvsl_semantic", help="whose `data` section is used")
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3, help="batches per turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def contenders(store: ShardStore, knn: Path, options: argparse.Namespace) -> dict[str, TrainingStream]:
    """One stream per contender, over the same clips in the same order."""
    clips = store.table.take(rows_of_split(store.table, "train"))
    build(clips, request(options.k, 0, "train", store.manifest_sha256), knn, lambda _: None)
    neighbours = Neighbours.open(knn, store.manifest_sha256)
    given = {"data.workers=0", f"data.shards={store.folder}"}
    data: Data = load_config(options.config, tuple(given)).data
    streams, trained = Streams(options.batch, 1, 1), select(store, data).mask
    positives = {needs: Positives(store, neighbours, needs, store.keys) for needs in CONTENDERS.values() if needs}
    return {
        name: TrainingStream(store, data, trained, streams, 0, range(1), positives.get(needs))
        for name, needs in CONTENDERS.items()
    }


def seconds(stream: TrainingStream, options: argparse.Namespace) -> float:
    """CPU seconds of one turn."""
    stream.start(0)
    before = time.process_time()
    served = sum(1 for _ in islice(training_loader(stream), options.steps))
    assert served == options.steps, f"only {served} batches of {options.batch}: give more --clips or fewer --steps"
    return time.process_time() - before


def made_up(folder: Path, clips: int) -> Path:
    """One shard of images (455 x 256, textured) and spectrograms of real size."""
    folder.mkdir()
    random, rows = np.random.default_rng(0), []
    with writing_shard(folder / shard_name(0)) as shard:
        for number in range(clips):
            coarse = Image.fromarray(random.integers(0, 256, (16, 28, 3), dtype=np.uint8))
            audio = random.normal(-12, 2, find_front_end().shape).astype(np.float16)
            content = {FRAME: _saved(coarse.resize((455, 256))), FACTS: b"{}", SPECTROGRAM: _saved(audio)}
            rows.append(_row(f"clip{number:07d}_000000", shard.add(f"clip{number:07d}_000000", content)))
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST_SCHEMA), folder / MANIFEST)
    facts = {"schema_version": SCHEMA_VERSION, "front_end": DEFAULT, "short_side": 256}
    facts["manifest_sha256"] = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    (folder / INDEX).write_text(json.dumps(facts))
    return folder


def _saved(content: Image.Image | np.ndarray) -> bytes:
    stream = io.BytesIO()
    if isinstance(content, np.ndarray):
        np.save(stream, content)
    else:
        content.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _row(key: str, places: dict[str, Member]) -> dict[str, object]:
    row: dict[str, object] = {
        "key": key,
        "source_id": key,
        "shard": shard_name(0),
        "split": "train",
        "duration": 10.0,
        "moment": 5.0,
    }
    row |= {"width": 455, "height": 256, "flags": [], "source_path": key, "source_sha256": ""}
    for member, column in COLUMN_OF.items():
        row |= {f"{column}_offset": places[member].offset, f"{column}_size": places[member].size}
    return row


def summary(rates: dict[str, list[float]], options: argparse.Namespace) -> dict[str, object]:
    own = rates["own"]
    return {
        **record("benchmarks/training/positives.py", ("torch",), options.machine),
        "clips": "given" if options.shards else options.clips,
        "config": options.config,
        "k": options.k,
        "batch": options.batch,
        "steps": options.steps,
        "rounds": options.rounds,
        "samples_per_cpu_second": {name: round(statistics.median(turns), 1) for name, turns in rates.items()},
        "cpu_time_against_own": {
            name: round(statistics.median(a / b for a, b in zip(own, turns, strict=True)), 2)
            for name, turns in rates.items()
        },
    }


if __name__ == "__main__":
    main()
