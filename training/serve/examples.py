"""Example clips from the shards: the videos that were ingested, where they still lie, one of a label.

Shards keep no sound, so a clip whose video is gone is no example. The files are copied into the workplace: nothing else
of the disk is reachable from the page.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.report.sources import Clips

TRIED = 8  # clips for each example that is wanted
UNSAFE = re.compile(r"[^\w ,()+-]+")
QUALITY = 88


@dataclass(frozen=True)
class Example:
    """A clip under its label: the video, its frame as an image, and the sound that a model hears of it."""

    name: str
    video: Path
    image: Path
    sound: Path


def find_examples(shards: Sequence[str | Path], into: Path, wanted: int, most: int) -> list[Example]:
    """Up to `wanted` clips of different labels, of videos of at most so many bytes; InputError where none is there."""
    from pipeline.shards.joined import open_shards

    store = open_shards(list(shards))
    clips = Clips(store)
    found: list[Example] = []
    for number, row in enumerate(_candidates(store, wanted)):
        if len(found) == wanted or number == TRIED * wanted:
            break
        if (example := _example(clips, store, row, into, most)) is not None:
            found.append(example)
    if not found:
        raise InputError(f"The videos that became the shards in {store.folder} are not where they were ingested from.")
    return found


def _candidates(store: ShardStore, wanted: int) -> Iterator[int]:
    """Rows to try: test clips first, the labels in turn, none that is silent or stands still."""
    labels, splits, flags = (store.table[name].to_pylist() for name in ("label", "split", "flags"))
    usable = [row for row in range(len(store)) if not flags[row]]
    usable.sort(key=lambda row: splits[row] != "test")
    by_label: dict[str | None, list[int]] = {}
    for row in usable:
        by_label.setdefault(labels[row], []).append(row)
    step = max(1, len(by_label) // max(wanted, 1))
    names = sorted(by_label, key=str)
    spread = [name for start in range(step) for name in names[start::step]]
    deepest = max(map(len, by_label.values()), default=0)
    return (by_label[name][depth] for depth in range(deepest) for name in spread if depth < len(by_label[name]))


def _example(clips: Clips, store: ShardStore, row: int, into: Path, most: int) -> Example | None:
    key = store.keys[row]
    content = clips.source(key, most)
    heard = clips.audio(key).uri if isinstance(content, bytes) else None
    if not isinstance(content, bytes) or heard is None:
        return None
    name = " ".join(UNSAFE.sub(" ", str(store.table["label"][row].as_py() or key)).split()) or "clip"
    folder = into / str(row)
    folder.mkdir()
    example = Example(name, folder / f"{name}.mp4", folder / f"{name}.jpg", folder / f"{name}.wav")
    example.video.write_bytes(content)
    example.sound.write_bytes(b64decode(heard.partition(",")[2]))
    Image.fromarray(clips.frame(key)).save(example.image, quality=QUALITY)
    return example
