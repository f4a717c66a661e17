"""What the page asks a desk for. Plain data: the server knows no model, and never imports torch."""

from dataclasses import dataclass
from pathlib import Path

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))  # the places of the slider
USUAL_THRESHOLD = 0.5


@dataclass(frozen=True)
class VideoJob:
    """A video for one or two models, by their numbers; results go into `out`."""

    models: tuple[int, ...]
    video: Path
    out: Path


@dataclass(frozen=True)
class ImageJob:
    """An image with one sound or several, for one model."""

    model: int
    image: Path
    audios: tuple[Path, ...]
    out: Path
