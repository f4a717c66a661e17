"""What Dask, the wall around the decoder and the tar add to a clip's cost: `ingest_shards` against the bare function.

    python -m benchmarks.ingest.shards                       about 4 minutes; clips are those of decode.py
    python -m benchmarks.ingest.shards --clips 2 --small 8 --large 24 --repeats 1

Each case is a process of its own, run at two sizes of corpus (links to the same files): the slope is the CPU time per
clip, what is left at zero clips the start-up, given apart. `bare` calls the per-clip function in one process and drops
what it returns; `1 worker` and `2 workers` are a local cluster as `pipeline ingest` starts it: scheduler, workers,
decoder processes, journals, tars, hashes and manifest rows included. Decoders are ended before times are read, because
the kernel counts only children that somebody has waited for. Writes shards.json beside this file.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.ingest.contenders import MOMENT, SHORT_SIDE, clip_of
from benchmarks.ingest.corpus import corpus_files, write_missing
from benchmarks.ingest.decode import GOPS
from benchmarks.measure import in_turns, record, write
from pipeline.ingest import IngestRequest, prepare
from pipeline.jobs.cluster import connected, run_all
from pipeline.jobs.decoder_client import KEEP_MEMORY, ONE_THREAD, shared_decoder
from pipeline.jobs.decoder_process import RecordMaker
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.shard_job import ingest_shards

OPTIONS = IngestOptions(short_side=SHORT_SIDE, moment=MOMENT)
CASES = {"bare": 0, "1 worker": 1, "2 workers": 2}
TIMEOUT, TARGET = 60.0, 1.10


def main() -> None:
    options = parse()
    if options.child:
        child(options.child, options.source)
        return
    clips = corpus_files(options.work, options.clips, GOPS)
    for path in clips:
        write_missing(path)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        sources = {count: linked(Path(folder), clips, count) for count in (options.small, options.large)}
        runs = {name: lambda source, name=name: start(name, source) for name in CASES}
        seconds = in_turns(runs, sources.values(), options.repeats)
    small, large = options.small, options.large
    medians = {name: [statistics.median(turns) for turns in of] for name, of in seconds.items()}
    results = {name: line(few, many, small, large) for name, (few, many) in medians.items()}
    bare = results["bare"]["ms_per_clip"]
    report = {
        **record("benchmarks/ingest/shards.py", ("av", "dask", "distributed", "numpy"), options.machine),
        "clips": [small, large],
        "repeats": options.repeats,
        "cpu": results,
        "against_bare": {name: round(result["ms_per_clip"] / bare, 3) for name, result in results.items()},
        "target": TARGET,
    }
    write(options.out, report)
    print(json.dumps({name: report[name] for name in ("cpu", "against_bare")}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16, help="files per group-of-images size")
    parser.add_argument("--small", type=int, default=64, help="links in the smaller corpus")
    parser.add_argument("--large", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "ingest-benchmark-clips"))
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def linked(folder: Path, clips: list[Path], count: int) -> Path:
    """A folder of `count` names for the same few files."""
    source = folder / f"clips-{count}"
    source.mkdir()
    for number in range(count):
        os.link(clips[number % len(clips)], source / f"clip{number:05d}.mp4")
    return source


def start(case: str, source: Path) -> None:
    """One case in a fresh process, with a decoder's environment where the process itself decodes."""
    environment = os.environ | (ONE_THREAD | KEEP_MEMORY if case == "bare" else {})
    command = [sys.executable, __file__, "--child", case, "--source", str(source)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def child(case: str, source: Path) -> None:
    workers = CASES[case]
    if workers:
        with tempfile.TemporaryDirectory() as out:
            ingest(source, Path(out), workers)
        return
    maker = RecordMaker(OPTIONS)
    for path in sorted(source.iterdir()):
        maker.make(clip_of(path))


def ingest(source: Path, out: Path, workers: int) -> None:
    """The part of `pipeline ingest` that grows with the corpus, and an end of all decoders."""
    two_shards = replace(OPTIONS, shard_clips=-(-len(list(source.iterdir())) // 2))
    plan, _ = prepare(IngestRequest((source,), out, two_shards, workers=workers))
    with connected(None, workers) as client:
        jobs = [(out, task.start, task.stop, TIMEOUT) for task in plan.tasks]
        records = sum(summary.records for summary in run_all(client, ingest_shards, jobs))
        client.run(end_decoder, two_shards)
    assert records == plan.clips, f"{records} records of {plan.clips} clips"


def end_decoder(options: IngestOptions) -> None:
    shared_decoder(options).close()


def line(small_seconds: float, large_seconds: float, small: int, large: int) -> dict[str, float]:
    """Slope and intercept through the two sizes."""
    slope = (large_seconds - small_seconds) / (large - small)
    return {"ms_per_clip": round(1000 * slope, 2), "start_up_s": round(small_seconds - slope * small, 2)}


if __name__ == "__main__":
    main()
