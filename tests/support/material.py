"""Small material to compose clips of: cut-outs of one colour a class, tones of one pitch a class, noisy backgrounds."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("banjo", "cat", "french_horn")
RATE = 16000
BACKGROUNDS = 15
COLOURS = ((220, 40, 40), (40, 200, 60), (60, 80, 230), (230, 200, 40))


def write_material(root: Path, classes: Sequence[str] = CLASSES, files: int = 6) -> Path:
    """`<class>/pictures/<n>.png`, `<class>/audio/<n>.wav`, `audio_only/rain/<n>.wav`, `backgrounds/<n>.jpg`."""
    for number, name in enumerate(classes):
        for copy in range(files):
            write_cut_out(root / name / "pictures" / f"{copy}.png", number, copy)
            write_tone(root / name / "audio" / f"{copy}.wav", 300.0 * (number + 1) + 7 * copy, 0.4 + 0.9 * copy)
    for copy in range(files):
        write_tone(root / "audio_only" / "rain" / f"{copy}.wav", 2500.0 + copy, 1.0)
    for copy in range(BACKGROUNDS):
        write_background(root / "backgrounds" / f"{copy}.jpg", copy)
    return root


def write_cut_out(path: Path, number: int, copy: int) -> None:
    """An ellipse of the class's colour, transparent around it; its shape differs from copy to copy."""
    size = (70 + 9 * copy, 90 - 5 * copy)
    image = Image.new("RGBA", size)
    colour = tuple(int(np.clip(value + 6 * copy, 0, 255)) for value in COLOURS[number % len(COLOURS)])
    ImageDraw.Draw(image).ellipse((6, 6, size[0] - 7, size[1] - 7), fill=(*colour, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_tone(path: Path, pitch: float, seconds: float, quiet: bool = False) -> None:
    """A mono wav of 16 bits; half a second of silence around the tone."""
    times = np.arange(int(seconds * RATE)) / RATE
    tone = np.zeros_like(times) if quiet else 0.5 * np.sin(2 * np.pi * pitch * times)
    samples = np.concatenate([np.zeros(RATE // 2), tone, np.zeros(RATE // 2)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(RATE)
        handle.writeframes((samples * 32767).astype("<i2").tobytes())


def write_background(path: Path, copy: int) -> None:
    """Fields of grey: dark, middling or light ones."""
    rng = np.random.default_rng(copy)
    fields = np.repeat(rng.integers(0, 60, (6, 8, 1)) + 20 + 70 * (copy % 3), 3, axis=2).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fields).resize((320, 240), Image.Resampling.BICUBIC).save(path)


def write_photograph(path: Path, size: tuple[int, int] = (120, 90), grey: int = 120) -> None:
    """A grey image with a red rectangle from (30, 20) to (90, 60)."""
    image = Image.new("RGB", size, (grey, grey, grey))
    ImageDraw.Draw(image).rectangle((30, 20, 89, 59), fill=(220, 30, 30))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
