"""What the benchmarks of a training step train on, made where they run: shards of drawn images, and loose files.

Only a few hundred images and sounds are encoded; the clips repeat them under keys of their own, since what is measured
does not depend on their content but on their number and size. A clip's class shows in a coloured square and in a band
of its sound, so that losses fall.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

from benchmarks.dead_leaves import dead_leaves
from benchmarks.made_shards import SHORT_SIDE, finish, write_shard
from benchmarks.step.sizes import Sizes
from pipeline.media.front_ends import find_front_end
from pipeline.shards.codecs import encode_npy

CLASSES, DIFFERENT, SHARD_CLIPS = 8, 256, 512
WIDTH, HEIGHT, RATE = 640, 360, 16_000
Encoded = tuple[int, int, bytes, bytes]  # width, height, JPEG, spectrogram


def write_shards(folder: Path, sizes: Sizes) -> Path:
    """A finished shard folder of `sizes.clips` clips."""
    folder.mkdir(parents=True)
    encoded = [_encoded(image, sound) for image, sound in _drawn(min(DIFFERENT, sizes.clips))]
    shards = range(-(-sizes.clips // SHARD_CLIPS))
    with ThreadPoolExecutor() as threads:
        rows = [row for rows in threads.map(partial(_write, folder, encoded, sizes.clips), shards) for row in rows]
    finish(folder, rows)
    return folder


def write_loose(folder: Path, sizes: Sizes) -> int:
    """Folders of JPEGs and of 10 s, 16 kHz wav files, as the field's users have them; how many of each."""
    drawn = _drawn(min(DIFFERENT, sizes.clips))
    for name in ("images", "audio"):
        (folder / name).mkdir(parents=True)
    for number, (image, sound) in enumerate(drawn):
        image.save(folder / "images" / f"{number:04d}.jpg", quality=90)
        wavfile.write(folder / "audio" / f"{number:04d}.wav", RATE, (sound * 32767).astype(np.int16))
    return len(drawn)


def _write(folder: Path, encoded: list[Encoded], clips: int, number: int) -> list[dict[str, object]]:
    first = number * SHARD_CLIPS
    numbers = range(first, min(first + SHARD_CLIPS, clips))
    labels = {f"clip{clip:06d}_000000": f"class{clip % len(encoded) % CLASSES}" for clip in numbers}
    members = ((key, *encoded[clip % len(encoded)]) for key, clip in zip(labels, numbers, strict=True))
    return write_shard(folder, number, members, labels)


def _drawn(count: int) -> list[tuple[Image.Image, np.ndarray]]:
    """Images of 640 x 360 and 10 s of sound in [-1, 1]."""
    random = np.random.default_rng(0)
    canvases = [dead_leaves(random) for _ in range(4)]
    return [_clip(canvases[number % 4], number % CLASSES, random) for number in range(count)]


def _clip(canvas: Image.Image, kind: int, random: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    left, top = (int(random.integers(0, canvas.width - side)) for side in (WIDTH, HEIGHT))
    image = canvas.crop((left, top, left + WIDTH, top + HEIGHT))
    colour = tuple(int(255 * (kind >> bit & 1)) for bit in range(3))
    left, top = (int(random.integers(0, side - 120)) for side in (WIDTH, HEIGHT))
    image.paste(colour, (left, top, left + 120, top + 120))
    times = np.arange(10 * RATE) / RATE
    tone = np.sin(2 * np.pi * (300 + 500 * kind) * times)
    return image, (0.3 * tone + 0.05 * random.standard_normal(len(times))).clip(-1, 1).astype(np.float32)


def _encoded(image: Image.Image, sound: np.ndarray) -> Encoded:
    front_end = find_front_end()
    small = image.resize((round(WIDTH * SHORT_SIDE / HEIGHT), SHORT_SIDE), Image.Resampling.BICUBIC)
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=90)
    return small.width, small.height, jpeg.getvalue(), encode_npy(front_end.spectrogram(sound[: front_end.samples]))
