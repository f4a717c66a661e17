"""Invented runs for the report: the real scoring over real shards, and two real videos for their sound."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw, ImageFilter
from shard_maker import MadeClip, write_shards

from manifests.annotations import Annotation, TestSet
from manifests.test_sets import Truth
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import Plan, save
from pipeline.media.encode import encode_video
from pipeline.media.front_ends import find_front_end
from pipeline.sources.listing import Clip
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score

WIDTH, HEIGHT = 320, 240
LABELS = ("dog barking", "violin", "engine idling", "church bell", "sea waves", "typing")


@dataclass(frozen=True)
class Scene:
    """One clip: its truth, its image (HEIGHT, WIDTH, 3) and its sound (samples,)."""

    annotation: Annotation
    image: np.ndarray
    waveform: np.ndarray


def make_scene(number: int) -> Scene:
    random = np.random.default_rng(number)
    width, height = random.uniform(0.18, 0.62), random.uniform(0.2, 0.7)
    x, y = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    label = LABELS[number % len(LABELS)]
    key = f"clip{number:07d}_{10 * number:06d}"
    box = (x, y, x + width, y + height)
    return Scene(Annotation(key, label, (box,)), _image(random, box), _audio(random))


def _image(random: np.random.Generator, box: tuple[float, float, float, float]) -> np.ndarray:
    coarse = random.integers(40, 190, (6, 8, 3), dtype=np.uint8)
    canvas = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    for _ in range(3):
        left, top = random.integers(0, WIDTH), random.integers(0, HEIGHT)
        colour = tuple(random.integers(0, 255, 3).tolist())
        draw.rectangle((left, top, left + random.integers(20, 80), top + random.integers(20, 60)), fill=colour)
    corners = [value * side for value, side in zip(box, (WIDTH, HEIGHT) * 2, strict=True)]
    draw.ellipse(corners, fill=tuple(random.integers(90, 255, 3).tolist()), outline="white", width=3)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.8)))


def _audio(random: np.random.Generator) -> np.ndarray:
    seconds = np.arange(find_front_end().samples) / find_front_end().sample_rate
    pitch = random.uniform(180, 900)
    tone = sum(np.sin(2 * np.pi * pitch * partial * seconds) / partial for partial in (1, 2, 3, 5))
    beats = 0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(0.5, 4) * seconds)
    return (0.25 * tone * beats + 0.02 * random.normal(size=seconds.shape)).astype(np.float32)


def make_shards(folder: Path, scenes: list[Scene], sources: Path, hashes: dict[str, str]) -> Path:
    """A finished shard folder as ingest leaves it; `hashes` are of the source videos that exist."""
    write_shards(folder, [_made_clip(scene, hashes.get(scene.annotation.key, "")) for scene in scenes])
    _write_plan(folder, scenes, sources)
    return folder


def _made_clip(scene: Scene, sha256: str) -> MadeClip:
    facts = {"duration": 3.0, "moment": 1.5, "frame_pts": 1.5, "source_sha256": sha256}
    audio = find_front_end().spectrogram(scene.waveform)
    return MadeClip(scene.annotation.key, scene.image, audio, scene.annotation.label, "test", facts=facts)


def _write_plan(folder: Path, scenes: list[Scene], sources: Path) -> None:
    """Where ingest would have noted each clip's video; for most scenes there is none on disk."""
    clips = []
    for scene in scenes:
        key = scene.annotation.key
        video = sources / f"{key}.mp4"
        size = video.stat().st_size if video.is_file() else 1
        clips.append(Clip(key, key[:11], True, "", root=0, path=video.name, size=size))
    options = IngestOptions(shard_clips=len(clips))
    save(Plan(options, (sources,), (tuple(clips),), ()), folder / "plan")


def truth_of(scenes: list[Scene]) -> TestSet:
    return TestSet("synth-vggss", tuple(scene.annotation for scene in scenes), "vggss.json", "f" * 64)


