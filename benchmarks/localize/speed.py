"""What a second of video costs `training localize`, before and now.

    python -m benchmarks.localize.speed --run RUN --video CLIP

Before: commit 2dc894f, checked out beside, which sought the sound anew for every moment, blended in red, green and blue
and encoded with the preset veryfast. Both see the same clip in turns, each time in a process of its own that has
localized the clip's first second before, so that imports do not count. RUN is one whose settings the earlier code knows
as well, for example of `training run demo.yaml compute.resident=auto`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import av

from benchmarks.measure import ROOT, in_turns, record, write

BEFORE = "2dc894f"
OUT = Path(__file__).with_name("speed.json")
OLD = """
from training.overlay.localize import localize
def work(run, video, out): localize(run, video, out)
"""
NEW = """
from training.localize.command import localize
from training.localize.options import Options
import training.localizer.model, training.overlay.video
def work(run, video, out): localize(Options(run, (video,), out))
"""
MEASURED = """
import json, resource, sys, time
from pathlib import Path
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
run, first_second, video, folder = map(Path, sys.argv[1:])
work(run, first_second, folder / "first.mp4")
begin, at = cpu(), time.monotonic()
work(run, video, folder / "overlay.mp4")
print(json.dumps({"cpu": cpu() - begin, "wall": time.monotonic() - at}))
"""


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The project as it was, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


def localized(tree: Path, script: str, run: Path, walls: list[float]) -> Callable[[Path], float]:
    """Localizes a video with the code of a tree; CPU seconds, and the wall's on the side."""

    def work(video: Path) -> float:
        with tempfile.TemporaryDirectory() as folder:
            first = first_second(video, Path(folder))
            command = [sys.executable, "-c", script + MEASURED, run.resolve(), first, video.resolve(), folder]
            said = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "PASSIVE"},
                                  check=True, stdout=subprocess.PIPE, text=True).stdout  # fmt: skip
        took = json.loads(said.splitlines()[-1])
        walls.append(took["wall"])
        return took["cpu"]

    return work


def first_second(video: Path, folder: Path) -> Path:
    """The beginning of a clip, copied."""
    short = folder / "short.mkv"
    with av.open(str(video)) as source, av.open(str(short), "w", format="matroska") as result:
        used = source.streams.video[0], source.streams.audio[0]
        streams = {each.index: result.add_stream_from_template(each) for each in used}
        for packet in source.demux(*used):
            if packet.dts is not None and packet.dts * packet.time_base < 1:
                packet.stream = streams[packet.stream_index]
                result.mux(packet)
    return short


def facts_of(video: Path) -> dict[str, object]:
    """What the clip is."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        seconds = round((container.duration or 0) / av.time_base, 2)
        return {
            "codec": stream.codec_context.name,
            "size": size,
            "rate": float(stream.average_rate or 0),
            "seconds": seconds,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared")
    given = parser.parse_args()
    walls: dict[str, list[float]] = {"before": [], "now": []}
    with checkout(BEFORE) as tree:
        contenders = {
            "before": localized(tree, OLD, given.run, walls["before"]),
            "now": localized(ROOT, NEW, given.run, walls["now"]),
        }
        taken = in_turns(contenders, [given.video], given.repeats, measured=lambda work: work())  # type: ignore[arg-type]
    clip = facts_of(given.video)
    seconds = float(str(clip["seconds"]))
    per_second = {
        name: {"cpu": round(median(cases[0]) / seconds, 3), "wall": round(median(walls[name][1:]) / seconds, 3)}
        for name, cases in taken.items()
    }
    ratios = {kind: round(per_second["before"][kind] / per_second["now"][kind], 2) for kind in ("cpu", "wall")}
    report = record("benchmarks/localize/speed.py", ("av", "torch", "numpy", "Pillow"), given.machine)
    report["command"] = "python -m benchmarks.localize.speed --run RUN --video CLIP"
    write(OUT, report | {"before": BEFORE, "clip": clip, "moments_per_second": 4.0, "repeats": given.repeats,
                         "seconds_per_video_second": per_second, "ratio": ratios})  # fmt: skip
    print(json.dumps({"clip": clip, "seconds_per_video_second": per_second, "ratio": ratios}, indent=1))


if __name__ == "__main__":
    main()
