"""`pipeline annotate --proposals`: boxes that any generator gave, as the companion that `ingest --proposals` makes.

EdgeBoxes, a detector's regions, Selective Search in another setting: whoever makes boxes writes them in a form of
`--format`, best first, and suppresses what overlaps as that generator does. A frame that has none is stored with none.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.truth import read_truth
from pipeline.console import named
from pipeline.media.proposals import MOST_PROPOSALS
from pipeline.shards.codecs import encode_npy
from pipeline.shards.companion import BOXES, PROPOSALS
from pipeline.shards.companion_writer import write_companion
from pipeline.shards.store import ShardStore, read_index
from pipeline.storage.remote import Place

FARTHEST = 1.0  # image sides that a box may reach beyond the image: a guess gone wide; pixels lie farther


def store_proposals(folder: Place, source: Path, format: str) -> dict[str, object]:
    """Write the companion, in place of one given earlier; returns the counts for the summary.

    InputError when the boxes cannot be read, are no fractions of the image, none is usable or of a clip of the shards,
    or `pipeline ingest` made boxes there.
    """
    ingested = read_index(folder).get("companions")
    if isinstance(ingested, list) and PROPOSALS in ingested:
        raise InputError(
            f"{folder} was ingested with --proposals, so that it has boxes, which a repeated ingest would make again. "
            "Ingest the videos without --proposals into a new folder, and give the boxes of that one."
        )
    truth, store = read_truth(source, format), ShardStore.open(folder)
    given = {annotation.key: annotation for annotation in truth.known_as(store.keys).test_set.annotations}
    held = set(store.keys)
    if held.isdisjoint(given):
        raise InputError(
            f"none of the {len(given)} clips that {source} has boxes of is in {folder} (the first of them is "
            f"{next(iter(given), None)!r}, the first in the shards {store.keys[0]!r}). Give the shards of that corpus."
        )
    _check_fractions(source, {key: annotation for key, annotation in given.items() if key in held})
    boxes = {key: usable_boxes(annotation) for key, annotation in given.items() if key in held}
    if not any(map(len, boxes.values())):
        raise InputError(
            f"{source} has {sum(len(given[key].boxes) for key in boxes):,} boxes of {len(boxes):,} clips of {folder}, "
            "and none of them has an area within its image. Give boxes x1, y1, x2, y2 as fractions of the image."
        )
    write_companion(folder, PROPOSALS, store, range(len(store)), lambda row: _members(boxes, store.keys[row]))
    return _counts(source, store, given, boxes)


def _check_fractions(source: Path, given: Mapping[str, Annotation]) -> None:
    """InputError for coordinates in another unit: cut at the borders, a box in pixels would be the whole image."""
    far = {key: [box for box in own.boxes if _is_far(box)] for key, own in given.items()}
    count = sum(map(len, far.values()))
    if count:
        key, box = next((key, boxes[0]) for key, boxes in far.items() if boxes)
        total = sum(len(own.boxes) for own in given.values())
        raise InputError(
            f"{source} is expected to hold boxes as fractions of the image, 0 to 1; {count:,} of its {total:,} boxes "
            f"of these clips lie far outside, the first of them {list(map(float, box))} of the clip {key}. If they are "
            "pixels, divide x by the width and y by the height of that image; else correct or remove them."
        )


def _is_far(box: Iterable[float]) -> bool:
    return any(not -FARTHEST <= side <= 1 + FARTHEST for side in box)


def usable_boxes(annotation: Annotation) -> np.ndarray:
    """Of a clip float32 (n, 4), as they come: cut at the image's borders, without those that lie outside, at most
    2000."""
    cut = np.asarray(annotation.boxes, np.float32).reshape(-1, 4).clip(0, 1)
    return cut[(cut[:, 2:] > cut[:, :2]).all(axis=1)][:MOST_PROPOSALS]


def _members(boxes: Mapping[str, np.ndarray], key: str) -> dict[str, bytes]:
    return {BOXES: encode_npy(boxes.get(key, np.zeros((0, 4), np.float32)))}


def _counts(
    source: Path, store: ShardStore, given: Mapping[str, Annotation], boxes: Mapping[str, np.ndarray]
) -> dict[str, object]:
    without = [key for key in store.keys if not len(boxes.get(key, ()))]
    missing = [key for key in given if key not in boxes]
    stored, read = sum(map(len, boxes.values())), sum(len(given[key].boxes) for key in boxes)
    left_out = f", {read - stored:,} left out (outside the image, or after the first {MOST_PROPOSALS:,} of a clip)"
    return {
        "boxes": f"{source}: {stored:,} stored{left_out if read > stored else ''}",
        "clips": f"{len(store) - len(without):,} of {len(store):,} have boxes",
        **({"without": named(without)} if without else {}),
        **({"missing": f"not in the shards: {named(missing)}"} if missing else {}),
    }
