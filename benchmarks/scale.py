"""What a corpus of any size takes: arithmetic from the measured figures, with the prices it assumes.

    python -m benchmarks.scale                 writes scale.json beside this file and prints its table: 20 s

Ingest, search and training are taken from the JSON files beside this script; the memory of an opened shard folder is
measured here, on a manifest of made rows. Everything else is a multiplication, named where it is made.
`docs/cluster.md` quotes the result.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow as pa

from benchmarks.measure import ROOT, record, write
from pipeline.shards.record import MANIFEST_SCHEMA, SCHEMA_VERSION
from pipeline.shards.store import ShardStore

CORPORA = {"VGGSound": 200_000, "a million hours": 360_000_000}  # clips of 10 s
PRICES = {"core_hour": 0.04, "gpu_hour": 3.0, "gigabyte_month": 0.023}  # dollars: assumptions, of no one's list
CORES, GPUS, EPOCHS, K = 256, 64, 20, 1000  # a cluster to divide hours by
CLIPS_OF_A_GPU = 140_000  # that stay in the memory of one of 80 GB, in steps of bfloat16
SHARD_BYTES = 191_000  # a clip: a frame of 256 pixels and a spectrogram, most of it the latter's 154,328
ROWS = 300_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    measured = figures()
    table = {name: needs(clips, measured) for name, clips in CORPORA.items()}
    report = record("benchmarks/scale.py", ["pyarrow"]) | {
        "measured": measured, "assumed": {"prices": PRICES, "epochs": EPOCHS, "shard_bytes_a_clip": SHARD_BYTES},
        "cluster": {"cores": CORES, "gpus": GPUS}, "needs": table,
    }  # fmt: skip
    write(options.out, report)
    print(json.dumps(table, indent=2))


def figures() -> dict[str, float]:
    """What one clip costs, or a pair of clips."""
    ingest, decode = (_read(f"ingest/{name}.json") for name in ("shards", "decode"))
    search, gpu = _read("index/knn-144000.json"), _read("gpu/h200-1.json")["parts"]["neighbours"]
    checks = [_read(f"gpu/{name}.json")["parts"]["speed"]["rates"] for name in ("h100-1", "h100-2", "h200-1")]
    resident, streamed = (
        min(rates[feed]["samples_per_second"] for rates in checks if feed in rates) for feed in ("resident", "streamed")
    )
    bits = sum(decode["kbit_per_second"].values()) / len(decode["kbit_per_second"])
    return {
        "ingest_core_seconds_a_clip": ingest["cpu"]["2 workers"]["ms_per_clip"] / 1000,
        "video_megabytes_a_clip": bits * 10 / 8 / 1000,
        "exact_search_core_seconds_a_pair": search["results"]["faiss-cpu"]["cpu_s"] / search["clips"] ** 2,
        "exact_search_gpu_seconds_a_pair": gpu["torch_gpu"]["seconds"] / gpu["vectors"] ** 2,
        "training_samples_a_gpu_second": resident,  # the slowest of what was measured, as of streaming
        "streamed_samples_a_gpu_second": streamed,
        **manifest_costs(),
    }


def manifest_costs() -> dict[str, float]:
    """Memory of an opened folder and CPU seconds to open one, by row: every training process has it."""
    with tempfile.TemporaryDirectory() as folder:
        rows = {field.name: made(field, ROWS) for field in MANIFEST_SCHEMA}
        table = pa.table(rows, schema=MANIFEST_SCHEMA)
        index: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "front_end": "",
            "short_side": 256,
            "manifest_sha256": "",
        }
        before, began = psutil.Process().memory_info().rss, time.process_time()
        store = ShardStore(Path(folder), index, table)
        store.row_of("clip000000001_000030")
        seconds, grown = time.process_time() - began, psutil.Process().memory_info().rss - before
    return {"manifest_bytes_a_clip": (grown + table.nbytes) / ROWS, "manifest_seconds_a_clip": seconds / ROWS}


def made(field: pa.Field, rows: int) -> pa.Array:
    """A column of made values: keys and shards as ingest names them, offsets that grow, and nothing elsewhere."""
    if field.name == "key":
        return pa.array([f"clip{row:09d}_000030" for row in range(rows)])
    if field.name == "shard":
        return pa.array([f"shard-{row // 1000:06d}.tar" for row in range(rows)])
    if field.name.endswith(("_offset", "_size")):
        return pa.array([row % 1000 * SHARD_BYTES for row in range(rows)], field.type)
    return pa.nulls(rows, field.type)


def needs(clips: int, one: dict[str, float]) -> dict[str, dict[str, float]]:
    """By stage: work, time on the cluster, what moves and what lies, and what it costs."""
    ingest = clips * one["ingest_core_seconds_a_clip"] / 3600
    search = clips**2 * one["exact_search_core_seconds_a_pair"] / 3600
    on_gpu = clips**2 * one["exact_search_gpu_seconds_a_pair"] / 3600
    approximate = search * approximate_search(clips)
    fits = clips <= CLIPS_OF_A_GPU * GPUS
    pace = one["training_samples_a_gpu_second" if fits else "streamed_samples_a_gpu_second"]
    training = clips * EPOCHS / pace / 3600
    terabytes = clips * SHARD_BYTES / 1e12
    rate = CORES / one["ingest_core_seconds_a_clip"]
    return {
        "ingest": _rounded(
            core_hours=ingest, hours=ingest / CORES, dollars=ingest * PRICES["core_hour"],
            video_terabytes=clips * one["video_megabytes_a_clip"] / 1e6,
            video_gigabytes_a_second=rate * one["video_megabytes_a_clip"] / 1e3,
        ),
        "shards": _rounded(terabytes=terabytes, dollars_a_month=terabytes * 1e3 * PRICES["gigabyte_month"]),
        "manifest": _rounded(
            gigabytes_a_process=clips * one["manifest_bytes_a_clip"] / 1e9,
            seconds_to_open=clips * one["manifest_seconds_a_clip"],
        ),
        "exact search": _rounded(
            core_hours=2 * search, gpu_hours=2 * on_gpu, gpu_hours_each=2 * on_gpu / GPUS,
            dollars_on_gpus=2 * on_gpu * PRICES["gpu_hour"], list_terabytes=2 * clips * K * 4 / 1e12,
        ),
        "approximate search": _rounded(
            core_hours=2 * approximate, hours=2 * approximate / CORES, dollars=2 * approximate * PRICES["core_hour"],
        ),
        "training": _rounded(
            gpu_hours=training, hours=training / GPUS, dollars=training * PRICES["gpu_hour"],
            gigabytes_a_second_a_gpu=pace * SHARD_BYTES / 1e9,
        ),
    }  # fmt: skip


def approximate_search(clips: int) -> float:
    """Its share of exact search's time, of the largest corpus measured that is no larger; of a larger one it falls."""
    rows = [row for row in _read("index/approximate.json")["standing_for"] if row["clips"] <= clips]
    return rows[-1]["approximate_against_exact"]


def _rounded(**values: float) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in values.items()}


def _read(path: str) -> dict:
    return json.loads((ROOT / "benchmarks" / path).read_text())


if __name__ == "__main__":
    main()
