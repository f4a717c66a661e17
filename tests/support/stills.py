"""Images and sounds as the content of files, and folders of them."""

import io
import wave
from pathlib import Path

import numpy as np
from PIL import Image


def image(width: int = 64, height: int = 48, colour: int = 200, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (colour, 40, 40)).save(buffer, format, **options)
    return buffer.getvalue()


def audio(seconds: float = 10.0, rate: int = 16000, burst: float | None = None) -> bytes:
    """A quiet tone; with `burst`, a loud one of 0.1 s that begins then."""
    times = np.arange(round(seconds * rate)) / rate
    samples = 0.1 * np.sin(2 * np.pi * 300 * times)
    if burst is not None:
        samples = np.where((times >= burst) & (times < burst + 0.1), np.sin(2 * np.pi * 1000 * times), samples)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(rate)
        handle.writeframes((samples * 32000).astype("<i2").tobytes())
    return buffer.getvalue()


def tree(root: Path, *names: str) -> Path:
    """Tiny real files of these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(audio(4.0) if name.endswith((".wav", ".mp3", ".flac")) else image())
    return root
