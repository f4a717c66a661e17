"""`pipeline annotate --flow`: how what clips show moves, as a companion of shards that hold consecutive images.

Between the image of the moment and the next one that differs in time; a clip without a later image does not move.
"""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.media.optical_flow import CELL, check_optical_flow, optical_flow
from pipeline.shards.codecs import encode_npy
from pipeline.shards.companion import FLOW, FLOW_FIELD
from pipeline.shards.companion_writer import write_companion
from pipeline.shards.store import ShardStore
from pipeline.storage.remote import Place

if TYPE_CHECKING:
    from pipeline.shards.companion_store import Burst


def store_flow(folder: Place) -> dict[str, object]:
    """Write the companion, in place of an earlier one; returns the counts for the summary.

    InputError where the shards hold no consecutive images, or the library is not there.
    """
    check_optical_flow("--flow")
    store, still = ShardStore.open(folder), 0

    def members(row: int) -> dict[str, bytes]:
        nonlocal still
        field = flow_of(store.companions.burst(row))
        still += not field.any()
        return {FLOW_FIELD: encode_npy(field)}

    places = write_companion(folder, FLOW, store, range(len(store)), members)
    size = sum(int(str(place["size"])) for place in places) / len(places)
    return {"clips": f"{len(places)}, {still} of which do not move", "size": f"{size / 1e3:.0f} kB a clip"}


def flow_of(burst: "Burst") -> np.ndarray:
    """float16 (2, h, w) of the images at the moment and after it; zeros where none comes after it."""
    image, since = burst.images[burst.moment], burst.seconds[burst.moment]
    after = zip(burst.seconds[burst.moment + 1 :], burst.images[burst.moment + 1 :], strict=True)
    for seconds, later in after:
        if seconds > since:
            return optical_flow(image, later, seconds - since)
    height, width = image.shape[:2]
    return np.zeros((2, max(1, round(height / CELL)), max(1, round(width / CELL))), np.float16)
