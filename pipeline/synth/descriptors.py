"""What a clip looks and sounds like in a few numbers, without a network: colours, edges, and the spectrum's shape.

They measure a made corpus (`statistics`), no more: how much a class shows in plain colours and loudness. What trained
encoders find alike is printed by `index build-knn`.
"""

import numpy as np
from PIL import Image

from pipeline.synth.audio import SAMPLE_RATE

COLOUR_SIDE, EDGE_SIDE, DIRECTIONS = 8, 4, 8
IMAGE_SIDE = 64
WINDOW, BANDS, LOWEST = 1024, 32, 60.0  # samples, bands, Hz


def image_descriptor(frame: np.ndarray) -> np.ndarray:
    """float32 (320,) of uint8 (H, W, 3): colours in 8 x 8 fields, directions of edges in 4 x 4, each of length 1."""
    image = Image.fromarray(frame)
    colours = np.asarray(image.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX), np.float32).ravel() / 255
    grey = np.asarray(image.convert("L").resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BOX), np.float32)
    down, across = np.gradient(grey)
    strength = np.hypot(across, down)
    direction = (np.arctan2(down, across) / np.pi % 1 * DIRECTIONS).astype(int) % DIRECTIONS
    field = np.arange(IMAGE_SIDE) * EDGE_SIDE // IMAGE_SIDE
    place = (field[:, None] * EDGE_SIDE + field[None, :]) * DIRECTIONS + direction
    edges = np.bincount(place.ravel(), strength.ravel(), EDGE_SIDE**2 * DIRECTIONS).astype(np.float32)
    return np.concatenate([_unit(colours - colours.mean()), _unit(edges)])


def audio_descriptor(waveform: np.ndarray) -> np.ndarray:
    """float32 (64,) of mono samples at SAMPLE_RATE: mean and deviation over time of the loudness of 32 bands."""
    blocks = waveform[: len(waveform) // WINDOW * WINDOW].reshape(-1, WINDOW) * np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(blocks, axis=1)) ** 2
    edges = np.geomspace(LOWEST, SAMPLE_RATE / 2, BANDS + 1) * WINDOW / SAMPLE_RATE
    starts = np.maximum.accumulate(edges[:-1].astype(int) + 1)
    loudness = np.log(np.add.reduceat(power, np.minimum(starts, power.shape[1] - 1), axis=1) + 1e-5)
    loudness -= loudness.mean()
    return np.concatenate([loudness.mean(axis=0), loudness.std(axis=0)]).astype(np.float32)


def _unit(values: np.ndarray) -> np.ndarray:
    return values / max(float(np.linalg.norm(values)), 1e-6)
