"""Images for the page, each as a data URI or SVG path data: frames, heat maps, contours, spectrograms, sound.

A heat map is a small palette image whose opacity grows with its value, laid over the frame by the page; the contour is
the border of the mask that the protocol really scores, traced at 224 x 224 before anything is scaled for display.
"""

import io
import wave
from base64 import b64encode
from typing import Any

import contourpy
import numpy as np
from PIL import Image

from pipeline.shards.codecs import FULL_SCALE
from training.overlay.colours import heat_palette

HEAT_LEVELS = 64
HEAT_SIDE = 112
FRAME_SIDE = 320  # longest side of an embedded frame, pixels
SPECTROGRAM_ROWS = 96


def frame_uri(frame: np.ndarray) -> str:
    """A frame (H, W, 3) uint8 RGB as JPEG, shrunk so that 24 of them fit the page."""
    image = Image.fromarray(frame)
    image.thumbnail((FRAME_SIDE, FRAME_SIDE), Image.Resampling.LANCZOS)
    return _uri(image, "JPEG", quality=80, optimize=True)


def heat_uri(pixels: np.ndarray) -> str:
    """A map (S, S) scaled to [0, 1] as a transparent palette PNG; equal steps look equally far apart (inferno)."""
    levels = np.round(np.clip(pixels, 0.0, 1.0) * (HEAT_LEVELS - 1)).astype(np.uint8)
    image = Image.fromarray(levels, mode="P")
    image = image.resize((HEAT_SIDE, HEAT_SIDE), Image.Resampling.NEAREST)
    colours = heat_palette(HEAT_LEVELS)
    image.putpalette(colours[:, :3].tobytes(), rawmode="RGB")
    return _uri(image, "PNG", transparency=colours[:, 3].tobytes(), optimize=True)


def border(mask: np.ndarray) -> str:
    """SVG path data around the True pixels of a mask (S, S); pixel (row r, column c) covers [c, c+1] x [r, r+1]."""
    padded = np.pad(mask.astype(float), 1)
    lines: Any = contourpy.contour_generator(z=padded).lines(0.5)  # arrays of points, as this line type gives them
    return "".join(_closed(line[:-1:2] - 0.5) for line in lines if len(line) > 4)


def _closed(points: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.0f},{y:.0f}" for x, y in points) + "Z"


def spectrogram_uri(spectrogram: np.ndarray) -> str:
    """A log-power spectrogram (F, T) as a small JPEG, low frequencies at the bottom, its own range over the colours."""
    from matplotlib import colormaps

    values = spectrogram.astype(np.float32)
    low, high = np.percentile(values, (5, 99.8))
    scaled = np.clip((values - low) / max(high - low, 1.0), 0.0, 1.0)
    image = Image.fromarray(np.round(255 * colormaps["magma"](scaled[::-1])[:, :, :3]).astype(np.uint8))
    image = image.resize((spectrogram.shape[1], SPECTROGRAM_ROWS), Image.Resampling.BOX)
    return _uri(image, "JPEG", quality=72, optimize=True)


def audio_uri(waveform: np.ndarray, sample_rate: int) -> str:
    """A mono waveform (T,) in [-1, 1] as a 16-bit WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(np.round(np.clip(waveform, -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{b64encode(buffer.getvalue()).decode()}"


def _uri(image: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{b64encode(buffer.getvalue()).decode()}"
