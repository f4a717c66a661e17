"""Scenes: sizes, shares and silences as they should be."""

from collections import Counter

import numpy as np
import pytest
from every import for_every
from synth_seed import SEED, SIDE

from pipeline.synth import lists
from pipeline.synth.classes import LABELS
from pipeline.synth.scene import draw_scene
from pipeline.synth.settings import HARD, Settings


def union(boxes: tuple[tuple[float, float, float, float], ...]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for x1, y1, x2, y2 in (np.array(boxes) * SIDE).astype(int).tolist():
        mask[y1:y2, x1:x2] = True
    return mask


def test_sizes_floor_and_ceiling_are_those_of_vggss(test_clips: list[lists.Clip]) -> None:
    masks = [union(clip.boxes) for clip in test_clips if clip.positive]
    areas = np.array([mask.mean() for mask in masks])
    measured = np.quantile(areas, (0.05, 0.25, 0.5, 0.75, 0.95))
    assert measured == pytest.approx([0.033, 0.121, 0.253, 0.463, 0.780], rel=0.25)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    distance = np.hypot(rows, columns)
    disc = distance <= np.median(distance)
    scores = np.array([(mask & disc).sum() / (mask | disc).sum() for mask in masks])
    ceiling = np.minimum(areas, 0.5) / np.maximum(areas, 0.5)
    assert 0.25 <= np.mean(scores >= 0.5) <= 0.36
    assert 0.45 <= np.mean(ceiling >= 0.5) <= 0.56


@for_every([(Settings(), 0.2), (HARD, 0.6)])
def test_shares_of_the_kinds_of_clip(case: tuple[Settings, float]) -> None:
    settings, share = case
    scenes = [draw_scene(SEED, index, settings) for index in range(600)]
    kinds = Counter(scene.kind for scene in scenes)
    assert 0.02 < kinds["off_screen"] / len(scenes) < 0.09
    assert 0.01 < kinds["silent"] / len(scenes) < 0.06
    sources = Counter(sum(thing.sounding for thing in scene.things) for scene in scenes)
    assert set(sources) == {0, 1, 2, 3}
    distracted = sum(any(thing.on_screen and not thing.sounding for thing in scene.things) for scene in scenes)
    assert distracted / len(scenes) == pytest.approx(share, abs=0.1)
    assert {scene.label for scene in scenes} == set(LABELS)
    assert sum(scene.split == "test" for scene in scenes) == 120


@for_every([Settings(), HARD])
def test_what_is_silent_in_the_image_is_of_another_class(settings: Settings) -> None:
    for scene in (draw_scene(SEED, index, settings) for index in range(300)):
        heard = {thing.label for thing in scene.things if thing.sounding}
        assert not any(thing.label in heard for thing in scene.things if not thing.sounding)
        if heard:
            assert max(scene.things, key=lambda thing: thing.gain).label == scene.label
        if scene.kind == "off_screen":
            assert scene.label in heard
            assert all(not thing.on_screen for thing in scene.things if thing.sounding)


def test_two_cuts_of_one_video_share_id_place_and_split() -> None:
    first, second = draw_scene(SEED, 10), draw_scene(SEED, 11)
    assert (first.source_id, first.split, first.label) == (second.source_id, second.split, second.label)
    assert first.key != second.key
    assert first.background_seed == second.background_seed
