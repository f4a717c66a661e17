"""The clips that collages are made of: of a corpus that `pipeline synth` or `compose` made, or of shards."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from manifests.errors import InputError
from manifests.files.given import has_file, read_bytes, understood
from manifests.keys import safe_key
from pipeline.compose.stored_solos import (
    BOX,
    PARTS,
    SAMPLES,
    SPLITS,
    Solos,
    find_stored,
    is_shards,
    keys_listed,
    read_stored,
)
from pipeline.media.reader import MediaFile
from pipeline.media.still import AudioFile
from pipeline.shards.codecs import decode_image
from pipeline.storage.files import read_table
from pipeline.synth.audio import SAMPLE_RATE
from pipeline.synth.formats import World
from pipeline.synth.scene import SECONDS
from pipeline.synth.truth import TRUTH_SCHEMA, Row

REMEDY = "Make the corpus of solos again."


def find_solos(src: Path, lists: Sequence[Path] = ()) -> Solos:
    """By split and class the clips, of those that `lists` name, in which one object is seen and heard and there is no
    other; of shards as `find_stored` has it. InputError when a split has fewer than four classes of them, or the table
    says what none of a made corpus does, or a list names a clip that is not there."""
    if is_shards(src):
        return find_stored(src, lists)
    table = src / "truth.parquet"
    if not has_file(table):
        raise InputError(
            f"--src {src} holds no truth.parquet and no index.json. Give a folder that pipeline synth or compose made, "
            "or shards of videos with one labelled object each."
        )
    with understood(table, "is damaged", REMEDY):
        rows = read_table(table, TRUTH_SCHEMA).to_pylist()
    if not any(row["sounding"] for row in rows):  # annotations beside shards have the same name
        raise InputError(f"{table} names no object that sounds. Give a folder that pipeline synth or compose made.")
    if fault := next(filter(None, map(_fault, rows)), None):
        raise InputError(f"{table} is damaged: {fault}. {REMEDY}")
    clips: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        clips[row["key"]].append(row)
    listed = keys_listed(lists, src, clips) if lists else clips
    solos = (rows[0] for key, rows in clips.items() if len(rows) == 1 and key in listed)
    alone = [row for row in solos if row["sounding"] and row["on_screen"]]
    instruments = World(sorted({row["object_label"] for row in alone})).instruments
    found: dict[str, dict[str, list[Row]]] = {split: defaultdict(list) for split in SPLITS}
    for row in alone:
        if len(instruments) < PARTS or row["object_label"] in instruments:
            found[row["split"]][row["object_label"]].append(row)
    few = next((split for split, classes in found.items() if len(classes) < PARTS), None)
    if few:
        raise InputError(
            f"--src {src} has clips of one object alone of {len(found[few])} classes in its {few} split, and a collage "
            f"needs {PARTS}. Make a larger corpus, or one with fewer distractors{', or list more clips' * bool(lists)}."
        )
    return found


def _fault(row: Row) -> str | None:
    """What no table of a made corpus says of an object; None where all is well. Keys become names of files."""
    of_clip, label, box = f"of the clip {row['key']!r}", row["object_label"], [row[name] for name in BOX]
    if not row["key"] or safe_key(row["key"]) != row["key"]:
        return f"it names a clip {row['key']!r}, as no file is called"
    if row["split"] not in SPLITS:
        return f"the split {of_clip} is {row['split']!r}, which is neither {' nor '.join(SPLITS)}"
    if not label or row["sounding"] is None or row["on_screen"] is None:
        return f"an object {of_clip} has no label, or nothing says whether it is seen and heard"
    if not (row["moment"] is not None and 0 <= row["moment"] < math.inf):
        return f"the moment {of_clip} is {row['moment']}, which is no second of it"
    if row["on_screen"] and not _is_box(box):
        return f"the box of {label!r} {of_clip} is {box}, which is no part of a frame (shares from 0 to 1)"
    return None


def _is_box(box: Sequence[float | None]) -> bool:
    shares = [share for share in box if share is not None and 0 <= share <= 1]  # NaN is not
    return len(shares) == len(BOX) and shares[0] < shares[2] and shares[1] < shares[3]


def read_clip(src: Path, row: Row, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The frame at a clip's moment, uint8 (H, W, 3), and its sound, float32 (SAMPLES,), `shift` seconds earlier."""
    if is_shards(src):
        return read_stored(src, row, shift)
    video = src / "video" / f"{row['key']}.mp4"
    if has_file(video):
        with understood(video, remedy=REMEDY), MediaFile(video) as media:
            return media.frame_at(row["moment"]).pixels, media.audio_between(shift, SAMPLE_RATE, SAMPLES).samples
    image = src / "frames" / f"{row['key']}.jpg"
    with understood(image, remedy=REMEDY):
        frame = decode_image(read_bytes(image))
    audio = src / "audio" / f"{row['key']}.wav"
    with understood(audio, remedy=REMEDY), AudioFile(audio) as media:
        media.check_reaches(SECONDS)
        return frame, media.audio_between(shift, SAMPLE_RATE, SAMPLES).samples
