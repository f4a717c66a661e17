"""What corpus.json says of a corpus, against closed forms and against the evaluation's own floors and ceiling."""

import uuid

import numpy as np
import pytest
from synth_seed import SEED

from pipeline.synth.descriptors import audio_descriptor, image_descriptor
from pipeline.synth.scene import draw_scene
from pipeline.synth.statistics import Impression, measure
from pipeline.synth.truth import Row, truth_rows
from training.evaluation import floors
from training.evaluation.localization import ciou, success_rate
from training.evaluation.protocols import find_protocol
from training.evaluation.truth import weight_maps


def row(split: str, label: str, box: tuple[float, float, float, float] | None, video: str = "") -> Row:
    corners = dict(zip(("x1", "y1", "x2", "y2"), box or (None,) * 4, strict=True))
    video = video or uuid.uuid4().hex
    return {
        "split": split,
        "label": label,
        "source_id": video,
        "sounding": True,
        "on_screen": box is not None,
        **corners,
    }


def impression(*values: float, place: int | None = None) -> Impression:
    vector = np.array(values, np.float32)
    return Impression(vector, vector, vector, place)


def test_floors_and_ceiling_are_those_of_the_evaluation() -> None:
    from manifests.annotations import Annotation

    truth = [truth_rows(draw_scene(SEED, index)) for index in range(300) if index % 5 == 4 or index < 5]
    measured = measure(truth, [impression(0.0, 1.0) for _ in truth])["ciou50"]
    annotations = []
    for rows in truth:
        boxes = tuple((r["x1"], r["y1"], r["x2"], r["y2"]) for r in rows if r["sounding"] and r["on_screen"])
        if boxes and rows[0]["split"] == "test":
            annotations.append(Annotation(rows[0]["key"], None, boxes))
    weights = weight_maps(annotations)
    pixels = (weights > 0).sum(axis=(1, 2))
    assert measured["clips"] == len(annotations)
    for rule, name in (("top half", "ezvsl"), ("adaptive", "adaptive")):
        protocol = find_protocol(name)
        masks = floors.floor_masks([a.key for a in annotations], protocol, pixels, 0)
        for guess, floor in (("centred disc", floors.CENTRED_DISC), ("whole image", floors.WHOLE_IMAGE)):
            assert measured[rule][guess] == pytest.approx(success_rate(ciou(masks[floor], weights)), abs=1e-4)
        assert measured[rule]["ceiling"] == pytest.approx(success_rate(floors.ceiling(weights, protocol)), abs=1e-4)


def test_the_prior_is_where_training_boxes_are() -> None:
    corner = (0.0, 0.0, 0.5, 1.0)
    truth = [[row("train", "a", corner)], [row("train", "a", corner)], [row("test", "a", corner)]]
    found = measure(truth, [impression(0.0)] * 3)
    assert found["ciou50"]["top half"]["prior"] == found["ciou50"]["adaptive"]["prior"] == 1.0
    assert found["ciou50"]["top half"]["centred disc"] == 0.0
    assert found["boxes"]["area quantiles"]["50"] == 0.5
    assert found["boxes"]["middle"] == {"mean": [0.25, 0.5], "deviation": [0.0, 0.0]}


def test_neighbours_of_one_class() -> None:
    truth = [[row("train", label, None)] for label in "aaabbb"] + [[row("test", "a", None)]]
    impressions = [impression(1.0, n / 10, place=0) for n in range(3)]
    impressions += [impression(-1.0, n / 10, place=1) for n in range(3)] + [impression(0.0, 0.0, place=1)]
    found = measure(truth, impressions)
    assert found["same class among neighbours"]["by sound"] == {"1": 1.0}
    assert found["same class among neighbours"]["chance"] == 0.4
    assert found["same class in the same surroundings"] == {"share": 1.0, "chance": 0.4}
    assert found["ciou50"] is found["boxes"] is None


def test_cuts_of_one_video_are_no_neighbours() -> None:
    for videos, expected in (("vuwx", 0.5), ("vvwx", 0.0)):
        truth = [[row("train", label, None, video)] for label, video in zip("aabb", videos, strict=True)]
        found = measure(truth, [impression(1.0, n / 10) for n in (0, 1, 2, 30)])["same class among neighbours"]
        assert found["by image"]["1"] == expected


def test_descriptors_do_not_depend_on_loudness_or_brightness_alone() -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(90000).astype(np.float32) * np.linspace(0, 0.1, 90000, dtype=np.float32)
    other = rng.standard_normal(90000).astype(np.float32).cumsum()
    louder, apart = (
        np.abs(audio_descriptor(sound) - audio_descriptor(each)).mean() for each in (3 * sound, other / 500)
    )
    assert louder < 0.2 * apart
    frame = rng.integers(0, 120, (60, 80, 3)).astype(np.uint8)
    assert np.abs(image_descriptor(frame) - image_descriptor(frame + 20)).max() < 0.05
    assert image_descriptor(frame).shape == (320,)
