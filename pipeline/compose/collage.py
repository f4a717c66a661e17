"""`pipeline collage`: four clips of a made corpus in one image, two of them heard, as MUSIC-Synthetic and DSOL have it.

Each collage shows the frames of four solo clips of different classes in a grid of two by two; the sounds of two of them
are mixed, one a little quieter; the other two are seen and silent. The boxes of the two that sound are the truth. Where
four of MUSIC's instruments are among the classes, only they are used, so that music/box holds every test collage.
Training collages are made of training clips, test collages of test clips.

    frames/<key>.jpg, audio/<key>.wav, vggsound.csv  to ingest
    music/box/<k>.npy, music/pairs.csv               MUSIC-Synthetic; vggss.json and the other formats beside it
    collages.parquet                                 the four clips of each, where they are, which are heard, how loud
    options.json, corpus.json                        what was asked for; what was made, written last
"""

import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from manifests.errors import InputError
from manifests.given_files import read_bytes, understood
from manifests.keys import safe_key
from manifests.splits import read_ids
from manifests.whole_files import write_if_other
from pipeline.compose.corpus import encode_wav
from pipeline.console import summary
from pipeline.media.reader import MediaFile
from pipeline.media.still import AudioFile
from pipeline.shards.codecs import decode_image, encode_jpeg
from pipeline.storage.files import read_table, replacing
from pipeline.synth.annotations import write_annotations
from pipeline.synth.audio import SAMPLE_RATE
from pipeline.synth.folder import (
    CORPUS,
    Counts,
    check_workers,
    claim,
    processes,
    remove_unfinished,
    write_description,
    writing,
)
from pipeline.synth.formats import World
from pipeline.synth.scene import SECONDS, TEST_EVERY, draw_source_id
from pipeline.synth.truth import TRUTH_SCHEMA, Row

VERSION = 1
REMEDY = "Make the corpus of solos again."
QUARTER = (112, 112)  # pixels, width and height
PARTS, HEARD = 4, 2
SPLITS, BOX = ("train", "test"), ("x1", "y1", "x2", "y2")
QUIETER = (0.5, 1.0)  # of the second sound, beside the first
SAMPLES = round(SECONDS * SAMPLE_RATE)
_COLLAGE = 137  # last word of seeds
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("quarter", pa.int32()),  # 0 left top, 1 right top, 2 left bottom, 3 right bottom
        ("clip", pa.string()),
        ("label", pa.string()),
        ("gain", pa.float64()),  # 0: it is not heard
    ]
)


@dataclass(frozen=True)
class Collage:
    """`solos`: the truth rows of the four clips by quarter; `gains`: of their sounds, 0 of those that are not heard."""

    key: str
    split: str
    solos: tuple[Row, ...]
    gains: tuple[float, ...]


def write_collages(
    src: Path, out: Path, clips: int, seed: int, workers: int | None = None, lists: Sequence[Path] = ()
) -> Counts:
    """Make the corpus, or what is missing of it, of one that `pipeline synth` or `compose` made; returns its counts.

    lists: of the clips that collages may be made of; without any, all.
    Raises InputError when `src` has too few clips of one object, or the folder holds something else.
    """
    if clips < 1 or seed < 0:
        raise InputError(f"--clips {clips} --seed {seed}: give at least one clip, and a seed from 0 on.")
    check_workers(workers)
    solos = find_solos(src, lists)
    options: dict[str, object] = {"version": VERSION, "clips": clips, "seed": seed, "of": _digest(src, solos)}
    with writing(out):
        if finished := claim(out, options, "collage"):
            print(f"{out} already holds these {clips} collages; nothing to do")
            return finished
        folders = [out / "frames", out / "audio"]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        remove_unfinished(out, *folders)
        collages = [draw_collage(solos, seed, index) for index in range(clips)]
        with processes(min(workers or os.cpu_count() or 1, clips)) as at_work:
            make = partial(make_collage, src, out, collages)
            truth = list(at_work.shown("collages", make, range(clips), "clips"))
        counts = _describe(out, options, collages, truth)
    summary(f"collages {out}", counts)
    return counts


def find_solos(src: Path, lists: Sequence[Path] = ()) -> dict[str, dict[str, list[Row]]]:
    """By split and class the clips, of those that `lists` name, in which one object is seen and heard and there is no
    other. InputError when a split has fewer than four classes of them, or the table says what none of a made corpus
    does, or a list names a clip that is not there."""
    table = src / "truth.parquet"
    if not table.is_file():
        raise InputError(f"--src {src} holds no truth.parquet. Give a folder that pipeline synth or compose made.")
    with understood(table, "is damaged", REMEDY):
        rows = read_table(table, TRUTH_SCHEMA).to_pylist()
    if not any(row["sounding"] for row in rows):  # annotations beside shards have the same name
        raise InputError(f"{table} names no object that sounds. Give a folder that pipeline synth or compose made.")
    if fault := next(filter(None, map(_fault, rows)), None):
        raise InputError(f"{table} is damaged: {fault}. {REMEDY}")
    clips: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        clips[row["key"]].append(row)
    listed = _listed(lists, src, clips) if lists else clips
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


