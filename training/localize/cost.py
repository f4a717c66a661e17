"""How long the work will take, measured on a second of the first video before it begins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.errors import InputError
from training.localize.videos import Video
from training.localizer.localization import Localization
from training.localizer.model import Localizer
from training.overlay.panels import Panel
from training.overlay.video import draw_some

TOO_SHORT_TO_ASK = 20.0  # seconds of video: no machine takes a minute for them
TRIED_MOMENTS, TRIED_FRAMES = 4, 24


@dataclass(frozen=True)
class Cost:
    """Seconds that a moment takes in all models, and a frame of so many pixels with its drawing."""

    of_moment: float
    of_frame: float
    pixels: int

    def seconds(self, videos: Sequence[Video], maps_per_second: float) -> float:
        """Of these videos."""
        of_frames = sum(each.seconds * each.rate * self.of_frame * each.pixels / self.pixels for each in videos)
        return of_frames + sum(each.seconds for each in videos) * maps_per_second * self.of_moment


def expected(videos: Sequence[Video], models: Sequence[Localizer], maps_per_second: float, panels: int) -> float | None:
    """Seconds that the videos will take; None where they are too short to ask, or the first turns out to be damaged."""
    if sum(each.seconds for each in videos) < TOO_SHORT_TO_ASK:
        return None
    try:
        return _measured(videos[0], models, maps_per_second, panels).seconds(videos, maps_per_second)
    except InputError:
        return None  # said when it is its turn


def _measured(video: Video, models: Sequence[Localizer], maps_per_second: float, panels: int) -> Cost:
    moments = [number / maps_per_second for number in range(TRIED_MOMENTS)]
    within = [moment for moment in moments if moment <= video.seconds]
    for model in models:
        model.localize(video.path, moments=within[:1])  # the first answer of a model takes longer than the others
    begin = time.monotonic()
    found: list[Localization] = [model.localize(video.path, moments=within) for model in models]
    drawing = time.monotonic()
    frames = draw_some(video.path, [Panel(found[0].timeline())] * panels, TRIED_FRAMES)
    return Cost((drawing - begin) / len(within), (time.monotonic() - drawing) / max(frames, 1), video.pixels)
