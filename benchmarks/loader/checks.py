"""What it costs to hold every tar to its manifest: the training stream and single clips, with the checks and without.

    python -m benchmarks.loader.checks                       about 2 minutes
    python -m benchmarks.loader.checks --clips 64 --batch 16 --repeats 1

The clips and the stream are those of benchmarks/loader/read.py. `clip` reads image and spectrogram of every clip by
offset, in random order, and decodes them, as evaluation, embeddings and neighbours do; `bytes` does not decode. Each
pass opens the folder anew, so that the comparison of a tar's records at its first reading is counted. A percentage is
the median over turns, each of which runs a pass with and one without: what is asked is smaller than what other work on
the machine adds to a pass. Writes checks.json beside this file.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pyarrow as pa
import torch

from benchmarks.loader.read import drain, make_files
from benchmarks.measure import in_turns, record, write
from pipeline.shards.record import FRAME, SPECTROGRAM, Member
from pipeline.shards.store import ShardStore
from pipeline.shards.tars import Tars, _LocalTar
from pipeline.storage.remote import Place
from training.config import Data
from training.data.order import Streams
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader
from training.data.views import decode_image


class UncheckedTars(Tars):
    """Pieces of files, whatever they are."""

    def read(self, tar: str, name: str, member: Member) -> bytes:
        return os.pread(cast(_LocalTar, self._opened(tar))._descriptor, member.size, member.offset)


class UncheckedStore(ShardStore):
    """A store that believes its tars."""

    def __init__(self, folder: Place, index: dict[str, object], table: pa.Table) -> None:
        super().__init__(folder, index, table)
        self._tars.__class__ = UncheckedTars

    def _compare(self, shard: str) -> None: ...

    def check_streamed(self, row: int, key: str, sizes: object) -> None: ...


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        make_files(Path(scratch), options.clips)
        seconds = in_turns(contenders(Path(scratch) / "shards", options.batch), [None], options.repeats)
    ms = {name: 1000 * statistics.median(turns) / options.clips for name, (turns,) in seconds.items()}
    kinds = ("stream", "clip", "bytes")
    report = {
        **record("benchmarks/loader/checks.py", ("numpy", "pillow", "torch", "torchvision", "webdataset"),
                 options.machine),
        "clips": options.clips,
        "batch": options.batch,
        "repeats": options.repeats,
        "cpu_ms_per_clip": {name: round(each, 4) for name, each in ms.items()},
        "checks_cost_percent": {kind: round(100 * (paired(seconds, kind) - 1), 1) for kind in kinds},
    }  # fmt: skip
    write(options.out, report)
    print(json.dumps({name: report[name] for name in ("cpu_ms_per_clip", "checks_cost_percent")}, indent=2))


def paired(seconds: dict[str, list[list[float]]], kind: str) -> float:
    """How many times the time without checks a pass takes with them."""
    ((checked,), (unchecked,)) = seconds[kind], seconds[f"{kind}_unchecked"]
    return statistics.median(a / b for a, b in zip(checked, unchecked, strict=True))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="folder for up to 2 GB of files")
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def contenders(folder: Path, batch: int) -> dict[str, Callable[[None], None]]:
    """Functions that read every clip once, through a store that was just opened."""

    def stream(kind: type[ShardStore]) -> None:
        data, store = Data(shards=folder, shuffle=100), kind.open(folder)
        epoch = TrainingStream(store, data, select(store, data).mask, Streams(batch, 1, 1), 0, range(1), None)
        drain(training_loader(epoch), epoch.steps)

    def clips(kind: type[ShardStore], decoded: bool) -> None:
        store = kind.open(folder)
        for row in random.Random(0).sample(range(len(store)), len(store)):
            image, audio = store.read(row, FRAME), store.read(row, SPECTROGRAM)
            if decoded:
                decode_image(image)
                float(store.decoded(row, SPECTROGRAM, lambda content: content[-1], audio))

    found: dict[str, Callable[[None], None]] = {}
    for suffix, kind in (("", ShardStore), ("_unchecked", UncheckedStore)):
        found[f"stream{suffix}"] = lambda _, kind=kind: stream(kind)
        found[f"clip{suffix}"] = lambda _, kind=kind: clips(kind, decoded=True)
        found[f"bytes{suffix}"] = lambda _, kind=kind: clips(kind, decoded=False)
    return found


if __name__ == "__main__":
    main()