def _listed(lists: Sequence[Path], src: Path, clips: Collection[str]) -> set[str]:
    """The keys that lists name. InputError for one that the corpus has not."""
    named = {path: read_ids(path).known_as(clips).ids for path in lists}
    for path, keys in named.items():
        if absent := [key for key in keys if key not in clips]:
            raise InputError(
                f"--list {path} names {len(absent)} clips that {src} has not, first {absent[0]!r}. Give lists of "
                "its own clips: each side's, if test collages are to be made as well."
            )
    return {key for keys in named.values() for key in keys}


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


def draw_collage(solos: Mapping[str, Mapping[str, Sequence[Row]]], seed: int, index: int) -> Collage:
    """Collage `index`: of the split, seed and index alone."""
    rng = np.random.default_rng([seed, index, _COLLAGE])
    split = "test" if index % TEST_EVERY == TEST_EVERY - 1 else "train"
    classes = sorted(solos[split])
    chosen = [classes[place] for place in rng.permutation(len(classes))[:PARTS].tolist()]
    clips = tuple(solos[split][label][int(rng.integers(len(solos[split][label])))] for label in chosen)
    gains = rng.permutation([1.0, float(rng.uniform(*QUIETER)), *[0.0] * (PARTS - HEARD)])
    return Collage(f"{draw_source_id(rng)}_{0:06d}", split, clips, tuple(gains.tolist()))


def make_collage(src: Path, out: Path, collages: Sequence[Collage], index: int) -> list[Row]:
    """Write one collage unless it is there, and return its truth rows."""
    collage = collages[index]
    width, height = QUARTER
    canvas, sound = Image.new("RGB", (2 * width, 2 * height)), np.zeros(SAMPLES, np.float32)
    for quarter, (solo, gain) in enumerate(zip(collage.solos, collage.gains, strict=True)):
        frame, audio = read_clip(src, solo)
        canvas.paste(Image.fromarray(frame).resize(QUARTER), (quarter % 2 * width, quarter // 2 * height))
        sound += np.float32(gain / HEARD) * audio
    write_if_other(out / "frames" / f"{collage.key}.jpg", encode_jpeg(np.asarray(canvas)))
    write_if_other(out / "audio" / f"{collage.key}.wav", encode_wav(sound, SAMPLE_RATE))
    return collage_rows(collage)


def read_clip(src: Path, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """The frame at a clip's moment, uint8 (H, W, 3), and its sound, float32 (SAMPLES,)."""
    video = src / "video" / f"{row['key']}.mp4"
    if video.is_file():
        with understood(video, remedy=REMEDY), MediaFile(video) as media:
            return media.frame_at(row["moment"]).pixels, media.audio_between(0.0, SAMPLE_RATE, SAMPLES).samples
    image = src / "frames" / f"{row['key']}.jpg"
    with understood(image, remedy=REMEDY):
        frame = decode_image(read_bytes(image))
    audio = src / "audio" / f"{row['key']}.wav"
    with understood(audio, remedy=REMEDY), AudioFile(audio) as media:
        media.check_reaches(SECONDS)
        return frame, media.audio_between(0.0, SAMPLE_RATE, SAMPLES).samples


def collage_rows(collage: Collage) -> list[Row]:
    """TRUTH_SCHEMA rows of the four objects, their boxes in their quarters; the label is the louder sound's."""
    loudest = collage.solos[int(np.argmax(collage.gains))]["object_label"]
    clip = {"key": collage.key, "source_id": collage.key[:11], "split": collage.split, "kind": "ordinary"}
    clip |= {"label": loudest, "width": 2 * QUARTER[0], "height": 2 * QUARTER[1]}
    return [
        solo | clip | {"object": quarter, "sounding": gain > 0, "gain": gain} | _in_quarter(solo, quarter)
        for quarter, (solo, gain) in enumerate(zip(collage.solos, collage.gains, strict=True))
    ]


def _in_quarter(row: Row, quarter: int) -> dict[str, float]:
    place = {"x": quarter % 2, "y": quarter // 2}
    return {name: round((row[name] + place[name[0]]) / 2, 6) for name in BOX}


def _digest(src: Path, solos: Mapping[str, Mapping[str, Sequence[Row]]]) -> str:
    """Names the clips that collages may be made of, and their corpus: keys alone are drawn from a seed."""
    rows = [row for classes in solos.values() for of_class in classes.values() for row in of_class]
    told = json.dumps(sorted(rows, key=itemgetter("key")), sort_keys=True)
    described = src / CORPUS
    return hashlib.sha256(told.encode() + (read_bytes(described) if described.is_file() else b"")).hexdigest()


def _describe(out: Path, options: dict[str, object], collages: Sequence[Collage], truth: list[list[Row]]) -> Counts:
    import pyarrow.parquet as pq

    labels = sorted({row["object_label"] for rows in truth for row in rows})
    counts, digests = write_annotations(out, truth, int(str(options["seed"])), World(labels))
    rows = [
        {"key": each.key, "split": each.split, "quarter": quarter, "clip": solo["key"],
         "label": solo["object_label"], "gain": gain}
        for each in collages for quarter, (solo, gain) in enumerate(zip(each.solos, each.gains, strict=True))
    ]  # fmt: skip
    with replacing(out / "collages.parquet") as handle:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), handle)
    write_description(out, {"options": options, "counts": counts, "classes": labels, "sha256": digests})
    return counts
