"""`Localizer`: a trained model in three lines of Python.

model = Localizer.load("runs/demo")
result = model.localize("clip.mp4")
result.overlay("overlay.mp4")
"""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from index.encoders.torch_device import pick_device
from manifests.errors import InputError
from manifests.files.checksums import digest_of
from manifests.given_arrays import given_path, given_text, in_short, number_of
from pipeline.media.front_ends import find_front_end
from pipeline.media.spectra import FrontEnd
from training.localizer.asking import ask
from training.localizer.localization import Localization, Source
from training.localizer.media import checked_moments, frames_at, heard_at, readable, refusing, still_audio, still_image
from training.localizer.opening import open_model
from training.model_names import is_exported
from training.runs import LoadedRun

Given = Path | str | np.ndarray
Pair = tuple[Given, Given] | tuple[Given, Given, int]
Advance = Callable[[int], object]
Read = Callable[[Sequence[float]], np.ndarray]
EVERY = 0.25  # seconds
MOST_PER_SECOND, LONGEST_STEP = 60.0, 86_400.0  # the step in seconds


class Localizer:
    """A trained model on a device, ready for videos, or for images with sounds.

    `model` holds its config, method and front end.
    """

    def __init__(self, model: LoadedRun) -> None:
        self.model = model

    @classmethod
    def load(cls, source: Path | str, device: str = "auto", view: str | None = None) -> "Localizer":
        """Open a finished run's folder (or `runs/<name>`), one of `training export`, or ORG/NAME on the Hugging Face
        Hub; nothing beside the folder is read.

        device: auto, cpu, cuda or cuda:N. view: how frames are shown, squash or centre_crop; None as it was trained.
        InputError when there is no finished model, or no such device.
        """
        given_text(device, "device")
        shown = None if view is None else given_text(view, "view")
        path = given_path(source, "the model")
        return cls(open_model(source if isinstance(source, str) else path, pick_device(device)).viewing(shown))

    @classmethod
    def from_pretrained(cls, source: Path | str, device: str = "auto", view: str | None = None) -> "Localizer":
        """What other libraries call `load`."""
        return cls.load(source, device, view)

    def __repr__(self) -> str:
        return f"Localizer({self.name}, {self.model.config.method.name}, on {self.model.device})"

    @property
    def name(self) -> str:
        """Config and run, as `training localize` writes it: demo/100f88cc-s0; of an exported model its own name."""
        if is_exported(self.model.folder):
            return self.model.config.name
        return f"{self.model.folder.absolute().parent.name}/{self.model.folder.absolute().name}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its weights and of how it is shown frames: equal models give equal maps."""
        state = self.model.method.state_dict()
        flat = {name: each.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for name, each in state.items()}
        digest = digest_of((name, memoryview(each.numpy())) for name, each in flat.items())
        return sha256(f"{digest} {self.model.config.evaluation.view}".encode()).hexdigest()

    @property
    def front_end(self) -> FrontEnd:
        """How it hears: rate, seconds around a moment, spectrogram."""
        return find_front_end(self.model.front_end)

    def localize(
        self,
        video: Path | str,
        every: float | None = None,
        moments: Sequence[float] | None = None,
        advance: Advance = lambda done: None,
    ) -> Localization:
        """A video's maps at `moments` (seconds), or `every` so many seconds from 0 on; 0.25 when neither is given.

        For each moment the model sees the frame shown then and hears the sound around it, as it was trained to. Only a
        batch of frames is held. `advance` is told of every batch how many moments it had. InputError where the file
        cannot be read, lacks image or sound, or does not have such moments.
        """
        path = given_path(video, "the video")
        with readable(path) as media:
            duration = media.facts.duration
            rate, times = _moments(duration, every, moments)
            order = np.argsort(times, kind="stable")
            ascending = [times[place] for place in order]
            pairs = zip(frames_at(path, ascending), heard_at(path, ascending, self.front_end), strict=True)
            answers = ask(self.model, pairs, len(times), advance).taken(np.argsort(order, kind="stable").tolist())
        return Localization.of(answers, times, self._source(path.name, path, _reader(path), duration, rate))

    def moment_count(self, video: Path | str, every: float = EVERY) -> int:
        """How many moments `localize` looks at. InputError as there."""
        with readable(given_path(video, "the video")) as media:
            return len(_moments(media.facts.duration, every, None)[1])

    def localize_pair(
        self, image: Given, audio: Given, sampling_rate: int | None = None, moment: float | None = None
    ) -> Localization:
        """One image and one sound: T is 1.

        image: a file, or uint8 (H, W, 3). audio: a file with sound, or an array (samples,) or (samples, channels) with
        its `sampling_rate` in Hz, a whole number: floats in [-1, 1], or integers of 8, 16 or 32 bits, whose type says
        what is loudest; a file says its own rate. moment: where in the sound, in seconds; None as ingest chooses it:
        5 s, or the middle of what is shorter. InputError for what cannot be used.
        """
        return self._localize_pairs([(image, audio, sampling_rate)], moment)[0]

    def localize_many(self, items: Iterable[Path | str | Pair], every: float | None = None) -> list[Localization]:
        """Several videos, or pairs (image, audio) or (image, audio, sampling_rate), in their order; pairs go through
        the model in batches. InputError as `localize` and `localize_pair`."""
        is_listed = isinstance(items, Iterable) and not isinstance(items, str | os.PathLike)
        given = list(items) if is_listed else []  # a generator can be gone through only once
        if not is_listed or not all(map(_is_item, given)):
            raise InputError("Give a list of videos, and of pairs (image, audio) or (image, audio, sampling_rate).")
        pairs = [(item[0], item[1], item[2] if len(item) > 2 else None) for item in given if isinstance(item, tuple)]
        of_pairs = iter(self._localize_pairs(pairs, None))
        return [next(of_pairs) if isinstance(item, tuple) else self.localize(item, every) for item in given]

    def _localize_pairs(
        self, pairs: Sequence[tuple[Given, Given, int | None]], moment: float | None
    ) -> list[Localization]:
        if not pairs:
            return []
        images = [still_image(image) for image, _, _ in pairs]
        heard = [still_audio(audio, rate, moment, self.front_end) for _, audio, rate in pairs]
        waveforms = [waveform for waveform, _ in heard]
        answers = ask(self.model, zip(images, waveforms, strict=True), len(pairs), together=False)
        return [
            Localization.of(answers.taken([number]), [chosen], self._source(_name(pair[0]), None, _still(pixels)))
            for number, (pair, pixels, (_, chosen)) in enumerate(zip(pairs, images, heard, strict=True))
        ]

    def _source(
        self, name: str, video: Path | None, read: Read, duration: float = 0.0, rate: float | None = None
    ) -> Source:
        return Source(name, video, read, duration, rate, self.name, self.model.config.evaluation.view)