def make_maps(scenes: list[Scene], skill: float, seed: int) -> np.ndarray:
    """(N, 14, 14): a bump on the object, weighted by `skill`, over smooth noise and a little centre bias."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:14, 0:14] / 13
    maps = []
    for scene in scenes:
        x1, y1, x2, y2 = scene.annotation.boxes[0]
        across, down = (columns - (x1 + x2) / 2) / (x2 - x1), (rows - (y1 + y2) / 2) / (y2 - y1)
        bump = np.exp(-3 * (across**2 + down**2))
        noise = np.asarray(Image.fromarray(random.normal(size=(4, 4)).astype(np.float32)).resize((14, 14), 3))
        centre = np.exp(-((columns - 0.5) ** 2 + (rows - 0.5) ** 2) * 4)
        maps.append(skill * random.uniform(0.3, 1.6) * bump + 0.35 * noise + 0.2 * centre)
    return np.array(maps, np.float32)


@dataclass(frozen=True)
class Invented:
    """What an invented run is like."""

    name: str
    seed: int = 0
    skill: float = 1.0
    prior: bool = False
    finished: bool = True
    lost: int = 0
    paper: dict | None = None


def make_run(root: Path, scenes: list[Scene], made: Invented) -> Path:
    """A run folder with log, maps and two evaluations by the real scoring."""
    folder = root / made.name / f"0123abcd-s{made.seed}"
    (folder / "evaluation").mkdir(parents=True)
    config = {
        "name": made.name, "method": {"name": "ezvsl"}, "seed": made.seed, "paper": made.paper or {},
        "data": {"image_size": 112}, "optim": {"epochs": 8, "batch_size": 64},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "environment.json").write_text(json.dumps({"commit": "c0ffee" * 6, "torch": "2.11.0"}))
    _write_log(folder / "metrics.jsonl", made)
    kept = scenes[made.lost :]
    names = [scene.annotation.key for scene in kept]
    maps = make_maps(kept, made.skill, seed=made.seed + 17 * len(made.name))
    boxes = np.array([scene.annotation.boxes[0] for scene in kept])
    np.savez(
        folder / "evaluation" / "synth-vggss.maps.npz",
        names=np.array(names), maps=maps, boxes=boxes, box_owner=np.arange(len(kept)),
    )  # fmt: skip
    objects = make_maps(kept, 0.5, seed=99) if made.prior else None
    for name in ("ezvsl", "adaptive"):
        result = score(RawMaps(names, maps, objects), Truth("vggss", truth_of(scenes)), name)
        result.write(folder / "evaluation")
    if made.finished:
        (folder / "DONE").write_text("")
    return folder


def _write_log(path: Path, made: Invented) -> None:
    random = np.random.default_rng(made.seed)
    lines = []
    for step in range(1, 401):
        loss = 1.2 + 3 * np.exp(-step / 90) / made.skill + 0.15 * random.normal()
        entry = {"step": step, "epoch": (step - 1) // 50, "loss": {"total": loss}, "lr": 1e-4, "seconds": 0.2 * step}
        if step % 50 == 0:
            entry["validation"] = {"ciou50": 0.2 + 0.3 * made.skill * (1 - np.exp(-step / 150))}
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines) + "\n")


def make_video(folder: Path, scene: Scene) -> str:
    """The source video of a scene, and its hash."""
    path = folder / f"{scene.annotation.key}.mp4"
    encode_video(path, np.repeat(scene.image[None], 15, axis=0), 5, scene.waveform, 11025)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    return [make_scene(number) for number in range(40)]


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, scenes: list[Scene]) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (sources := folder / "videos").mkdir()
    hashes = {scene.annotation.key: make_video(sources, scene) for scene in scenes[:2]}
    make_video(sources, scenes[2])  # on disk, but not what the shards were made from
    return make_shards(folder / "shards", scenes, sources, hashes)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, scenes: list[Scene]) -> list[Path]:
    root = tmp_path_factory.mktemp("runs")
    paper = {"synth-vggss": {"ezvsl": {"audio_visual": {"ciou50": 0.2385, "auc": 0.3554}}}}
    return [
        make_run(root, scenes, Invented("ezvsl", prior=True, paper=paper)),
        make_run(root, scenes, Invented("ezvsl", seed=1, skill=0.8)),
        make_run(root, scenes, Invented("weak<b>&", skill=0.1, finished=False, lost=3)),
    ]


@pytest.fixture
def invent(tmp_path: Path, scenes: list[Scene]) -> Callable[..., Path]:
    """`invent("name", clips=6, skill=...)`: the folder of an invented run over the first scenes."""

    def make(name: str, clips: int = 6, **traits: object) -> Path:
        return make_run(tmp_path / "runs", scenes[:clips], Invented(name, **traits))

    return make
