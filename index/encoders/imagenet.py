"""How networks that know ImageNet are shown an image: its mean and deviation, and the whole frame."""

import numpy as np
from PIL import Image

from index.clips import image
from pipeline.shards.store import ShardStore

IMAGENET = "imagenet"  # as a source of weights: whatever is released for an architecture
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def whole_frame(store: ShardStore, row: int, side: int) -> np.ndarray:
    """A clip's frame made square, float32 (3, side, side) normalised: what is at the border counts, too."""
    pixels = np.asarray(image(store, row).resize((side, side), Image.Resampling.BICUBIC), np.float32)
    mean, deviation = (np.array(each, np.float32) for each in (MEAN, DEVIATION))
    return ((pixels / 255 - mean) / deviation).transpose(2, 0, 1)