def _moments(duration: float, every: float | None, moments: Sequence[float] | None) -> tuple[float | None, list[float]]:
    """Moments a second, None of those that were named, and the moments in seconds."""
    if moments is not None:
        if every is not None:
            raise InputError("every= and moments= both say which moments are looked at. Give one of the two.")
        return None, checked_moments(moments, duration)
    step = EVERY if every is None else number_of(every)
    if not 0.999 / MOST_PER_SECOND <= step <= 1.001 * LONGEST_STEP:
        raise InputError(f"every is {in_short(every)} s; give from 1/{MOST_PER_SECOND:g} to {LONGEST_STEP:,.0f}.")
    count = int(duration / step + 1e-9) + 1  # the last moment of a recording may be its end
    return round(1 / step, 9), [min(number * step, duration) for number in range(count)]


def _is_item(item: Any) -> bool:
    """Whether `localize_many` takes it: the path of a video, or a pair."""
    return isinstance(item, str | os.PathLike) or (isinstance(item, tuple) and len(item) in (2, 3))


def _reader(video: Path) -> Read:
    """Gives the frames of a video at moments, in any order."""

    def read(moments: Sequence[float]) -> np.ndarray:
        order = np.argsort(moments, kind="stable")
        with refusing(video):
            ascending = list(frames_at(video, [moments[place] for place in order]))
        return np.stack([ascending[place] for place in np.argsort(order, kind="stable")])

    return read


def _still(pixels: np.ndarray) -> Read:
    return lambda moments: pixels[None]


def _name(image: Given) -> str:
    return Path(image).name if isinstance(image, Path | str) else "array"
