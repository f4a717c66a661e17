"""Videos of two faces of one kind that both talk, of which one is heard: 25 images a second and the sound of one mouth.

Nothing in a single image says who is heard, and both faces move: only the mouth that opens when the sound swells is its
source. Two of four corners hold a face, so a disc in the middle finds none. Clips depend on the seed and their number.
"""

import csv
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

FPS, FRAMES, RATE, SIDE = 25, 85, 11025, 80  # 3.4 s
FACE, CORNERS = 34, ((2, 2), (2, 44), (44, 2), (44, 44))
SECONDS = FRAMES / FPS
SYLLABLE = 0.05  # s, the width of a swell
TEST_EVERY = 4


def write_corpus(folder: Path, clips: int, seed: int) -> None:
    """Videos, `vggsound.csv` (clip, start, label, split) and `vggss.json` with the boxes of the test clips."""
    (folder / "video").mkdir(parents=True, exist_ok=True)
    boxes, rows = [], []
    for number in range(clips):
        random, name = np.random.default_rng([seed, number]), f"talk{number:07d}"
        path = folder / "video" / f"{name}_000000.mp4"
        box = write_clip(path, random)
        split = "test" if number % TEST_EVERY == 0 else "train"
        rows.append((name, 0, "talking", split))
        if split == "test":
            boxes.append({"file": path.stem, "class": "talking", "bbox": [box]})
    with (folder / "vggsound.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "vggss.json").write_text(json.dumps(boxes))


def write_clip(path: Path, random: np.random.Generator) -> list[float]:
    """One mp4, and the box of the face that is heard in it, as fractions."""
    places = [CORNERS[corner] for corner in random.permutation(4)[:2]]
    openings = [opening(random) for _ in places]
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "18"})
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for number, image in enumerate(images(places, openings, random)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for packet in encoded(audio, voice(openings[0], random)):
            container.mux(packet)
    top, left = places[0]
    return [left / SIDE, top / SIDE, (left + FACE) / SIDE, (top + FACE) / SIDE]


def opening(random: np.random.Generator) -> np.ndarray:
    """How far a mouth is open, 0 to 1, at every sample of the sound: some syllables a second, of no fixed rhythm."""
    times = np.arange(-1, SECONDS + 1, 0.01)
    swell = np.exp(-0.5 * (np.arange(-0.2, 0.2, 0.01) / SYLLABLE) ** 2)
    smooth = np.convolve(random.normal(size=len(times)), swell, "same")
    return np.interp(np.arange(round(SECONDS * RATE)) / RATE, times, np.clip(smooth / smooth.std(), 0, 1))


def voice(loudness: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """float32 (samples,): a buzz of a pitch of its own, as loud as the mouth is open, over a little noise."""
    times = np.arange(len(loudness)) / RATE
    pitch = random.uniform(110, 260)
    buzz = sum(np.sin(2 * np.pi * pitch * overtone * times) / overtone for overtone in range(1, 16))
    return (0.2 * buzz * loudness + 0.004 * random.normal(size=len(times))).astype(np.float32)


def encoded(stream: av.AudioStream, samples: np.ndarray) -> Iterator[av.Packet]:
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def images(
    places: list[tuple[int, int]], openings: list[np.ndarray], random: np.random.Generator
) -> Iterator[np.ndarray]:
    """uint8 (SIDE, SIDE, 3): skins of their own on a blurred background, mouths as open as they are in the middle of an
    image's time."""
    coarse = random.integers(40, 150, (8, 8, 3), dtype=np.uint8)
    background = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    skins = random.uniform(130, 220, (2, 3)) * [1, 0.85, 0.75]
    for number in range(FRAMES):
        image = background + random.normal(0, 3, (SIDE, SIDE, 1))
        sample = round((number + 0.5) / FPS * RATE)
        for (top, left), skin, opened in zip(places, skins, openings, strict=True):
            _paint(image[top : top + FACE, left : left + FACE], skin, opened[min(sample, len(opened) - 1)])
        yield image.clip(0, 255).astype(np.uint8)


def _paint(face: np.ndarray, skin: np.ndarray, opened: float) -> None:
    """A square of skin with two eyes and a mouth, into (FACE, FACE, 3)."""
    face[:] = skin
    for left in (8, 22):
        face[9:12, left : left + 4] = 30
    half = 0.5 + 6 * opened
    face[round(24 - half) : round(24 + half), 9:25] = (60, 20, 20)
