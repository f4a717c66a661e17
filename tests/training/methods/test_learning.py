"""Short trainings on clips that fit what a method assumes: it must find what sounds, beside a silent object of another
class and far from the centre, where a disc in the middle finds nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from shard_maker import MadeClip, write_flow, write_proposals, write_shards, write_waveforms

from training.config import Encoder, Encoders, load_config
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.methods.pixelplayer import Config as PixelPlayerConfig
from training.methods.pixelplayer import Method as PixelPlayer
from training.runs import load_run

pytestmark = pytest.mark.slow
RATE = 11025
SIDE, CLASSES, CORNERS = 64, 4, ((2, 2), (2, 34), (34, 2), (34, 34))
COLOURS = np.array([(200, 40, 40), (40, 200, 40), (40, 60, 220), (210, 200, 40)])
MANY = np.concatenate([COLOURS, [(200, 40, 200), (40, 200, 200), (230, 230, 230), (10, 10, 10)]])
TRAINED = {
    "avol": ({}, 30, 3e-3),
    "dsol": ({"clusters": CLASSES, "passes": 1}, 13, 3e-3),
    "attention10k": ({"mismatches": "all"}, 16, 3e-3),
    "proposal": ({"dimension": 64, "mismatches": "all"}, 20, 1e-3),
    "coarse_to_fine": ({"classes": CLASSES}, 12, 3e-3),
    "avel": ({"classes": CLASSES, "dimension": 64, "hidden": 32}, 20, 3e-3),
    "lcbm": ({"classes": CLASSES, "dimension": 64}, 12, 3e-3),
    "heartheflow": ({"positive_threshold": 0.4, "negative_threshold": 0.2, "mask_temperature": 0.1}, 20, 3e-3),
    "dmc": ({"dimension": 32, "image_clusters": 3}, 30, 3e-3),
}


def made_clip(number: int, rng: np.random.Generator) -> tuple[MadeClip, list[float]]:
    """A clip with one sounding object, and its box in fractions of the frame. Every third clip is a test clip."""
    sounding, silent = rng.permutation(CLASSES)[:2]
    places = [CORNERS[corner] for corner in rng.permutation(4)[:2]]
    frame = rng.integers(60, 130, (SIDE, SIDE, 3))
    for label, (top, left) in zip((sounding, silent), places, strict=True):
        frame[top : top + 28, left : left + 28] = COLOURS[label] + rng.integers(-30, 30, (28, 28, 1))
    audio = rng.normal(-12, 1, (257, 300))
    audio[60 * sounding : 60 * sounding + 50] += 8
    key, (top, left) = f"clip{number:07d}_000000", places[0]
    split = "test" if number % 3 == 0 else "train"
    pixels = frame.clip(0, 255).astype(np.uint8)
    box = [left / SIDE, top / SIDE, (left + 28) / SIDE, (top + 28) / SIDE]
    return MadeClip(key, pixels, audio.astype(np.float16), f"class{sounding}", split), box


def among_many(number: int, rng: np.random.Generator, seen: int, heard: int) -> tuple[MadeClip, list[list[float]]]:
    """A clip with `seen` objects of other classes of eight, `heard` of which sound, and the boxes of these."""
    frame, audio = rng.integers(60, 130, (SIDE, SIDE, 3)), rng.normal(-12, 1, (257, 300))
    labels, places = rng.permutation(len(MANY))[:seen], rng.permutation(4)[:seen]
    for label, (top, left) in zip(labels, (CORNERS[place] for place in places), strict=True):
        frame[top : top + 28, left : left + 28] = MANY[label] + rng.integers(-30, 30, (28, 28, 1))
    for label in labels[:heard]:
        audio[30 * label : 30 * label + 25] += 8
    corners = [CORNERS[place] for place in places[:heard]]
    boxes = [[left / SIDE, top / SIDE, (left + 28) / SIDE, (top + 28) / SIDE] for top, left in corners]
    key, split = f"clip{number:07d}_000000", "test" if number % 3 == 0 else "train"
    pixels = frame.clip(0, 255).astype(np.uint8)
    return MadeClip(key, pixels, audio.astype(np.float16), f"class{labels[0]}", split), boxes


def regions(rng: np.random.Generator) -> np.ndarray:
    """Proposals (24, 4): all four places where objects may be, and others."""
    corners = np.array(CORNERS)[:, ::-1] / SIDE
    low = rng.uniform(0, 0.5, (20, 2))
    others = np.concatenate([low, low + rng.uniform(0.2, 0.5, (20, 2))], axis=1)
    return rng.permutation(np.concatenate([np.concatenate([corners, corners + 28 / SIDE], axis=1), others]))


def heard(label: int, rng: np.random.Generator) -> np.ndarray:
    """3 s of noise (float32) in the band of frequencies of a class, over a little noise everywhere."""
    spectrum = np.fft.rfft(rng.normal(0, 1, 3 * RATE))
    hertz = np.fft.rfftfreq(3 * RATE, 1 / RATE)
    low = 200 * 2**label
    spectrum[(hertz < low) | (hertz > 1.7 * low)] *= 0.02
    sound = np.fft.irfft(spectrum, 3 * RATE)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def moving(box: list[float], rng: np.random.Generator) -> np.ndarray:
    """Flow (2, 16, 16): what sounds moves, in a direction of its own; the rest hardly does."""
    field = rng.normal(0, 0.02, (2, 16, 16))
    x1, y1, x2, y2 = (round(16 * side) for side in box)
    angle = rng.uniform(0, 2 * np.pi)
    field[:, y1:y2, x1:x2] += 0.5 * np.array([np.cos(angle), np.sin(angle)])[:, None, None]
    return field


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shards of 240 clips and the annotations of its 80 test clips."""
    folder, rng = tmp_path_factory.mktemp("learning"), np.random.default_rng(0)
    made = [made_clip(number, rng) for number in range(240)]
    write_shards(folder / "shards", [clip for clip, _ in made], short_side=SIDE)
    write_proposals(folder / "shards", {clip.key: regions(rng) for clip, _ in made})
    sounds = {clip.key: heard(int(str(clip.label)[5:]), rng) for clip, _ in made}
    write_waveforms(folder / "shards", sounds, RATE, start=3.5)
    write_flow(folder / "shards", {clip.key: moving(box, rng) for clip, box in made})
    tests = [{"file": c.key, "class": c.label, "bbox": [box]} for c, box in made if c.split == "test"]
    (folder / "vggss.json").write_text(json.dumps(tests))
    return folder


