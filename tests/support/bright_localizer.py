"""A stand-in for a trained run that finds what is bright and hears what is loud, and a video that it is right about."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.media.encode import encode_video
from pipeline.media.front_ends import DEFAULT
from training.config import Encoders, load_config
from training.localizer import opening
from training.methods.contract import BaseMethod, Prediction
from training.runs import LoadedRun

FPS, SECONDS, HEIGHT, WIDTH = 10, 6, 96, 128
RATE = 22050


class BrightAndLoud(BaseMethod):
    """map: mean brightness of each cell; score: mean log power, so silence scores lowest."""

    def __init__(self) -> None:
        super().__init__(None, Encoders())

    def forward(self, image: torch.Tensor, audio: torch.Tensor) -> Prediction:
        cells = torch.nn.functional.adaptive_avg_pool2d(image.mean(1, keepdim=True), 8)[:, 0]
        empty = torch.zeros(len(image), 2)
        return Prediction(cells, audio.mean((1, 2, 3)), empty, empty)


class Deaf(BrightAndLoud):
    """As sure with a sound as without."""

    def forward(self, image: torch.Tensor, audio: torch.Tensor) -> Prediction:
        return super().forward(image, torch.zeros_like(audio))


def stand_in(monkeypatch: pytest.MonkeyPatch, method: BaseMethod | None = None, front_end: str = DEFAULT) -> None:
    """Let every folder hold this model."""

    def load(folder: Path, device: torch.device | str = "cpu") -> LoadedRun:
        config = load_config("ezvsl", ("data.image_size=64",))
        return LoadedRun(folder, config, method or BrightAndLoud(), front_end, "", torch.device(device))

    monkeypatch.setattr(opening, "load_run", load)


def square_video(path: Path, loud_until: float = 3.0) -> Path:
    """Six seconds: a bright square wanders from left to right in the lower half; the sound ends after three."""
    frames = np.full((FPS * SECONDS, HEIGHT, WIDTH, 3), 30, np.uint8)
    for number, frame in enumerate(frames):
        left = round((WIDTH - 20) * number / (len(frames) - 1))
        frame[60:80, left : left + 20] = (250, 240, 230)
    encode_video(path, frames, FPS, tone(loud_until), RATE)
    return path


def tone(loud_until: float) -> np.ndarray:
    """float32 (samples,): six seconds, silent from then on."""
    seconds = np.arange(RATE * SECONDS) / RATE
    return (0.4 * np.sin(2 * np.pi * 440 * seconds) * (seconds < loud_until)).astype(np.float32)


def square_at(seconds: float) -> tuple[float, float]:
    """x, y of the middle of the square, fractions of the frame."""
    return (10 + (WIDTH - 20) * min(seconds * FPS, 59) / 59) / WIDTH, 70 / HEIGHT
