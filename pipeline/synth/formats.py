"""A made corpus's test clips in the annotation formats of the other corpora, so that each can be evaluated end to end.

    flickr/Annotations/<key>.xml                       Flickr-SoundNet: three annotators who disagree by a few pixels
    avsbench/s4_data/gt_masks/test/..., s4_box.json     AVSBench S4: one frame a video; masks, or boxes filled
    avsbench/ms3_data/..., ms3_box.json                 AVSBench MS3: the same where several objects sound
    music/solotest.json, duettest.json, box/<k>.npy     MUSIC: seven classes are, or stand for, the instruments
    music/references.csv                                a clip in which an instrument is heard alone, for each
    is3/synthetic_bbox.json                             IS3: one image under the sounds of two classes seen in it
    ave/Annotations.txt                                 AVE: every test clip with its class, no boxes
    table/boxes.parquet                                 this project's own table
    vpo/vpo_ss_bbox.json, vpo_ms_bbox.json              VPO: clips with one source and with several; on request
    lists/heard.txt, lists/unheard.txt                  test clips by class, every second class unheard

Where samples are not named as clips are, `pairs.csv` says which clips make them: `training evaluate --pairs`.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from manifests.annotations import Annotation, TestSet
from manifests.clip_lists.written import as_csv, as_list
from manifests.files.whole import write_if_other
from manifests.readers.annotation_table import write_table
from manifests.readers.music import CATEGORIES
from pipeline.storage.files import replacing, write_whole
from pipeline.synth.classes import LABELS
from pipeline.synth.truth import Row

FLICKR_SIDE, SIDE = 256, 224
DISAGREEMENT = (-3, 0, 4)  # pixels by which each annotator's box is shifted
Pairs = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class World:
    """What the formats must know of a corpus beside its truth: its classes; the pixels of what sounds and is seen, bool
    (SIDE, SIDE), of clips that have more than boxes."""

    labels: Sequence[str]
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def instruments(self) -> dict[str, int]:
        """MUSIC's categories by class: those of the name, or where there are none the first seven classes."""
        words = {word: number for number, name in CATEGORIES.items() for word in (name, name.split("_")[-1])}
        named = {label: words[label] for label in self.labels if label in words}
        return named or dict(zip(self.labels, CATEGORIES, strict=False))


DRAWN = World(LABELS)


def write_formats(out: Path, truth: Iterable[list[Row]], world: World = DRAWN) -> dict[str, int]:
    """Write every format beside the VGGSound layout; returns how many samples each has."""
    clips = [rows for rows in truth if rows[0]["split"] == "test" and _heard_and_seen(rows)]
    return {
        "flickr images": _flickr(out / "flickr" / "Annotations", clips),
        "avsbench frames": _avsbench(out / "avsbench", clips, world.masks),
        "avsbench frames with several sources": sum(len(_heard_and_seen(rows)) > 1 for rows in clips),
        "music frames": _music(out / "music", clips, world.instruments),
        "is3 samples": _is3(out / "is3", clips),
        "ave videos": _ave(out / "ave", clips),
        "table rows": _table(out / "table", clips),
        "heard and unheard clips": _classes(out / "lists", clips, world.labels),
    }


def _heard_and_seen(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["sounding"] and row["on_screen"]]


