"""From what a model finds to what the page shows: plain data, with files beside it for the browser to fetch.

Boxes are made for every place of the slider, so that moving it asks nobody.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from manifests.files.whole import write_text
from pipeline.media.still import read_image
from training.localizer.localization import Localization
from training.localizer.model import Localizer
from training.overlay.panels import drawn_still
from training.serve.jobs import THRESHOLDS, ImageJob, VideoJob

SMALLEST_SIDE, LARGEST_SIDE, QUALITY = 480, 720, 88  # pixels of an image's shorter side, of JPEG
LONGEST_SIDE = 4096  # pixels up to which the longer one is enlarged
SILENT_THROUGHOUT = "Nothing is heard, so the map shows nothing."
UNSURE_THROUGHOUT = "The model is no surer than without any sound, so its map says little."
Told = Callable[[str, float], None]


def video_answer(models: Sequence[Localizer], job: VideoJob, told: Told) -> dict[str, Any]:
    """What player.js shows of a video: for each model its video, boxes, confidences and peaks."""
    part = 1 / len(job.models)
    runs = []
    for place, number in enumerate(job.models):
        begin = place * part

        def tell(said: str, share: float, begin: float = begin) -> None:
            told(said, begin + part * share)

        runs.append(_of_model(models[number], job.video, job.out / str(place), tell) | {"model": number})
    duration = max(run.pop("duration") for run in runs)
    return {"state": "video", "duration": duration, "runs": runs}


def _of_model(model: Localizer, video: Path, out: Path, told: Told) -> dict[str, Any]:
    out.mkdir()
    count = model.moment_count(video)
    looked = _counting(count, lambda done: told(f"Looking and listening: moment {done} of {count}", done / count / 2))
    found = model.localize(video, advance=looked)
    seconds = max(1, int(found.source.duration))
    drawn = _counting(seconds, lambda done: told(f"Drawing: second {done} of {seconds}", 0.5 + done / seconds / 2))
    found.overlay(out / "map.mp4", advance=drawn)
    write_text(out / "map.json", found.to_json())
    return {
        "file": f"{video.stem}.{model.name.replace('/', '-')}.mp4",
        "video": str(out / "map.mp4"),
        "peaks": str(out / "map.json"),
        "duration": found.source.duration,
        "times": found.times.tolist(),
        "confidences": found.confidences.tolist(),
        "silent": found.silent.tolist(),
        "places": found.peaks.round(4).tolist(),
        "boxes": _boxes_by_moment(found),
        "warnings": _warnings(found),
    }


def _counting(total: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    """Turns "so many more" into "so many of all"."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        tell(done)

    tell(0)
    return advance


def image_answer(models: Sequence[Localizer], job: ImageJob) -> dict[str, Any]:
    """What player.js shows of an image: it with the map of every sound, all on one scale."""
    found = together(models[job.model].localize_many([(job.image, audio) for audio in job.audios]))
    pixels = _large_enough(read_image(job.image, 0.0, LARGEST_SIDE).pixels)
    boxes = _boxes_by_moment(found)
    answers = []
    for number, audio in enumerate(job.audios):
        image = job.out / f"{number}.jpg"
        _drawn(pixels, found, number).save(image, quality=QUALITY)
        answers.append({
            "image": str(image),
            "audio": audio.stem,
            "confidence": float(found.confidences[number]),
            "boxes": boxes[number],
            "warnings": _warnings_of(bool(found.silent[number]), bool(found.unsure[number])),
        })  # fmt: skip
    return {"state": "image", "answers": answers}


def _drawn(pixels: np.ndarray, found: Localization, number: int) -> Image.Image:
    """An image (H, W, 3) under the heat of one of its sounds, as frames of an overlay are drawn."""
    return Image.fromarray(drawn_still(pixels, found.maps[number], found.part(number), np.zeros((0, 5)), ""))


def _large_enough(pixels: np.ndarray) -> np.ndarray:
    """An image (H, W, 3), enlarged where it is small; a strip no longer than a screen shows."""
    image = Image.fromarray(pixels)
    scale = max(1.0, min(SMALLEST_SIDE / min(image.size), LONGEST_SIDE / max(image.size)))
    return np.asarray(image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.BICUBIC))


def together(found: Sequence[Localization]) -> Localization:
    """Answers to the same image as moments of one recording: they share a scale, so that brightness compares."""
    arrays = ("responses", "confidences", "silent", "unsure", "shown")
    joined = {name: np.concatenate([getattr(one, name) for one in found]) for name in arrays}
    boxes = [each for one in found for each in one.given_boxes]
    return Localization(np.arange(len(found), dtype=np.float64), **joined, source=found[0].source, given_boxes=boxes)


def _boxes_by_moment(found: Localization) -> list[dict[str, list[list[float]]]]:
    """For every moment, by threshold as the slider says it, the corners x1, y1, x2, y2 of its boxes."""
    by_threshold = {f"{threshold:.2f}": found.boxes(threshold) for threshold in THRESHOLDS}
    return [
        {said: [[round(side, 4) for side in box[:4]] for box in boxes[number]] for said, boxes in by_threshold.items()}
        for number in range(len(found))
    ]


def _warnings(found: Localization) -> list[str]:
    return _warnings_of(bool(found.silent.all()), bool((found.silent | found.unsure).all()))


def _warnings_of(silent: bool, unsure: bool) -> list[str]:
    return [SILENT_THROUGHOUT] if silent else [UNSURE_THROUGHOUT] if unsure else []
