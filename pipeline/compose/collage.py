"""`pipeline collage`: four clips in one image, two of them heard, as MUSIC-Synthetic and DSOL have it: of a made
corpus, or of shards of videos with one labelled object each, such as MUSIC's solos.

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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from manifests.errors import InputError
from manifests.files.given import has_file, read_bytes
from manifests.files.whole import write_if_other
from pipeline.compose.corpus import encode_wav
from pipeline.compose.solos import find_solos, read_clip
from pipeline.compose.stored_solos import BOX, PARTS, SAMPLES, is_shards
from pipeline.console import summary
from pipeline.shards.codecs import encode_jpeg
from pipeline.shards.store import INDEX
from pipeline.storage.files import replacing
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
from pipeline.synth.truth import NO_BOX, Row

VERSION = 1
QUARTER = (112, 112)  # pixels, width and height
HEARD = 2
QUIETER = (0.5, 1.0)  # of the second sound, beside the first
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
class Mixing:
    """How the two sounds are mixed. `gains`: what both are drawn between; None: one is whole, the other of QUIETER.
    `jitter`: by how many seconds at most each is heard earlier or later."""

    gains: tuple[float, float] | None = None
    jitter: float = 0.0

    @property
    def loudest(self) -> float:
        """What no sound is louder than."""
        return 1.0 if self.gains is None else self.gains[1]

    def chosen(self) -> dict[str, object]:
        """The options that are not as ever, for the description of the corpus."""
        return {name: value for name, value in asdict(self).items() if value}

    def check(self) -> None:
        """InputError for gains or seconds that are none."""
        low, high = self.gains or QUIETER
        if not (0 < low <= high < math.inf and 0 <= self.jitter < SECONDS / 2):
            raise InputError(
                f"--gains {low} {high} --jitter {self.jitter}: give two gains above 0, the smaller one first, and less "
                f"than {SECONDS / 2} seconds."
            )


AS_EVER = Mixing()


@dataclass(frozen=True)
class Collage:
    """`solos`: the truth rows of the four clips by quarter; `gains`: of their sounds, 0 of those that are not heard;
    `shifts`: by how many seconds they are heard earlier."""

    key: str
    split: str
    solos: tuple[Row, ...]
    gains: tuple[float, ...]
    shifts: tuple[float, ...] = (0.0,) * PARTS


def write_collages(
    src: Path,
    out: Path,
    clips: int,
    seed: int,
    workers: int,
    lists: Sequence[Path] = (),
    mixing: Mixing = AS_EVER,
) -> Counts:
    """Make the corpus, or what is missing of it, of one that `pipeline synth` or `compose` made, or of shards; returns
    its counts.

    lists: of the clips that collages may be made of; without any, all.
    Raises InputError when `src` has too few clips of one object, or the folder holds something else.
    """
    if clips < 1 or seed < 0:
        raise InputError(f"--clips {clips} --seed {seed}: give at least one clip, and a seed from 0 on.")
    check_workers(workers)
    mixing.check()
    solos = find_solos(src, lists)
    options: dict[str, object] = {"version": VERSION, "clips": clips, "seed": seed, "of": _digest(src, solos)}
    options |= mixing.chosen()
    with writing(out):
        if finished := claim(out, options, "collage"):
            print(f"{out} already holds these {clips} collages; nothing to do")
            return finished
        folders = [out / "frames", out / "audio"]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        remove_unfinished(out, *folders)
        collages = [draw_collage(solos, seed, index, mixing) for index in range(clips)]
        with processes(min(workers, clips)) as at_work:
            make = partial(make_collage, src, out, collages, mixing)
            truth = list(at_work.shown("collages", make, range(clips), "clips"))
        counts = _describe(out, options, collages, truth)
    summary(f"collages {out}", counts)
    return counts


def draw_collage(
    solos: Mapping[str, Mapping[str, Sequence[Row]]], seed: int, index: int, mixing: Mixing = AS_EVER
) -> Collage:
    """Collage `index`: of the split, seed and index alone; to train with, where there are no test clips."""
    rng = np.random.default_rng([seed, index, _COLLAGE])
    split = "test" if index % TEST_EVERY == TEST_EVERY - 1 and "test" in solos else "train"
    classes = sorted(solos[split])
    chosen = [classes[place] for place in rng.permutation(len(classes))[:PARTS].tolist()]
    clips = tuple(solos[split][label][int(rng.integers(len(solos[split][label])))] for label in chosen)
    heard = [1.0, float(rng.uniform(*QUIETER))] if mixing.gains is None else rng.uniform(*mixing.gains, HEARD).tolist()
    gains = rng.permutation([*heard, *[0.0] * (PARTS - HEARD)])
    key = f"{draw_source_id(rng)}_{0:06d}"
    shifts = rng.uniform(-mixing.jitter, mixing.jitter, PARTS)  # drawn last: keys and gains stay what they were
    return Collage(key, split, clips, tuple(gains.tolist()), tuple(shifts.tolist()))


def make_collage(src: Path, out: Path, collages: Sequence[Collage], mixing: Mixing, index: int) -> list[Row]:
    """Write one collage unless it is there, and return its truth rows."""
    collage = collages[index]
    width, height = QUARTER
    canvas, sound = Image.new("RGB", (2 * width, 2 * height)), np.zeros(SAMPLES, np.float32)
    parts = zip(collage.solos, collage.gains, collage.shifts, strict=True)
    for quarter, (solo, gain, shift) in enumerate(parts):
        frame, audio = read_clip(src, solo, shift)
        canvas.paste(Image.fromarray(frame).resize(QUARTER), (quarter % 2 * width, quarter // 2 * height))
        sound += np.float32(gain / (HEARD * max(mixing.loudest, 1.0))) * audio
    write_if_other(out / "frames" / f"{collage.key}.jpg", encode_jpeg(np.asarray(canvas)))
    write_if_other(out / "audio" / f"{collage.key}.wav", encode_wav(sound, SAMPLE_RATE))
    return collage_rows(collage)


def collage_rows(collage: Collage) -> list[Row]:
    """TRUTH_SCHEMA rows of the four objects, their boxes in their quarters; the label is the louder sound's."""
    loudest = collage.solos[int(np.argmax(collage.gains))]["object_label"]
    clip = {"key": collage.key, "source_id": collage.key[:11], "split": collage.split, "kind": "ordinary"}
    clip |= {"label": loudest, "width": 2 * QUARTER[0], "height": 2 * QUARTER[1]}
    return [
        solo | clip | {"object": quarter, "sounding": gain > 0, "gain": gain} | _in_quarter(solo, quarter)
        for quarter, (solo, gain) in enumerate(zip(collage.solos, collage.gains, strict=True))
    ]


def _in_quarter(row: Row, quarter: int) -> dict[str, float | None]:
    if row["x1"] is None:  # of a training clip of shards
        return dict(zip(BOX, NO_BOX, strict=True))
    place = {"x": quarter % 2, "y": quarter // 2}
    return {name: round((row[name] + place[name[0]]) / 2, 6) for name in BOX}


def _digest(src: Path, solos: Mapping[str, Mapping[str, Sequence[Row]]]) -> str:
    """Names the clips that collages may be made of, and their corpus: keys alone are drawn from a seed."""
    rows = [row for classes in solos.values() for of_class in classes.values() for row in of_class]
    told = json.dumps(sorted(rows, key=itemgetter("key")), sort_keys=True)
    described = src / (INDEX if is_shards(src) else CORPUS)
    return hashlib.sha256(told.encode() + (read_bytes(described) if has_file(described) else b"")).hexdigest()


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
