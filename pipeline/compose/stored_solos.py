"""Clips of shards as material of collages: labelled videos of one object each, as MUSIC's solos are, without boxes.

The label of a clip is its class. Its sound is the waveform beside the shards, around the stored image. Training clips
need no boxes; a test clip has that of `pipeline annotate`, and without it is left out.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from manifests.commands.counting import counted
from manifests.errors import InputError
from manifests.files.given import has_file
from manifests.splits import TRAIN, read_ids, split_of
from pipeline.shards.companion import TRUTH
from pipeline.shards.store import INDEX, ShardStore
from pipeline.synth.audio import SAMPLE_RATE
from pipeline.synth.formats import World
from pipeline.synth.scene import SECONDS
from pipeline.synth.truth import NO_BOX, Row

PARTS, SPLITS, BOX = 4, ("train", "test"), ("x1", "y1", "x2", "y2")
SAMPLES = round(SECONDS * SAMPLE_RATE)
SLACK = 0.1  # seconds by which a sound may end before its images; silent then, as what a shift moves beyond the end
FACTS = ["key", "source_id", "label", "split", "duration", "moment", "width", "height"]
WAVEFORMS = f"`pipeline ingest --audio context --audio-rate {SAMPLE_RATE} --audio-seconds 5`"
Solos = dict[str, dict[str, list[Row]]]  # truth rows by split and class


def is_shards(src: Path) -> bool:
    """Whether a folder holds shards, and not a made corpus."""
    return has_file(src / INDEX)


def find_stored(src: Path, lists: Sequence[Path] = ()) -> Solos:
    """By split and class the clips of shards, of those that `lists` name; says what is left out. Test clips only where
    four classes of them have a box. InputError without labels or waveforms, or with fewer than four classes to train.
    """
    store = ShardStore.open(src)
    listed = keys_listed(lists, src, store.keys) if lists else set(store.keys)
    found: Solos = {split: defaultdict(list) for split in SPLITS}
    left_out: Counter[str] = Counter()
    for number, facts in enumerate(store.table.select(FACTS).to_pylist()):
        if facts["key"] in listed:
            row, lacking = _solo(store, number, facts)
            if row is None:
                left_out[lacking] += 1
            else:
                found[row["split"]][row["label"]].append(row)
    for lacking, count in left_out.items():
        print(f"{counted(count, 'clip')} {lacking} left out")
    return _enough(found, store, left_out)


def _solo(store: ShardStore, number: int, facts: Row) -> tuple[Row | None, str]:
    """A clip's truth row; None and what it lacks, where it cannot be shown."""
    split = split_of(facts["split"])
    if split not in SPLITS:
        return None, f"of split {split}"
    if not facts["label"]:
        return None, "without a label (`pipeline ingest --meta`)"
    if not SECONDS / 2 <= facts["moment"] <= facts["duration"] - SECONDS / 2:
        return None, f"with less than {SECONDS / 2:.1f} s of sound on either side of the image"
    box = NO_BOX if split == TRAIN else _box(store, number)
    if box is None:
        return None, "to test on without one box (`pipeline annotate`)"
    row = {name: facts[name] for name in FACTS if name != "duration"} | {"split": split, "kind": "ordinary"}
    row |= {"frame": 0, "object": 0, "object_label": facts["label"], "sounding": True, "gain": 1.0}
    return row | {"on_screen": True, "visible_share": 1.0} | dict(zip(BOX, box, strict=True)), ""


def _box(store: ShardStore, number: int) -> tuple[float, ...] | None:
    truth = store.companions.truth(number) if store.companions.has(TRUTH) else None
    return truth.boxes[0] if truth is not None and len(truth.boxes) == 1 else None


def _enough(found: Solos, store: ShardStore, left_out: Counter[str]) -> Solos:
    """Those of the splits that have four classes. InputError where the training clips have not, or without sound."""
    train, test = (found[split] for split in SPLITS)
    if len(train) < PARTS:
        why = "".join(f"; {counted(count, 'clip')} {lacking}" for lacking, count in left_out.items())
        raise InputError(
            f"--src {store.folder} has labelled clips of {len(train)} classes to train on, and a collage needs "
            f"{PARTS}{why}. Ingest videos of one object each with their labels (`pipeline ingest --meta`)."
        )
    _check_sound(store, next(iter(train.values()))[0])
    instruments = World(sorted(test)).instruments  # music/box can say no others
    named = {label: rows for label, rows in test.items() if label in instruments}
    if len(named) < PARTS:
        print(f"all collages are for training: test clips with a box are of {len(named)} classes, not {PARTS}")
    return {"train": train} | ({"test": named} if len(named) >= PARTS else {})


def _check_sound(store: ShardStore, row: Row) -> None:
    rate = store.companions.waveform(store.row_of(row["key"])).rate
    if rate != SAMPLE_RATE:
        raise InputError(
            f"the waveforms beside the shards in {store.folder} have {rate} samples a second, and collages "
            f"{SAMPLE_RATE}. Ingest the videos with {WAVEFORMS}."
        )


def keys_listed(lists: Sequence[Path], src: Path, clips: Collection[str]) -> set[str]:
    """The keys that lists name; of a whole video those of its clips. InputError for one that the corpus has not."""
    named = {path: read_ids(path).known_as(clips).ids for path in lists}
    for path, keys in named.items():
        if absent := [key for key in keys if key not in clips]:
            raise InputError(
                f"--list {path} names {counted(len(absent), 'clip')} that {src} has not, first {absent[0]!r}. Give "
                "lists of its own clips: each side's, if test collages are to be made as well."
            )
    return {key for keys in named.values() for key in keys}


def read_stored(src: Path, row: Row, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """As `pipeline.compose.solos.read_clip`. InputError where the stored sound does not reach as far."""
    store = _opened(src)
    number = store.row_of(row["key"])
    sound = store.companions.waveform(number)
    first = round((row["moment"] - SECONDS / 2 + shift - sound.start) * sound.rate)
    before, after = max(-first, 0), max(first + SAMPLES - len(sound.samples), 0)
    if before + after > (abs(shift) + SLACK) * sound.rate:
        raise InputError(
            f"the sound of {row['key']} beside the shards in {src} lasts {len(sound.samples) / sound.rate:.2f} s, and "
            f"a collage needs {SECONDS} s around its image. Ingest the videos with {WAVEFORMS}."
        )
    part = sound.samples[max(first, 0) : max(first + SAMPLES, 0)]
    return store.frame(number), np.pad(part, (before, after))


@lru_cache(maxsize=1)
def _opened(src: Path) -> ShardStore:
    return ShardStore.open(src)
