"""What a clip costs `pipeline ingest`, against the field's way, one ffmpeg call, torchcodec and the decode floor.

    python -m benchmarks.ingest.decode                       about 10 minutes, a third of it writing the clips
    python -m benchmarks.ingest.decode --clips 4 --repeats 1
    PYTHONPATH=FOLDER python -m benchmarks.ingest.decode     with torchcodec from `pip install --no-deps --target FOLDER
                                                             torchcodec==0.11.1` (it needs the ffmpeg libraries)

Contenders take turns clip by clip, in random order, in one process with the allocator settings of ingest's decoder
processes (children get none of them); each turn begins with a clip that is not measured, as ingest decodes many in a
row. CPU time of the process and of every ffmpeg it starts, in two ways: per clip the median of the repeats, and the
least of them, which neighbours on the same processor disturb least (they only ever add); then mean and median over
clips. Half of the clips have x264's default group of images (250 frames), half 48. Every image is also compared
with that of a full decode. Writes decode.json beside this file.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np

from benchmarks.ingest import contenders
from benchmarks.ingest.corpus import corpus_files, write_missing
from benchmarks.measure import in_turns, record, write
from pipeline.jobs.decoder_client import KEEP_MEMORY, ONE_THREAD
from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.image import upright
from pipeline.shards.writer import ShardWriter, writing_shard

GOPS = (250, 48)
PACKAGES = ("av", "ffmpeg-python", "imageio-ffmpeg", "numpy", "scipy")
TARGETS = {
    "field": {"mix": 0.20}, "one_ffmpeg_call": {"mix": 0.55}, "torchcodec": {"mix": 0.80},
    "floor": {"gop250": 1.15, "gop48": 1.5},
}  # fmt: skip


def main() -> None:
    options = parse()
    as_a_decoder_process()
    files = corpus_files(options.work, options.clips, GOPS)
    with ProcessPoolExecutor(options.writers) as pool:
        list(pool.map(write_missing, files))
    with tempfile.TemporaryDirectory() as scratch, writing_shard(Path(scratch, "ours.tar")) as tar:
        runs, absent = available(tar, Path(scratch))
        seconds = in_turns(runs, files, options.repeats, in_stream=True)
    results = summarised(files, seconds, statistics.median)
    least = summarised(files, seconds, min)
    packages = [*PACKAGES, *({"torchcodec"} & runs.keys())]
    report = {
        **record("benchmarks/ingest/decode.py", packages, options.machine),
        "clips_per_gop": options.clips,
        "repeats": options.repeats,
        "kbit_per_second": {gop: round(kbit([f for f in files if group(f) == gop])) for gop in map(group, files)},
        "absent": absent,
        "cpu_ms_per_clip": results,
        "least_cpu_ms_per_clip": least,
        "ours_against": ratios(results),
        "ours_against_by_least": ratios(least),
        "targets": TARGETS,
        "bit_exact_frames": f"{sum(map(is_exact, files))} of {len(files)}",
    }
    write(options.out, report)
    shown = ("absent", "ours_against", "ours_against_by_least", "bit_exact_frames")
    print(json.dumps({name: report[name] for name in shown}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16, help="per group-of-images size")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--writers", type=int, default=len(os.sched_getaffinity(0)), help="processes that write clips")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "ingest-benchmark-clips"))
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def as_a_decoder_process() -> None:
    """Start again with the environment that `pipeline.jobs.decoder_client` gives its children; the allocator reads it
    once.
    """
    wanted = ONE_THREAD | KEEP_MEMORY
    if not wanted.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)
    for name in KEEP_MEMORY:
        del os.environ[name]


def available(tar: ShardWriter, scratch: Path) -> tuple[dict[str, Callable[[Path], None]], dict[str, str]]:
    """Contenders by name, and why others are missing."""
    other = tarfile.open(scratch / "other.tar", "w")  # noqa: SIM115  # ends with the process
    runs = {
        "ours": contenders.ours(tar),
        "one_ffmpeg_call": contenders.one_ffmpeg_call(other, scratch / "sound.f32"),
        "floor": contenders.floor(probing=True),
        "floor_without_probing": contenders.floor(probing=False),
    }
    absent = {}
    if shutil.which("ffprobe") and shutil.which("ffmpeg"):
        runs["field"] = contenders.field(other)
    else:
        absent["field"] = "ffmpeg and ffprobe are not on PATH: apt-get install ffmpeg"
    try:
        runs["torchcodec"] = contenders.torchcodec()
    except (ImportError, OSError, RuntimeError) as error:
        absent["torchcodec"] = str(error).splitlines()[0]
    return runs, absent


def group(path: Path) -> str:
    return path.name.split("-")[0]


def kbit(files: list[Path]) -> float:
    return statistics.median(path.stat().st_size * 8 / 10_000 for path in files)


def summarised(
    files: list[Path], seconds: dict[str, list[list[float]]], of_repeats: Callable[[list[float]], float]
) -> dict[str, dict[str, dict[str, float]]]:
    """By contender, the figures of one number per clip."""
    return {name: figures(files, [of_repeats(turns) for turns in per]) for name, per in seconds.items()}


def figures(files: list[Path], seconds: list[float]) -> dict[str, dict[str, float]]:
    """Mean and median CPU milliseconds, by group of images and over all."""
    parts = {name: [s for f, s in zip(files, seconds, strict=True) if group(f) == name] for name in map(group, files)}
    return {
        name: {"mean": round(1000 * statistics.mean(part), 2), "median": round(1000 * statistics.median(part), 2)}
        for name, part in (parts | {"mix": seconds}).items()
    }


def ratios(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Mean cost of ours over that of each other."""
    mine = results["ours"]
    return {
        name: {part: round(mine[part]["mean"] / other[part]["mean"], 3) for part in mine}
        for name, other in results.items()
        if name != "ours"
    }


def is_exact(path: Path) -> bool:
    """Whether our image is, bit for bit, the one a decode of all frames shows at the moment."""
    mine = decode_clip(path, DecodeOptions(moment=contenders.MOMENT, short_side=0)).frame
    with av.open(str(path)) as container:
        shown = None
        for frame in container.decode(video=0):
            if frame.time > contenders.MOMENT:
                break
            shown = frame
        return shown is not None and np.array_equal(mine, upright(shown, None, 0)[0])


if __name__ == "__main__":
    main()