def _flickr(folder: Path, clips: list[list[Row]]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for rows in clips:
        boxes = [_pixels(row, FLICKR_SIDE) for row in _heard_and_seen(rows)]
        annotators = "".join(
            f"<annotator>{''.join(_bbox(box, shift) for box in boxes)}</annotator>" for shift in DISAGREEMENT
        )
        write_if_other(folder / f"{rows[0]['key']}.xml", f"<annotation>{annotators}</annotation>".encode())
    return len(clips)


def _bbox(box: list[int], shift: int) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    moved = (min(max(value + shift, 0), FLICKR_SIDE) for value in box)
    return "<bbox><id>1</id>" + "".join(f"<{n}>{v}</{n}>" for n, v in zip(names, moved, strict=True)) + "</bbox>"


def _avsbench(folder: Path, clips: list[list[Row]], masks: Mapping[str, np.ndarray]) -> int:
    """S4 of every clip and MS3 of those with several sources, whose frames differ in how they are named."""
    pairs, entries = {}, {"s4": [], "ms3": []}
    for rows in clips:
        key, boxes = rows[0]["key"], [_pixels(row, SIDE) for row in _heard_and_seen(rows)]
        names = {"s4": f"{_word(rows[0]['label'])}/{key}/{key}_1"} | ({"ms3": f"{key}/{key}_1"} if boxes[1:] else {})
        mask = masks[key] if key in masks else _filled(boxes)
        for subset, name in names.items():
            _write_mask(folder / f"{subset}_data" / "gt_masks" / "test" / f"{name}.png", mask)
            pairs[name] = (key, key)
            image = {"image": f"/{subset}/visual_frames/{name}.png", "audio": f"/{subset}/{key}.wav"}
            entries[subset].append(image | {"gt_box": _around(boxes)})
    folder.mkdir(parents=True, exist_ok=True)
    for subset, found in entries.items():
        write_whole(folder / f"{subset}_box.json", json.dumps(found).encode())
    _write_pairs(folder, pairs)
    return len(clips)


def _filled(boxes: list[list[int]]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


def _write_mask(path: Path, mask: np.ndarray) -> None:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(stream, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_if_other(path, stream.getvalue())


def _music(folder: Path, clips: list[list[Row]], instruments: Mapping[str, int]) -> int:
    """Solo and duet frames; the duets once more as the synthetic set stores them, rows of box and category."""
    (folder / "box").mkdir(parents=True, exist_ok=True)
    frames: dict[str, dict[str, object]] = {"solotest": {}, "duettest": {}}
    pairs: Pairs = {}
    alone: dict[str, str] = {}
    for rows in clips:
        found = _heard_and_seen(rows)
        if len(found) > 2 or any(row["object_label"] not in instruments for row in found):
            continue
        key = rows[0]["key"]
        name = f"{key}_0_1000/frame_005/00150.jpg"
        boxes = [{"normbox": _corner_and_size(r), "category_id": instruments[r["object_label"]]} for r in found]
        frames["solotest" if len(found) == 1 else "duettest"][name] = {"bbox": boxes}
        pairs[name] = (key, key)
        if sum(row["sounding"] for row in rows) == 1:
            alone.setdefault(CATEGORIES[boxes[0]["category_id"]], key)
        if len(found) == 2:
            number = len(frames["duettest"])
            array = np.array([[*each["normbox"], each["category_id"]] for each in boxes])
            with replacing(folder / "box" / f"{number}.npy") as handle:
                np.save(handle, array)
            pairs[str(number)] = (key, key)
    for list_name, entries in frames.items():
        write_whole(folder / f"{list_name}.json", json.dumps(entries).encode())
    _write_pairs(folder, pairs)
    write_whole(folder / "references.csv", as_csv([("category", "clip"), *sorted(alone.items())]).encode())
    return sum(map(len, frames.values()))


def _is3(folder: Path, clips: list[list[Row]]) -> int:
    """Each image with two visible classes under a sound of either, from clips in which nothing else is heard."""
    folder.mkdir(parents=True, exist_ok=True)
    voices: dict[str, str] = {}
    for rows in clips:
        heard = {row["object_label"] for row in rows if row["sounding"]}
        if len(heard) == 1:
            voices.setdefault(heard.pop(), rows[0]["key"])
    entries, pairs = [], {}
    for number, rows in enumerate(clips):
        seen = {row["object_label"]: row for row in rows if row["on_screen"]}
        names = sorted(name for name in seen if name in voices)[:2]
        for target in names if len(names) == 2 else ():
            name = f"{_word(names[0])}_{_word(names[1])}_{number}_{_word(target)}"
            image = {"image": f"/is3/images/{name}.jpg", "audio": f"/is3/audio_wav/{name}.wav"}
            entries.append(image | {"gt_box": _pixels(seen[target], SIDE)})
            pairs[name] = (rows[0]["key"], voices[target])
    write_whole(folder / "synthetic_bbox.json", json.dumps(entries).encode())
    _write_pairs(folder, pairs)
    return len(entries)


def write_vpo(folder: Path, truth: Iterable[list[Row]]) -> dict[str, int]:
    """VPO's two lists, one box around all that sounds and is seen, and how many samples each has."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, list[dict[str, object]]] = {"ss": [], "ms": []}
    pairs: Pairs = {}
    for rows in truth:
        boxes = [_pixels(row, SIDE) for row in _heard_and_seen(rows)]
        if rows[0]["split"] == "test" and boxes:
            key = rows[0]["key"]
            image: dict[str, object] = {"image": f"/vpo/images/{key}.jpg", "audio": f"/vpo/audio_wav/{key}.wav"}
            entries["ms" if boxes[1:] else "ss"].append(image | {"gt_box": _around(boxes)})
            pairs[key] = (key, key)
    for name, found in entries.items():
        write_whole(folder / f"vpo_{name}_bbox.json", json.dumps(found).encode())
    _write_pairs(folder, pairs)
    return {f"vpo_{name} samples": len(found) for name, found in entries.items()}


def _ave(folder: Path, clips: list[list[Row]]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f"{rows[0]['label']}&{rows[0]['key']}&good&0&10" for rows in clips)
    write_whole(folder / "Annotations.txt", "\n".join(lines).encode())
    return len(clips)


def _table(folder: Path, clips: list[list[Row]]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    boxes = {rows[0]["key"]: [(r["x1"], r["y1"], r["x2"], r["y2"]) for r in _heard_and_seen(rows)] for rows in clips}
    labels = {rows[0]["key"]: rows[0]["label"] for rows in clips}
    annotations = tuple(Annotation(key, labels[key], tuple(found)) for key, found in boxes.items())
    write_table(TestSet("boxes", annotations, "synthetic", ""), folder / "boxes.parquet")
    return len(clips)


def _classes(folder: Path, clips: list[list[Row]], labels: Sequence[str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in enumerate(("heard", "unheard")):
        keys = [rows[0]["key"] for rows in clips if labels.index(rows[0]["label"]) % 2 == part]
        write_whole(folder / f"{name}.txt", as_list(keys).encode())
    return len(clips)


def _write_pairs(folder: Path, pairs: Pairs) -> None:
    rows = [("name", "video", "audio"), *((name, *clips) for name, clips in pairs.items())]
    write_whole(folder / "pairs.csv", as_csv(rows).encode())


def _around(boxes: list[list[int]]) -> list[int]:
    return [*np.min(boxes, axis=0)[:2].tolist(), *np.max(boxes, axis=0)[2:].tolist()]


def _pixels(row: Row, side: int) -> list[int]:
    return [int(side * row[name]) for name in ("x1", "y1", "x2", "y2")]


def _corner_and_size(row: Row) -> list[float]:
    return [row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]]


def _word(label: str) -> str:
    """A class name without what separates names in these formats."""
    return "".join(letter for letter in label if letter.isalnum())
