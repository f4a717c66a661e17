"""`training localize`: a trained run's heat map over any video, several moments a second, with the original sound.

For each moment the run sees the frame shown then and hears the sound around it, exactly as in its shards. The
colour scale is one for the whole video, so that a silent passage stays dark where a stretch per image would light it
up. Between moments the map moves linearly. Peaks and confidences go to a JSON file.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from manifests.annotations import WHOLE, Box
from manifests.errors import InputError
from manifests.outputs import check_output, json_with
from manifests.views import IN_WORDS, of_frame, window
from manifests.whole_files import write_text
from pipeline.console import progress
from pipeline.media.decode import fill_span
from pipeline.media.front_ends import find_front_end
from pipeline.media.proposals import check_proposals, selective_search
from pipeline.media.reader import MediaFile
from pipeline.media.spectra import FrontEnd
from pipeline.shards.record import Rejected
from training.data.beside import collated
from training.data.regions import in_view, usable
from training.data.views import normalise_audio, normalise_image, shown
from training.methods.contract import Batch, Prediction
from training.overlay.blend import blend, framed
from training.overlay.carriage import Carriage, carriage
from training.overlay.colours import heat_palette
from training.overlay.video import CONTAINERS, Written, draw_over, frames_at
from training.runs import LoadedRun, load_run

BATCH = 16
SEEN_SHORT_SIDE = 256  # what ingest keeps of a frame, and what training saw
MOST_PER_SECOND = 60.0
_is_document = json_with("moments_per_second", "moments", "undecodable_packets")  # lies beside every overlay
HIGHEST = 99.9  # percentile of all cells that is drawn brightest; the median is drawn fully transparent


@dataclass(frozen=True)
class Timeline:
    """Maps (N, h, w) and confidences (N,) at `rate` moments a second, from second 0 on.

    `parts` says which part of the frame each map covers; without it all of them cover the whole frame. `boxes` (n, 5)
    are those of a method that gives some at each moment, with their scores, as fractions of the whole frame.
    """

    rate: float
    maps: np.ndarray
    confidence: np.ndarray
    parts: Sequence[Box] = ()
    boxes: Sequence[np.ndarray] = ()

    @property
    def scale(self) -> tuple[float, float]:
        """The map values drawn transparent and brightest, for the whole video."""
        low, high = float(np.median(self.maps)), float(np.percentile(self.maps, HIGHEST))
        return low, max(high, low + 1e-6)

    def part(self, seconds: float) -> Box:
        """What was shown of the frame at the moment before `seconds`."""
        return self.parts[self._before(seconds)] if self.parts else WHOLE

    def boxes_at(self, seconds: float) -> np.ndarray:
        """The boxes (n, 5) of the moment before `seconds`."""
        return self.boxes[self._before(seconds)] if self.boxes else np.zeros((0, 5))

    def _before(self, seconds: float) -> int:
        return min(max(int(seconds * self.rate), 0), len(self.maps) - 1)

    def at(self, seconds: float) -> np.ndarray:
        """The map (h, w) between the two moments around `seconds`, linearly; the ends hold."""
        place = min(max(seconds * self.rate, 0.0), len(self.maps) - 1.0)
        before = int(place)
        after = min(before + 1, len(self.maps) - 1)
        part = np.float32(place - before)
        return (1 - part) * self.maps[before] + part * self.maps[after]


def localize(
    run: Path,
    video: Path,
    out: Path,
    *,
    maps_per_second: float = 4.0,
    json_out: Path | None = None,
    view: str | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, object]:
    """Draw a finished run's maps over a video; returns facts for a summary.

    `json_out` defaults to `out` with the suffix .json; `view` replaces the run's way to show frames. Raises InputError
    when the run is not finished or the video is unreadable or lacks sound or image, WorkFailed when the result cannot
    be written.
    """
    _check(video, out, maps_per_second)
    json_out = json_out or out.with_suffix(".json")
    check_output(json_out, {"VIDEO": video}, _is_document, "training localize", "the file of peaks beside --out,")
    check_output(out, {"VIDEO": video}, lambda _: _is_document(json_out), "training localize")
    way = _carriage(video, out)
    loaded = load_run(run, device).viewing(view)
    timeline, duration = _timeline(loaded, video, maps_per_second)
    written = _draw(timeline, video, out, duration, way)
    write_text(json_out, json.dumps(_document(loaded, video, timeline, duration, written), indent=1))
    return {
        "overlay": out,
        "peaks": json_out,
        "moments": len(timeline.maps),
        "view": f"{(seen := loaded.config.evaluation.view)}, {IN_WORDS[seen]}",
        "frames": written.frames,
        "sound": written.audio,
        "undecodable packets": written.undecodable,
    }


def _check(video: Path, out: Path, maps_per_second: float) -> None:
    if not video.is_file():
        raise InputError(f"there is no video {video}. Give the path of a video file.")
    if out.suffix.lower() not in CONTAINERS:
        raise InputError(f"the overlay cannot be written as {out.name}: give --out a name in {', '.join(CONTAINERS)}.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"the folder of {out} does not exist. Make it, or choose another place with --out.")
    if not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"no file can be made in the folder of {out}. Choose another place with --out.")
    if not 0 < maps_per_second <= MOST_PER_SECOND:
        raise InputError(f"maps per second is {maps_per_second:g}; give more than 0 and at most {MOST_PER_SECOND:g}.")


def _carriage(video: Path, out: Path) -> Carriage:
    """How the sound travels: asked first, as a refusal after all the work would be a loss."""
    with _readable(video) as media:
        return carriage(media.audio, out.suffix.lower())


@contextmanager
def _readable(video: Path) -> Iterator[MediaFile]:
    """The video, opened; InputError where it cannot be read."""
    try:
        with MediaFile(video) as media:
            yield media
    except Rejected as refusal:
        raise InputError(
            f"{video} cannot be localized: {refusal.message} ({refusal.reason}). It needs a readable image and audio."
        ) from refusal


# --- seeing and hearing ----------------------------------------------------------------------------------------------


def _timeline(run: LoadedRun, video: Path, rate: float) -> tuple[Timeline, float]:
    """The run's maps of a video, and the video's duration in seconds."""
    front_end = find_front_end(run.front_end)
    with _readable(video) as media:
        duration = media.facts.duration
        moments = [number / rate for number in range(int(duration * rate) + 1)]
        spectrograms = _spectrograms(media, moments, front_end)
        return Timeline(rate, *_predict(run, video, moments, spectrograms)), duration


def _spectrograms(media: MediaFile, moments: list[float], front_end: FrontEnd) -> Iterator[np.ndarray]:
    """float16 (F, T) of the sound around each moment; where the recording ends, filled as in ingest."""
    for moment in moments:
        audio = media.audio_between(moment - front_end.seconds / 2, front_end.sample_rate, front_end.samples)
        yield front_end.spectrogram(fill_span(audio, front_end)[0])


@torch.no_grad()
def _predict(
    run: LoadedRun, video: Path, moments: list[float], spectrograms: Iterator[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[Box], list[np.ndarray]]:
    """Raw maps (N, h, w) and scores (N,) float32, the part of each frame that was shown, and the boxes found in it."""
    size, view = run.config.data.image_size, run.config.evaluation.view
    maps, scores, parts, boxes = [], [], [], []
    if "proposals" in run.method.needs:
        check_proposals()
    pairs = zip(frames_at(video, moments, SEEN_SHORT_SIDE), spectrograms, strict=True)
    with progress("localizing", len(moments), "moments") as advance:
        while batch := list(islice(pairs, BATCH)):
            image = torch.stack([shown(torch.from_numpy(pixels).permute(2, 0, 1), size, view) for pixels, _ in batch])
            audio = torch.from_numpy(np.stack([spectrum for _, spectrum in batch]))
            seen = [window(view, pixels.shape[0], pixels.shape[1], size).part for pixels, _ in batch]
            given: Batch = {
                "image": normalise_image(image.to(run.device)),
                "audio": normalise_audio(audio.to(run.device), run.config.data),
            }
            if "proposals" in run.method.needs:
                given["proposals"] = _regions([pixels for pixels, _ in batch], seen).to(run.device)
            prediction = run.method.predict(given)
            maps.append(prediction.map.float().cpu().numpy())
            scores.append(prediction.score.float().cpu().numpy())
            parts += seen
            boxes += _boxes_of_frames(prediction, seen)
            advance(len(batch))
    return np.concatenate(maps), np.concatenate(scores), parts, boxes


def _regions(frames: Sequence[np.ndarray], parts: Sequence[Box]) -> torch.Tensor:
    """Proposals (B, P, 4) of frames (H, W, 3), searched for as in ingest, as fractions of what is shown of each."""
    found = (usable(in_view(selective_search(pixels), part, False)) for pixels, part in zip(frames, parts, strict=True))
    return collated([{"proposals": torch.from_numpy(boxes.astype(np.float32))} for boxes in found])["proposals"]


def _boxes_of_frames(prediction: Prediction, parts: Sequence[Box]) -> list[np.ndarray]:
    """The boxes (n, 5) of each frame as fractions of the whole frame; none of a method without boxes."""
    if prediction.boxes is None:
        return []
    found = []
    for own, part in zip(prediction.boxes.double().cpu().numpy(), parts, strict=True):
        whole = [of_frame(x, y, part) for x1, y1, x2, y2, _ in own.tolist() for x, y in ((x1, y1), (x2, y2))]
        boxes = np.column_stack([np.array(whole).reshape(-1, 4), own[:, 4]])
        found.append(boxes[np.isfinite(boxes).all(axis=1)])
    return found


# --- showing ---------------------------------------------------------------------------------------------------------


def _draw(timeline: Timeline, video: Path, out: Path, duration: float, way: Carriage) -> Written:
    scale, palette = timeline.scale, heat_palette(256)
    with progress("drawing", max(1, int(duration)), "seconds") as advance:
        drawn = 0

        def draw(seconds: float, pixels: np.ndarray) -> Image.Image:
            nonlocal drawn
            advance(max(0, min(int(seconds), int(duration)) - drawn))
            drawn = max(drawn, int(seconds))
            image = blend(pixels, timeline.at(seconds), scale, palette, timeline.part(seconds))
            return framed(image, timeline.boxes_at(seconds))

        return draw_over(video, out, draw, way)


def _document(run: LoadedRun, video: Path, timeline: Timeline, duration: float, written: Written) -> dict[str, Any]:
    low, high = timeline.scale
    rows, columns = timeline.maps.shape[1:]
    return {
        "run": f"{run.folder.parent.name}/{run.folder.name}",
        "video": video.name,
        "duration": round(duration, 6),
        "moments_per_second": timeline.rate,
        "view": run.config.evaluation.view,
        "map": {"rows": rows, "columns": columns, "x and y": "centre of the highest cell, fractions from the top left"},
        "scale": {"transparent": low, "brightest": high, "rule": f"median and {HIGHEST} % quantile of all maps' cells"},
        "frames": written.frames,
        "undecodable_packets": written.undecodable,
        "sound": written.audio,
        "moments": [
            _moment(number / timeline.rate, heat, float(confidence), part) | _listed(timeline, number)
            for number, (heat, confidence, part) in enumerate(
                zip(timeline.maps, timeline.confidence, timeline.parts, strict=True)
            )
        ],
    }


def _listed(timeline: Timeline, number: int) -> dict[str, Any]:
    """The boxes of a moment, where the method gives any."""
    if not timeline.boxes:
        return {}
    rows = timeline.boxes[number].tolist()
    return {"boxes": [{"box": [round(side, 6) for side in row[:4]], "score": row[4]} for row in rows]}


def _moment(seconds: float, heat: np.ndarray, confidence: float, part: Box) -> dict[str, Any]:
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    x, y = of_frame((float(column) + 0.5) / heat.shape[1], (float(row) + 0.5) / heat.shape[0], part)
    return {
        "seconds": round(seconds, 6),
        "x": round(x, 6),
        "y": round(y, 6),
        "peak": float(heat.max()),
        "confidence": confidence,
        **({} if part == WHOLE else {"shown": [round(border, 6) for border in part]}),
    }
