"""What a page needs, made small: two runs that were never trained, clips in shards with their videos, media files."""

import hashlib
import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shard_maker import MadeClip, write_shards

from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import Plan, save
from pipeline.media.encode import encode_video
from pipeline.media.front_ends import DEFAULT, find_front_end
from pipeline.sources.listing import Clip
from training.config import load_config
from training.run_folders.files import DONE, FACTS, WEIGHTS
from training.run_folders.identity import carried
from training.runs import build_method, prepare, write_weights

RATE, FPS, SECONDS, WIDTH, HEIGHT = 22050, 10, 3, 96, 72
LABELS = ("dog barking", "violin / viola")
SMALL = """
name: {name}
method: {{name: ezvsl, dimension: 16}}
data: {{shards: {shards}, image_size: 64}}
encoders:
  image: {{blocks: [1, 1], width: 8, weights: none}}
  audio: {{blocks: [1, 1], width: 8, input_pool: [4, 3]}}
"""


def tone(seconds: float, loudness: float = 0.4) -> np.ndarray:
    return (loudness * np.sin(2 * np.pi * 440 * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32)


def make_video(path: Path, seconds: float = SECONDS, loudness: float | None = 0.4) -> Path:
    """A bright square wanders; loudness None leaves the sound out."""
    frames = np.full((round(FPS * seconds), HEIGHT, WIDTH, 3), 40, np.uint8)
    for number, frame in enumerate(frames):
        left = (3 * number) % (WIDTH - 20)
        frame[30:55, left : left + 20] = (250, 210, 90)
    encode_video(path, frames, FPS, None if loudness is None else tone(seconds, loudness), RATE)
    return path


def make_sound(path: Path, seconds: float = 1.0) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((tone(seconds) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clip.mp4, mute.mp4, long.mp4, image.png, sound.wav and note.mp4, which is none."""
    folder = tmp_path_factory.mktemp("media")
    make_video(folder / "clip.mp4")
    make_video(folder / "mute.mp4", 1, None)
    make_video(folder / "long.mp4", 9)
    make_sound(folder / "sound.wav")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(folder / "image.png")
    (folder / "note.mp4").write_text("this is text, whatever its name says")
    return folder


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of two clips whose videos lie where they were ingested from, and one whose video is gone."""
    folder = tmp_path_factory.mktemp("examples")
    sources = folder / "videos"
    sources.mkdir()
    clips = [_clip(f"clip{number:07d}_000000", label, sources) for number, label in enumerate((*LABELS, "gone"))]
    shards = write_shards(folder / "shards", [made for made, _ in clips])
    (sources / f"{clips[-1][0].key}.mp4").unlink()
    save(
        Plan(IngestOptions(shard_clips=len(clips)), (sources,), (tuple(clip for _, clip in clips),), ()),
        shards / "plan",
    )
    return shards


def _clip(key: str, label: str, sources: Path) -> tuple[MadeClip, Clip]:
    content = make_video(sources / f"{key}.mp4").read_bytes()
    facts = {"duration": 3.0, "moment": 1.5, "source_sha256": hashlib.sha256(content).hexdigest()}
    front_end = find_front_end()
    spectrogram = front_end.spectrogram(np.zeros(front_end.samples, np.float32))
    made = MadeClip(key, np.full((72, 96, 3), 90, np.uint8), spectrogram, label, "test", facts=facts)
    return made, Clip(key, key[:11], True, "", root=0, path=f"{key}.mp4", size=len(content))


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Callable[[str], Path]:
    """Makes `runs/<name>` with random weights, as a finished run leaves it."""
    root = tmp_path_factory.mktemp("served")

    def make(name: str) -> Path:
        described = root / f"{name}.yaml"
        described.write_text(SMALL.format(name=name, shards=examples))
        config, folder = load_config(described), root / "runs" / name / "0123abcd-s0"
        torch.manual_seed(len(name))
        prepare(folder, config)
        write_weights(folder / WEIGHTS, build_method(config), carried(config, {}))
        (folder / FACTS).write_text(json.dumps({"front_end": DEFAULT, "manifest_sha256": ""}))
        (folder / DONE).write_text("")
        return folder.parent

    return make


@pytest.fixture(scope="session")
def runs(make_run: Callable[[str], Path]) -> list[Path]:
    return [make_run("first"), make_run("second")]
