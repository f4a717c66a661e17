"""Clips to decode: 10 s of 640x360 H.264 at 30 frames/s with AAC stereo, made here because nothing may be downloaded.

Dead leaves (overlapping discs, the statistics of natural images) seen by a slowly moving camera, objects moving in
front, film grain; a cut in every third clip. Encoded as most clips of the web are: x264 medium, crf 25, three
B-frames, a keyframe at least every `gop` frames. Clips depend on their number only.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from benchmarks.dead_leaves import dead_leaves

WIDTH, HEIGHT, FPS, SECONDS, RATE = 640, 360, 30, 10, 44100
GRAIN = 3.0  # standard deviation of 255, renewed every frame


def corpus_files(folder: Path, clips: int, gops: tuple[int, ...]) -> list[Path]:
    """Where the clips are, or will be: `clips` of each group-of-images size."""
    folder.mkdir(parents=True, exist_ok=True)
    return [folder / f"gop{gop}-{number:03d}.mp4" for gop in gops for number in range(clips)]


def write_missing(path: Path) -> None:
    """Write the clip that a path of `corpus_files` stands for, unless it is there."""
    if not path.exists():
        gop, number = (int(word) for word in path.stem.removeprefix("gop").split("-"))
        write_clip(path, 1000 * gop + number, gop, cut=number % 3 == 2)


def write_clip(path: Path, seed: int, gop: int, cut: bool) -> None:
    """One mp4, whole or not at all."""
    random = np.random.default_rng(seed)
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "medium", "crf": "25", "bf": "3"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = gop
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=128_000)
        waveform = waveform_of(random)
        for number, image in enumerate(images(random, cut)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            if number % FPS == 0:  # a second of sound before the second of images it belongs to
                container.mux(encoded_second(audio, waveform, number // FPS))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    part.replace(path)


def encoded_second(stream: av.AudioStream, waveform: np.ndarray, second: int) -> list[av.Packet]:
    packets = []
    for start in range(second * RATE, (second + 1) * RATE, 1024):
        piece = np.ascontiguousarray(waveform[:, start : min(start + 1024, (second + 1) * RATE)])
        frame = av.AudioFrame.from_ndarray(piece, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        packets += stream.encode(frame)
    return packets


def waveform_of(random: np.random.Generator) -> np.ndarray:
    """float32 (2, samples): gliding tones over noise, in swells."""
    times = np.arange(SECONDS * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * f * times * (1 + 0.02 * times)) for f in random.uniform(80, 4000, 4))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(0.2, 2) * times)
    noise = random.standard_normal((2, len(times)))
    return (0.1 * tones * swell + 0.02 * noise).astype(np.float32)


def images(random: np.random.Generator, cut: bool) -> Iterator[np.ndarray]:
    """uint8 (HEIGHT, WIDTH, 3), frame by frame."""
    canvases = [dead_leaves(random) for _ in range(2 if cut else 1)]
    cut_at = int(random.integers(60, 240)) if cut else SECONDS * FPS
    speed, drift = random.uniform(-0.4, 0.4, 2), random.uniform(0.2, 1.0, 2)
    objects = [(random.uniform(0, 1, 2), random.uniform(-2, 2, 2), int(random.integers(20, 70))) for _ in range(3)]
    for number in range(SECONDS * FPS):
        x = 130 + speed[0] * number + 20 * np.sin(drift[0] * number / 30)
        y = 270 + speed[1] * number + 20 * np.sin(drift[1] * number / 30)
        view = canvases[number >= cut_at].transform(
            (WIDTH, HEIGHT), Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC
        )
        draw = ImageDraw.Draw(view)
        for (start, velocity, radius), colour in zip(objects, ("#c33", "#3a5", "#45c"), strict=True):
            cx, cy = (start * (WIDTH, HEIGHT) + velocity * number) % (WIDTH, HEIGHT)
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=colour)
        grain = random.standard_normal((HEIGHT, WIDTH, 1), np.float32) * GRAIN
        yield np.clip(np.asarray(view, np.float32) + grain, 0, 255).astype(np.uint8)
