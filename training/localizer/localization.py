"""Where a model finds the sound at some moments of a recording: what `Localizer` gives back.

All arrays have one row for each of T moments. The scale of `maps` is one for the whole recording, so that a passage
with little to see stays dark where a stretch per image would light it up; a silent moment has nothing to show.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from manifests.annotations import WHOLE, Box
from manifests.commands.counting import counted
from manifests.errors import InputError
from manifests.given_arrays import given_path, in_short, number_of
from manifests.views import of_frame
from training.localizer.asking import Answers
from training.localizer.boxes import boxes_above
from training.localizer.media import refusing, rgb_pixels
from training.overlay.carriage import carried
from training.overlay.panels import Panel, drawn_still
from training.overlay.timeline import SILENT, UNSURE, Timeline
from training.overlay.video import Written, draw_over

HIGHEST = 99.9  # percentile of all cells that is drawn brightest; the median is drawn fully transparent
SCALE_RULE = f"median and {HIGHEST} % quantile of all maps' cells"
X_AND_Y = "centre of the highest cell, fractions from the top left"
FoundBox = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Source:
    """What was localized. `video` is its file, None of an image and a sound; `read` gives the frames again.

    duration: seconds; rate: moments a second, None of single moments. `run` is the model's name, `view` how it is shown
    frames.
    """

    name: str
    video: Path | None
    read: Callable[[Sequence[float]], np.ndarray]
    duration: float
    rate: float | None
    run: str
    view: str


@dataclass(frozen=True)
class Localization:
    """T moments and what a model answers to them.

    times: float64 (T,) seconds. responses: float32 (T, h, w), the model's raw maps, larger where it hears the source.
    confidences: float32 (T,), how sure the model is that the source is visible; the scale is the method's own. silent:
    bool (T,), nothing is heard then. unsure: bool (T,), the confidence is no higher than without any sound. shown:
    float64 (T, 4), the part x1, y1, x2, y2 of the frame that a map covers, in fractions.
    """

    times: np.ndarray
    responses: np.ndarray
    confidences: np.ndarray
    silent: np.ndarray
    unsure: np.ndarray
    shown: np.ndarray
    source: Source
    given_boxes: Sequence[np.ndarray] = ()

    @classmethod
    def of(cls, answers: Answers, times: Sequence[float], source: Source) -> "Localization":
        """What `ask` was answered, in the order of the moments."""
        own = answers.maps, answers.scores, answers.silent, answers.unsure, answers.parts
        return cls(np.asarray(times, np.float64), *own, source, answers.boxes)

    def __repr__(self) -> str:
        rows, columns = self.responses.shape[1:]
        moments = f"{counted(len(self), 'moment')}, {self.times.min():g} to {self.times.max():g} s"
        return f"Localization({self.source.name}: {moments}, maps {rows} x {columns}, by {self.source.run})"

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def frames(self) -> np.ndarray:
        """uint8 (T, H, W, 3) RGB, upright, the short side at most 256 pixels. Those of a video are read when they are
        asked for, from its file. InputError where that is gone."""
        return self.source.read(self.times.tolist())

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The responses that are 0 and 1 in `maps`."""
        low, high = float(np.median(self.responses)), float(np.percentile(self.responses, HIGHEST))
        return low, max(high, low + 1e-6)

    @cached_property
    def heat(self) -> np.ndarray:
        """float32 (T, h, w): `maps` before they are cut to 0..1, for what moves between two moments."""
        low, high = self.scale
        return np.where(self.silent[:, None, None], 0, (self.responses - low) / (high - low)).astype(np.float32)

    @cached_property
    def maps(self) -> np.ndarray:
        """float32 (T, h, w) in 0..1, to be shown; 0 throughout where the sound is silent."""
        return np.clip(self.heat, 0, 1)

    @cached_property
    def peaks(self) -> np.ndarray:
        """float64 (T, 2): x, y of the centre of the highest cell, fractions of the frame from the top left."""
        rows, columns = self.responses.shape[1:]
        places = [np.unravel_index(int(each.argmax()), each.shape) for each in self.responses]
        points = [((float(column) + 0.5) / columns, (float(row) + 0.5) / rows) for row, column in places]
        return np.array([of_frame(x, y, self.part(number)) for number, (x, y) in enumerate(points)])

    def part(self, number: int) -> Box:
        """What a map covers of its frame: x1, y1, x2, y2 as fractions."""
        return cast(Box, tuple(self.shown[number].tolist()))

    def boxes(self, threshold: float = 0.5) -> list[list[FoundBox]]:
        """For every moment its boxes x1, y1, x2, y2 (fractions of the frame) with a score in 0..1, best first.

        They enclose what reaches `threshold` of `maps`; of a method that gives boxes itself they are those of its own,
        with a score on the same scale. A silent moment has none. InputError for a threshold outside of 0..1.
        """
        return self._shown_boxes(_checked_threshold(threshold))

    def _shown_boxes(self, threshold: float | None) -> list[list[FoundBox]]:
        """What is listed and drawn: `boxes`, without a threshold all those that the method gives itself."""
        if threshold is not None:
            threshold = _checked_threshold(threshold)
        return [[] if self.silent[number] else self._boxes_of(number, threshold) for number in range(len(self))]

    def _boxes_of(self, number: int, threshold: float | None) -> list[FoundBox]:
        if self.given_boxes:
            return [box for box in self._own_boxes(number) if box[4] >= (threshold or 0.0)]
        return [] if threshold is None else boxes_above(self.maps[number], threshold, self.part(number))

    def _own_boxes(self, number: int) -> list[FoundBox]:
        low, high = self.scale
        rows = self.given_boxes[number].tolist()
        scaled = [(*row[:4], min(max((row[4] - low) / (high - low), 0.0), 1.0)) for row in rows]
        return sorted(scaled, key=lambda box: -box[4])

    @cached_property
    def warnings(self) -> list[str]:
        """For every moment what a viewer should know of it: that it is silent, or the confidence low; else nothing."""
        flags = zip(self.silent, self.unsure, strict=True)
        return [SILENT if silent else UNSURE if unsure else "" for silent, unsure in flags]

    def drawn(self, number: int = 0, threshold: float | None = None, image: np.ndarray | None = None) -> np.ndarray:
        """uint8 (H, W, 3): a moment's frame as the overlay shows it, heat and marks over it.

        number: which moment. threshold: draw boxes, as `boxes` gives them. image: drawn over in place of the frame, for
        more pixels of it; in the forms that `localize_pair` takes. InputError for a moment that there is not, and for
        what is no image.
        """
        if not isinstance(number, int | np.integer) or not -len(self) <= number < len(self):
            last = len(self) - 1
            raise InputError(f"moment {in_short(number)} is asked for, and there are {len(self)}, from 0 to {last}.")
        boxes, part = self._drawn_boxes(threshold)[number], self.part(number)
        pixels = self.frames[number] if image is None else rgb_pixels(image)
        return drawn_still(pixels, self.heat[number], part, boxes, self.warnings[number])

    def timeline(self, threshold: float | None = None) -> Timeline:
        """What is drawn over the video, in the order of time, with the boxes that `to_json` lists."""
        order = np.argsort(self.times, kind="stable")
        boxes = self._drawn_boxes(threshold)
        ordered = [boxes[each] for each in order], [self.warnings[each] for each in order]
        return Timeline(self.times[order], self.heat[order], self.shown[order], *ordered)

    def _drawn_boxes(self, threshold: float | None) -> Sequence[np.ndarray]:
        return [np.array(found, np.float64).reshape(-1, 5) for found in self._shown_boxes(threshold)]

    def overlay(
        self,
        out: Path | str,
        threshold: float | None = None,
        advance: Callable[[int], object] = lambda done: None,
    ) -> Written:
        """Write the video with the heat over it and its own sound; returns what became of frames and sound.

        out: a name in .mp4, .mov or .mkv; a file there is replaced. threshold: draw boxes, as `boxes` gives them.
        `advance` is told of every second that is drawn. InputError for an image and a sound, for the video itself as
        `out`, and where the sound cannot be carried; WorkFailed when the file cannot be written.
        """
        return self.overlay_of(given_path(out, "out"), [Panel(self.timeline(threshold))], advance)

    def overlay_of(self, out: Path, panels: Sequence[Panel], advance: Callable[[int], object]) -> Written:
        """As `overlay`, with these panels side by side."""
        video = self.source.video
        if video is None:
            raise InputError(f"{self.source.name} is an image, and an overlay is a video. Show `drawn()` of it.")
        with refusing(video):
            if out.exists() and out.samefile(video):
                raise InputError(f"{out} is the video itself, which would be lost. Give the overlay another name.")
            way = carried(video, out)
            return draw_over(video, out, panels, way, advance)

    def to_json(self, threshold: float | None = None) -> str:
        """The document that `training localize` writes, as text; nothing in it tells where files lie.

        threshold: with boxes, as `boxes` gives them; None with all those of a method that gives boxes itself, on the
        same scale.
        """
        return json.dumps(self.document(threshold), indent=1)

    def document(self, threshold: float | None = None, **written: object) -> dict[str, Any]:
        """The content of `to_json`; `written` are facts of an overlay."""
        low, high = self.scale
        rows, columns = self.responses.shape[1:]
        return {
            "run": self.source.run,
            "video": self.source.name,
            "duration": round(self.source.duration, 6),
            "moments_per_second": self.source.rate,
            "view": self.source.view,
            "map": {"rows": rows, "columns": columns, "x and y": X_AND_Y},
            "scale": {"transparent": low, "brightest": high, "rule": SCALE_RULE},
            **written,
            "moments": [self.moment(number) | listed for number, listed in enumerate(self._listed(threshold))],
        }

    def moment(self, number: int) -> dict[str, Any]:
        """One moment as it stands in the document."""
        part = self.part(number)
        x, y = self.peaks[number].tolist()
        facts = {
            "seconds": round(float(self.times[number]), 6),
            "x": round(x, 6),
            "y": round(y, 6),
            "peak": float(self.responses[number].max()),
            "confidence": float(self.confidences[number]),
            "silent": bool(self.silent[number]),
            "unsure": bool(self.unsure[number]),
        }
        cut = {} if part == WHOLE else {"shown": [round(border, 6) for border in part]}
        return facts | cut

    def _listed(self, threshold: float | None) -> list[dict[str, Any]]:
        """The boxes of every moment, as `boxes` gives them; without a threshold those of a method that has its own."""
        if threshold is None and not self.given_boxes:
            return [{}] * len(self)
        return [
            {"boxes": [{"box": [round(side, 6) for side in row[:4]], "score": row[4]} for row in rows]}
            for rows in self._shown_boxes(threshold)
        ]


def _checked_threshold(threshold: Any) -> float:
    if not 0 < (number := number_of(threshold)) <= 1:
        raise InputError(f"the threshold of boxes is {in_short(threshold)}. Give more than 0 and at most 1.")
    return number
