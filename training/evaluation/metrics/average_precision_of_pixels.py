"""What AVGN prints beside cIoU: the share of clips at two more cuts, and PIAP, an average precision over pixels.

The released PIAP has its arguments swapped: the mask is the truth, and the boxes are the score, so that it rewards
small masks; the usual way round stands beside it, and both of clips of each size, as AVGN prints them. Its MUSIC boxes
(x, y, width, height) are read as corners, which leaves about half of them empty; what that makes of cIoU stands beside
the cIoU of the boxes, with how many are empty. The truth of its duets adds overlapping boxes up, to 2 and more, where
that of single images is their union. Its duets cannot be scored; what that makes of cIoU is shown of single images,
with how many of them have such boxes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from manifests.annotations import Annotation
from manifests.pixels import SIZE, box_votes
from training.evaluation.duets import music_pixels_as_corners, piap, swapped_piap
from training.evaluation.localization import ciou, success_rate
from training.evaluation.metrics import Scored
from training.evaluation.postprocess import binarise
from training.evaluation.protocols.avgn import AvgnProtocol
from training.evaluation.raw_maps import match_names
from training.evaluation.results import Columns, columns_of
from training.evaluation.scores import Score
from training.evaluation.truth import SIZE_BUCKETS, size_bucket, weight_maps

CUTS = (0.3, 0.75)
SCORES = (
    Score("ciou75", "cIoU@0.75", "share of clips whose IoU is at least 0.75."),
    Score("piap_swapped", "PIAP as coded by AVGN", "average precision of the boxes as score for the mask as truth: "
          "small masks win."),
    Score("piap_of_mask", "PIAP of the mask", "average precision of the mask as score for the boxes as truth."),
    Score("ciou50_corners", "cIoU@0.5, corners", "cIoU with boxes of MUSIC read as corners, as AVGN reads them."),
    Score("ciou50_added", "cIoU@0.5, boxes added", "cIoU where a pixel counts once for each box on it, as in AVGN's "
          "duets."),
)  # fmt: skip
_BATCH = 64


def applies(scored: Scored) -> bool:
    """Under AVGN's protocols."""
    return isinstance(scored.protocol, AvgnProtocol)


def reduce(scored: Scored) -> dict[str, Any]:
    """The numbers by map, PIAP also by size; of MUSIC also how many boxes are empty as AVGN reads them."""
    positions = match_names(scored.raw.names, scored.truth.test_set, scored.truth.extended)
    clips = [clip for clip in scored.truth.test_set.annotations if clip.key in positions]
    corners = _as_corners(scored)
    parts: dict[str, list[dict[str, np.ndarray]]] = {}
    for start in range(0, len(clips), _BATCH):
        for name, values in _measure(scored, clips[start : start + _BATCH], positions, corners).items():
            parts.setdefault(name, []).append(values)
    found = {name: _means(each, columns_of(scored.positives, name)) for name, each in parts.items()}
    overlapping = sum(bool(added_boxes(clip).max() > 1) for clip in clips)
    read = [box for boxes in corners.values() for box in boxes]
    empty = sum(bottom <= top or right <= left for top, bottom, left, right in read)
    return found | {"overlapping": overlapping} | ({"corners": {"boxes": len(read), "empty": empty}} if corners else {})


def values(block: dict[str, Any], map_name: str) -> dict[str, float]:
    return {name: value for name, value in block.get(map_name, {}).items() if name != "by_size"}


def heading(block: dict[str, Any], map_name: str) -> str:
    corners, overlapping = block.get("corners"), block.get("overlapping")
    said = [f"{corners['empty']} of {corners['boxes']} corners empty"] if corners else []
    said += [f"{overlapping} with overlapping boxes"] if overlapping else []
    return ", ".join(["of pixels", *said])


def added_boxes(clip: Annotation) -> np.ndarray:
    """float32 (224, 224): how many boxes are on each pixel, AVGN's truth of an image of a duet."""
    return box_votes(clip.boxes, SIZE, clip.shown)


def _as_corners(scored: Scored) -> dict[str, list[tuple[int, int, int, int]]]:
    """Rows and columns of every box of MUSIC's frames as AVGN reads them; nothing for other sets."""
    music = scored.truth.music
    return (
        {} if music is None else {frame.key: [*map(music_pixels_as_corners, frame.as_read)] for frame in music.scorable}
    )


def _measure(
    scored: Scored, clips: Sequence[Annotation], positions: dict[str, int], corners: dict[str, list[Any]]
) -> dict[str, dict[str, np.ndarray]]:
    weights = weight_maps(clips)
    support = (weights != 0).sum(axis=(1, 2))
    found = {}
    for name, values in scored.raw.prepare([positions[clip.key] for clip in clips], scored.protocol).items():
        masks = binarise(values.maps, scored.protocol, support).masks
        found[name] = {"piap_swapped": swapped_piap(masks, weights), "piap_of_mask": piap(masks, weights)}
        found[name]["ciou_added"] = ciou(masks, np.stack([added_boxes(clip) for clip in clips]))
        if corners:
            found[name]["ciou_corners"] = ciou(masks, np.stack([_filled(corners[clip.key]) for clip in clips]))
    return found


def _filled(boxes: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    truth = np.zeros((SIZE, SIZE), np.float32)
    for top, bottom, left, right in boxes:
        truth[top:bottom, left:right] = 1
    return truth


def _means(parts: Sequence[dict[str, np.ndarray]], clips: Columns) -> dict[str, Any]:
    """Of every clip's values, in the order of `clips`."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    read = {name: columns.pop(f"ciou_{name}") for name in ("corners", "added") if f"ciou_{name}" in columns}
    found: dict[str, Any] = {f"ciou{round(100 * cut)}": success_rate(clips.iou, cut) for cut in CUTS}
    found |= {name: float(column.mean()) for name, column in columns.items()}
    found |= {f"ciou50_{name}": success_rate(column) for name, column in read.items()}
    sizes = np.array([size_bucket(area) for area in clips.areas])
    return found | {"by_size": {size: _of_size(columns, sizes == size) for size in SIZE_BUCKETS}}


def _of_size(columns: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, float | int]:
    """PIAP, both ways round, of some clips."""
    there = {name: float(column[chosen].mean()) for name, column in columns.items() if chosen.any()}
    return {"n": int(chosen.sum()), **there}
