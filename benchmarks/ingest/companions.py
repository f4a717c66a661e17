"""What each companion costs a clip: CPU time of making it beside the record, and bytes on disk.

    python -m benchmarks.ingest.companions VIDEOS

VIDEOS is a folder of videos; benchmarks/ingest/companions.json was made of the real VGGSound clips that tests use.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

from benchmarks.measure import ROOT, in_turns, record, write
from pipeline.flow import flow_of
from pipeline.jobs.decoder_messages import ClipToDecode
from pipeline.jobs.decoder_process import RecordMaker
from pipeline.jobs.options import IngestOptions
from pipeline.shards.codecs import decode_image, encode_npy
from pipeline.shards.companion import Wanted, kind_of
from pipeline.shards.companion_store import Burst

REPEATS = 3
WANTED = {
    "record alone": Wanted(),
    "--audio context": Wanted(audio_rate=16000, audio_seconds=10.0),
    "--frames 10": Wanted(frames=10),
    "--burst 2": Wanted(burst=2, burst_rate=25.0),
    "--burst 9": Wanted(burst=9, burst_rate=25.0),  # what avobject.yaml asks for
    "--burst 25": Wanted(burst=25, burst_rate=25.0),
    "--proposals": Wanted(proposals=True),
}


def main() -> None:
    clips = sorted(parse().videos.glob("*.mp4"))
    makers = {name: RecordMaker(IngestOptions(companions=wanted)) for name, wanted in WANTED.items()}
    work: dict[str, Callable[[Path], object]] = {name: _making(maker) for name, maker in makers.items()}
    bursts = {clip: _burst(makers["--burst 2"], clip) for clip in clips}
    work["annotate --flow"] = lambda clip: flow_of(bursts[clip])
    taken = in_turns(work, clips, REPEATS)
    seconds = {name: mean(median(of_clip) for of_clip in own) for name, own in taken.items()}
    alone = seconds.pop("record alone")
    sizes = {name: mean(_size(maker, clip) for clip in clips) for name, maker in makers.items()}
    sizes["annotate --flow"] = mean(len(encode_npy(flow_of(burst))) for burst in bursts.values())
    record_size = mean(_own_size(makers["record alone"], clip) for clip in clips)
    costs = {
        name: {
            "milliseconds": round(1e3 * (each if name == "annotate --flow" else each - alone), 1),
            "kilobytes": round(sizes[name] / 1e3, 1),
        }
        for name, each in seconds.items()
    }
    facts = record("benchmarks/ingest/companions.py", ("av", "opencv-contrib-python-headless", "numpy"))
    facts |= {
        "clips": len(clips),
        "record": {"milliseconds": round(1e3 * alone, 1), "kilobytes": round(record_size / 1e3, 1)},
    }
    write(ROOT / "benchmarks/ingest/companions.json", facts | {"added": costs})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, help="folder of .mp4 files")
    options = parser.parse_args()
    if not any(options.videos.glob("*.mp4")):
        parser.error(f"{options.videos} holds no .mp4 file")
    return options


def clip_of(path: Path) -> ClipToDecode:
    return ClipToDecode(str(path), path.stat().st_size, "annotated")


def _making(maker: RecordMaker) -> Callable[[Path], object]:
    return lambda clip: maker.make(clip_of(clip))


def _size(maker: RecordMaker, clip: Path) -> int:
    return sum(len(content) for name, content in maker.make(clip_of(clip)).members.items() if kind_of(name))


def _own_size(maker: RecordMaker, clip: Path) -> int:
    return sum(len(content) for content in maker.make(clip_of(clip)).members.values())


def _burst(maker: RecordMaker, clip: Path) -> Burst:
    members = maker.make(clip_of(clip)).members
    images = [decode_image(content) for name, content in members.items() if name.startswith("burst") and "jpg" in name]
    return Burst(images, [0.0, 0.04], 0)


if __name__ == "__main__":
    main()