@pytest.mark.parametrize("name", TRAINED)
def test_a_short_training_finds_what_sounds(name: str, corpus: Path) -> None:
    options, epochs, rate = TRAINED[name]
    found, disc = trained(corpus, name, {"name": name, **options}, epochs, rate)
    assert found > disc + 0.15


def test_pixelplayer_takes_mixtures_apart() -> None:
    """Masks for images of the wrong clips cost as much as none; those of the right ones a third less."""
    rng = np.random.default_rng(0)
    made = [made_clip(number, rng)[0] for number in range(160)]
    sounds = np.stack([heard(int(str(clip.label)[5:]), rng)[:8448] for clip in made])
    images = torch.from_numpy(np.stack([clip.frame for clip in made])).permute(0, 3, 1, 2) / 58 - 2
    torch.manual_seed(0)
    trunk = Encoder(blocks=(1, 1), width=16, weights="none")
    config = PixelPlayerConfig(components=8, width=8, levels=4)
    method = PixelPlayer(config, Encoders(image=trunk, audio=trunk))
    slow, fast = method.parameter_groups()
    optimiser = torch.optim.Adam([slow | {"lr": 1e-3}, fast | {"lr": 3e-3}])
    losses = []
    for _ in range(320):
        chosen = torch.randint(0, len(made), (16,))
        batch = {"image": images[chosen], "waveform": torch.from_numpy(sounds)[chosen], "source": chosen}
        optimiser.zero_grad()
        loss = method.loss(batch)["total"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-40:]) < 0.75 * np.mean(losses[:40])
    shuffled = images[torch.randperm(len(made))]
    with torch.no_grad():
        given = {"waveform": torch.from_numpy(sounds)[:64], "source": torch.arange(64)}
        torch.manual_seed(1)
        right = method.loss(given | {"image": images[:64]})["total"].item()
        torch.manual_seed(1)
        wrong = method.loss(given | {"image": shuffled[:64]})["total"].item()
    assert right < 0.8 * wrong


def test_the_second_stage_of_coarse_to_fine_goes_on_from_the_first(corpus: Path) -> None:
    options = {"name": "coarse_to_fine", "classes": CLASSES}
    trained(corpus, "coarse", options, 12, 3e-3)
    found, disc = trained(corpus, "fine", {**options, "stage": 2}, 6, 1e-3, init_from=str(corpus / "runs" / "coarse"))
    assert found > disc + 0.15


def test_the_second_stage_of_dsol_tells_who_sounds_in_a_collage(tmp_path: Path) -> None:
    """Of few classes two mixtures mostly share a sound, and there is nothing to learn from; of eight there is."""
    rng = np.random.default_rng(0)
    for name, count, seen, heard in (("solos", 360, 1, 1), ("collages", 300, 4, 2)):
        made = [among_many(number, rng, seen, heard) for number in range(count)]
        write_shards(tmp_path / name, [clip for clip, _ in made], short_side=SIDE)
        tests = [{"file": clip.key, "class": "any", "bbox": boxes} for clip, boxes in made if clip.split == "test"]
        (tmp_path / f"{name}.json").write_text(json.dumps(tests))
    first = {"name": "dsol", "clusters": len(MANY), "passes": 1, "mismatches": "all"}
    trained(tmp_path, "first", first, 14, 3e-3, "solos")
    second = {"name": "dsol_mixtures", "clusters": len(MANY)}
    earlier = str(tmp_path / "runs" / "first")
    found, disc = trained(tmp_path, "second", second, 5, 1e-4, "collages", init_from=earlier)
    assert found > disc + 0.1


def trained(
    corpus: Path, name: str, method: dict, epochs: int, rate: float, shards: str = "shards", **more: object
) -> tuple[float, float]:
    """Mean IoU of a run of these options, and of the centred disc, on the test clips."""
    config = {
        "name": name,
        "method": method,
        "data": {"shards": str(corpus / shards), "image_size": SIDE, "crop_scale": 1.0, "exclude_test": []},
        "encoders": {
            "image": {"blocks": [1, 1], "width": 16, "weights": "none"},
            "audio": {"blocks": [1, 1], "width": 16, "input_pool": [8, 10], "weights": "none"},
        },
        "optim": {"epochs": epochs, "batch_size": 16, "learning_rate": rate, "schedule": "cosine"},
        **more,
    }
    (corpus / f"{name}.yaml").write_text(yaml.safe_dump(config))
    folder, _ = start(load_config(corpus / f"{name}.yaml"), corpus / "runs", "cpu")
    protocol = "boxes" if name == "proposal" else "adaptive"
    truth = corpus / ("vggss.json" if shards == "shards" else f"{shards}.json")
    (result,) = evaluate(load_run(folder), EvaluationRequest(truth=truth, protocols=(protocol,)))
    summary = result.summary
    return summary["scores"]["audio_visual"]["mean_iou"], summary["floors"]["centred_disc"]["mean_iou"]
