"""The corpus's lists in the very formats of the real data sets: VGGSound's csv, VGG-SS's json, Extended VGG-SS's csv.

All three are made from the truth rows, and hold no more than the released files do.
"""

import csv
import io
import json
from dataclasses import dataclass

import numpy as np

from pipeline.synth.truth import Row

VGGSS_CLIPS = 5158  # positives of VGG-SS; Extended VGG-SS adds as many negatives:
REAL_NEGATIVES, HARD_NEGATIVES = 379, 1185  # image and audio of one clip; sound of another clip of the same class
NEGATIVE = "non-sounding"
_PAIRING = 107  # last word of the seed that pairs images and audio


@dataclass(frozen=True)
class Clip:
    """What the lists need of a clip: `boxes` are those of its visible sounding objects, `seen` all visible classes."""

    key: str
    source_id: str
    start: int
    split: str
    label: str
    boxes: tuple[tuple[float, float, float, float], ...]
    seen: frozenset[str]
    heard: frozenset[str]

    @property
    def positive(self) -> bool:
        return bool(self.boxes)


def clip_of(rows: list[Row]) -> Clip:
    """Gather the truth rows of one clip."""
    first = rows[0]
    visible = [row for row in rows if row["on_screen"]]
    return Clip(
        key=first["key"],
        source_id=first["source_id"],
        start=int(first["key"].rsplit("_", 1)[1]),
        split=first["split"],
        label=first["label"],
        boxes=tuple((row["x1"], row["y1"], row["x2"], row["y2"]) for row in visible if row["sounding"]),
        seen=frozenset(row["object_label"] for row in visible),
        heard=frozenset(row["object_label"] for row in rows if row["sounding"]),
    )


def vggsound_csv(clips: list[Clip]) -> str:
    """`ytid,start,label,split` without a header; labels with a comma are quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((clip.source_id, clip.start, clip.label, clip.split) for clip in clips)
    return text.getvalue()


def vggss_json(clips: list[Clip]) -> str:
    """The test clips in which something that sounds can be seen, as VGG-SS lists them."""
    entries = [
        {"file": clip.key, "class": clip.label, "bbox": [list(box) for box in clip.boxes]} for clip in _positives(clips)
    ]
    return json.dumps(entries)


def extended_csv(rows: list[tuple[str, str]]) -> str:
    """`video,audio,label` with a header and CRLF, no line end after the last row: as released."""
    return "\r\n".join(["video,audio,label", *(f"{video},{audio},{NEGATIVE}" for video, audio in rows)])


def negatives(clips: list[Clip], seed: int) -> dict[str, list[tuple[str, str]]]:
    """(image's clip, sound's clip) pairs in which nothing seen sounds: "real", "easy" and "hard" ones.

    As many as there are positives and in VGG-SS's proportions, as far as the test clips allow; every positive gives
    its image at most once. A real negative is a clip whose sound is off screen or absent. A hard one has the sound
    of another video of the same class, an easy one a sound none of whose classes can be seen in the image.
    """
    rng = np.random.default_rng([seed, len(clips), _PAIRING])
    positives = _positives(clips)
    spare = [clip.key for clip in clips if clip.split == "test" and not clip.positive]
    real = spare[: round(len(positives) * REAL_NEGATIVES / VGGSS_CLIPS)]
    images = [positives[place] for place in rng.permutation(len(positives))][: len(positives) - len(real)]
    wanted = round(len(images) * HARD_NEGATIVES / (VGGSS_CLIPS - REAL_NEGATIVES))
    pairs: dict[str, list[tuple[str, str]]] = {"real": [(key, key) for key in real], "easy": [], "hard": []}
    for image in images:
        same = [clip for clip in positives if clip.label == image.label and clip.source_id != image.source_id]
        foreign = [clip for clip in positives if not clip.heard & image.seen]
        hard = len(pairs["hard"]) < wanted and bool(same)
        if candidates := same if hard else foreign:
            audio = candidates[rng.integers(len(candidates))]
            pairs["hard" if hard else "easy"].append((image.key, audio.key))
    return pairs


def _positives(clips: list[Clip]) -> list[Clip]:
    return [clip for clip in clips if clip.split == "test" and clip.positive]
