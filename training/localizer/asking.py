"""What a model answers to moments, images with the sound around them, a batch at a time.

Beside the answers stands what it says when it hears nothing: a confidence that is no higher says nothing of the sound.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from manifests.annotations import Box
from manifests.errors import InputError
from manifests.views import of_frame, window
from pipeline.media.front_ends import find_front_end
from pipeline.media.proposals import check_proposals, selective_search
from pipeline.media.spectra import FrontEnd
from pipeline.shards.companion_store import Waveform
from training.data.beside import around, collated
from training.data.regions import in_view, usable
from training.data.views import normalise_audio, normalise_image, shown
from training.localizer.media import is_silent
from training.methods.contract import Batch, Prediction
from training.runs import LoadedRun

BATCH = 16
COMPARED_WITH_SILENCE = 8  # frames of a video that are shown once more, without any sound
OF_VIDEOS = {
    "flow": ("to see how things move", "`--burst 2`, add `pipeline annotate --flow`"),
    "burst": ("several images of a clip", "`--burst {images} --burst-rate {rate:g}`"),
}
Moment = tuple[np.ndarray, np.ndarray]  # uint8 (H, W, 3) and the waveform around it


@dataclass(frozen=True)
class Answers:
    """Of N moments: raw maps (N, h, w) and scores (N,) float32, parts (N, 4) of the frames that were shown, boxes
    (n, 5) of each where the method gives any; bool (N,) whether it was silent, and its score no higher than in silence.
    """

    maps: np.ndarray
    scores: np.ndarray
    parts: np.ndarray
    boxes: list[np.ndarray]
    silent: np.ndarray
    unsure: np.ndarray

    def taken(self, rows: Sequence[int]) -> "Answers":
        """Those in these rows, in this order."""
        places = list(rows)
        boxes = [self.boxes[place] for place in places] if self.boxes else []
        return Answers(
            self.maps[places], self.scores[places], self.parts[places], boxes, self.silent[places], self.unsure[places]
        )


@torch.no_grad()
def ask(
    run: LoadedRun,
    moments: Iterable[Moment],
    count: int,
    advance: Callable[[int], object] = lambda done: None,
    together: bool = True,
) -> Answers:
    """The answers to `count` moments, of which only a batch is held at a time; `advance` is told of every batch.

    together: moments of one recording are unsure below the median of some of its frames in silence, others each below
    their own.
    """
    _check_needs(run)
    front_end = find_front_end(run.front_end)
    chosen = _spread(count, COMPARED_WITH_SILENCE if together else count)
    kept, found, silent, done = [], [], [], 0
    for batch in _batches(moments):
        kept += [pixels for number, (pixels, _) in enumerate(batch, done) if number in chosen]
        silent += [is_silent(waveform) for _, waveform in batch]
        found.append(_answer(run, batch))
        done += len(batch)
        advance(len(batch))
    maps, scores, parts, boxes = zip(*found, strict=True)
    in_silence = _scores_in_silence(run, kept, front_end)
    whole = np.concatenate(scores)
    unsure = (whole <= (np.median(in_silence) if together else in_silence)) & ~np.array(silent)
    listed = [one for some in boxes for one in some]
    return Answers(np.concatenate(maps), whole, np.concatenate(parts), listed, np.array(silent), unsure)


def _check_needs(run: LoadedRun) -> None:
    """InputError where a method needs what a moment alone does not have, or what finds it is not there."""
    if "proposals" in run.method.needs:
        check_proposals()
    for need, (wanted, flags) in OF_VIDEOS.items():
        if need in run.method.needs:
            images, rate = run.method.burst
            raise InputError(
                f"{run.config.method.name} needs {wanted}, which single moments do not show. Ingest the videos with "
                f"{flags.format(images=images, rate=rate)}, and use `training evaluate` or `report`."
            )


def _spread(count: int, most: int) -> set[int]:
    """At most so many of the numbers below `count`, evenly spread."""
    return set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist())


def _scores_in_silence(run: LoadedRun, frames: Sequence[np.ndarray], front_end: FrontEnd) -> np.ndarray:
    nothing = np.zeros(front_end.samples, np.float32)
    return np.concatenate([_answer(run, batch)[1] for batch in _batches((pixels, nothing) for pixels in frames)])


def _batches(moments: Iterable[Moment]) -> Iterator[list[Moment]]:
    left = iter(moments)
    while batch := list(islice(left, BATCH)):
        yield batch


def _answer(run: LoadedRun, pairs: Sequence[Moment]) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Maps, scores, parts and boxes of moments."""
    front_end = find_front_end(run.front_end)
    size, view = run.config.data.image_size, run.config.evaluation.view
    image = torch.stack([shown(torch.from_numpy(pixels).permute(2, 0, 1), size, view) for pixels, _ in pairs])
    audio = torch.from_numpy(np.stack([front_end.spectrogram(waveform) for _, waveform in pairs]))
    parts = [window(view, pixels.shape[0], pixels.shape[1], size).part for pixels, _ in pairs]
    given: Batch = {
        "image": normalise_image(image.to(run.device)),
        "audio": normalise_audio(audio.to(run.device), run.config.data),
    }
    if "proposals" in run.method.needs:
        given["proposals"] = _regions([pixels for pixels, _ in pairs], parts).to(run.device)
    if "waveform" in run.method.needs:
        heard = [Waveform(waveform, front_end.sample_rate, start=0.0) for _, waveform in pairs]
        cut = np.stack([around(each, front_end.seconds / 2) for each in heard])
        given["waveform"] = torch.from_numpy(cut).to(run.device)
    made = run.method.predict(given)
    maps, scores = (each.float().cpu().numpy() for each in (made.map, made.score))
    return maps, scores, np.array(parts, np.float64), _boxes_of_frames(made, parts)


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
