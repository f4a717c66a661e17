"""All that a made corpus says of its clips, from their truth rows: lists, negatives, truth table, formats of others."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from pipeline.storage.files import write_whole
from pipeline.synth import lists
from pipeline.synth.folder import Counts
from pipeline.synth.formats import World, write_formats
from pipeline.synth.truth import Row, write_truth


def write_annotations(out: Path, truth: Sequence[list[Row]], seed: int, world: World) -> tuple[Counts, dict[str, str]]:
    """Write them all; returns what was counted, and the SHA-256 of the lists by name."""
    clips = [lists.clip_of(rows) for rows in truth]
    pairs = lists.negatives(clips, seed)
    texts = {
        "vggsound.csv": lists.vggsound_csv(clips),
        "vggss.json": lists.vggss_json(clips),
        "vggss_test_plus_silent.csv": lists.extended_csv(list(chain.from_iterable(pairs.values()))),
    }
    for name, text in texts.items():
        write_whole(out / name, text.encode())
    write_truth(out / "truth.parquet", chain.from_iterable(truth))
    counts = _counts(truth, clips, len(world.labels))
    counts |= {f"{kind} negatives": len(rows) for kind, rows in pairs.items()}
    counts |= write_formats(out, truth, world)
    return counts, {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def _counts(truth: Sequence[list[Row]], clips: Sequence[lists.Clip], classes: int) -> Counts:
    silent = sum(any(row["on_screen"] and not row["sounding"] for row in rows) for rows in truth)
    several = sum(sum(row["sounding"] for row in rows) > 1 for rows in truth)
    return {
        "clips": len(clips),
        "classes": classes,
        "train": sum(clip.split == "train" for clip in clips),
        "test": sum(clip.split == "test" for clip in clips),
        "test with boxes": sum(clip.split == "test" and clip.positive for clip in clips),
        "off-screen sound": sum(rows[0]["kind"] == "off_screen" for rows in truth),
        "no sound": sum(rows[0]["kind"] == "silent" for rows in truth),
        "with silent objects": silent,
        "with several sources": several,
    }
