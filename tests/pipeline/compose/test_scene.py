"""Scenes composed of material that is never read: sizes, places and shares as VGG-SS has them."""

from collections import Counter

import numpy as np
import pytest

from pipeline.compose.pieces import CutOut, Library, Scene, Shelf
from pipeline.compose.places import group_by_colours, related_order
from pipeline.compose.scene import draw_scene
from pipeline.compose.settings import Settings

LABELS = tuple("abcdefgh")


def shelf(first: int) -> Shelf:
    rng = np.random.default_rng(first)
    sizes = rng.integers(60, 300, (len(LABELS), 30, 2)).tolist()
    images = {
        label: [CutOut(first + 100 * place + n, *size) for n, size in enumerate(sizes[place])]
        for place, label in enumerate(LABELS)
    }
    sounds = {label: [first + 100 * place + 50 + n for n in range(20)] for place, label in enumerate(LABELS)}
    return Shelf(images, sounds, {"rain": [first + 5000]}, {0: [first + 9000], 1: [first + 9001]})


LIBRARY = Library({"train": shelf(0), "test": shelf(100000)}, {label: (ord(label) % 2,) for label in LABELS})


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(LIBRARY, Settings(), index) for index in range(1500)]


def shown(thing, scene: Scene) -> np.ndarray:
    """The part of a thing's box inside the frame, as shares of it: x1, y1, x2, y2."""
    left, top, width, height = thing.box
    frame = np.array([scene.width, scene.height] * 2)
    return np.clip(np.array([left, top, left + width, top + height]) / frame, 0, 1)


def single_boxes(scenes: list[Scene]) -> np.ndarray:
    return np.array([shown(s.things[0], s) for s in scenes if s.kind == "ordinary" and len(s.things) == 1])


def middles_of(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def test_areas_and_middles_are_those_of_vggss(scenes: list[Scene]) -> None:
    boxes = single_boxes(scenes)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert np.quantile(areas, (0.05, 0.25, 0.5, 0.75, 0.95)) == pytest.approx([0.03, 0.12, 0.25, 0.46, 0.78], rel=0.2)
    middles = middles_of(boxes)
    assert middles.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.02)
    assert middles.std(axis=0) == pytest.approx([0.117, 0.140], rel=0.1)


def test_spread_objects_stand_further_from_the_middle(scenes: list[Scene]) -> None:
    spread = [draw_scene(LIBRARY, Settings(spread=True), index) for index in range(600)]
    ratio = middles_of(single_boxes(spread)).std(axis=0) / middles_of(single_boxes(scenes)).std(axis=0)
    assert (ratio > 1.05).all()
    assert ratio[0] > 1.3  # VGG-SS's middles deviate less to the sides


def test_near_the_middle_or_spread_nothing_lies_further_outside(scenes: list[Scene]) -> None:
    for scene in scenes:
        for thing in scene.things:
            left, top, width, height = thing.box
            size, frame = np.array([width, height]), np.array([scene.width, scene.height])
            away = np.abs(np.array([left, top]) + size / 2 - frame / 2)
            assert (away <= np.maximum(frame - 0.8 * size, 0.06 * frame) / 2 + 1e-9).all()


def test_options_of_folders_made_before_are_those_of_spread_objects() -> None:
    assert not {"spread", "middles"} & set(Settings(spread=True).described())
    assert Settings().described()["middles"] == "vggss"


def test_kinds_and_objects_in_the_shares_asked_for(scenes: list[Scene]) -> None:
    kinds = Counter(scene.kind for scene in scenes)
    assert kinds["off_screen"] / len(scenes) == pytest.approx(0.05, abs=0.02)
    assert kinds["silent"] / len(scenes) == pytest.approx(0.03, abs=0.015)
    ordinary = [scene for scene in scenes if scene.kind == "ordinary"]
    assert np.mean([sum(t.sounding for t in s.things) > 1 for s in ordinary]) == pytest.approx(0.11, abs=0.03)
    train = [s for s in ordinary if s.split == "train"]
    assert np.mean([any(not t.sounding for t in s.things) for s in train]) == pytest.approx(0.2, abs=0.04)
    assert sum(scene.split == "test" for scene in scenes) == 300
    assert np.mean([s.place in LIBRARY.homes[s.label] for s in train]) == pytest.approx(0.9, abs=0.05)


def test_settings_of_nothing_and_of_all() -> None:
    plain = Settings(several=0, distractors=0, interactive=0, off_screen=0, silent=0, surroundings=1)
    for scene in (draw_scene(LIBRARY, plain, index) for index in range(100)):
        assert [thing.sounding for thing in scene.things] == [True]
        assert scene.place in LIBRARY.homes[scene.label]
    for index in range(100):
        assert draw_scene(LIBRARY, Settings(silent=1, off_screen=0), index).kind == "silent"
        assert (
            sum(t.sounding for t in draw_scene(LIBRARY, Settings(several=1, silent=0, off_screen=0), index).things) > 1
        )
        pair = draw_scene(LIBRARY, Settings(several=0, interactive=1, silent=0, off_screen=0), 5 * index + 4).things
        assert sorted(thing.sounding for thing in pair) == [False, True]
        assert pair[0].label != pair[1].label


def test_each_side_uses_its_own_material(scenes: list[Scene]) -> None:
    for scene in scenes:
        used = [thing.image for thing in scene.things if thing.on_screen] + [scene.background]
        used += [number for thing in scene.things for number in thing.recordings]
        assert all((number >= 100000) == (scene.split == "test") for number in used)


def test_a_scene_does_not_depend_on_the_others() -> None:
    assert draw_scene(LIBRARY, Settings(clips=7), 3) == draw_scene(LIBRARY, Settings(clips=400), 3)
    assert draw_scene(LIBRARY, Settings(seed=1), 3) != draw_scene(LIBRARY, Settings(seed=2), 3)


def test_two_classes_of_two_cut_outs_are_enough() -> None:
    few = Shelf({"a": [CutOut(0, 20, 400)], "b": [CutOut(1, 400, 20)]}, {"a": [2], "b": [3]}, {}, {0: []})
    library = Library({"train": few, "test": few}, {"a": (0,), "b": (0,)})
    for index in range(200):
        scene = draw_scene(library, Settings(several=0.5, distractors=1), index)
        assert scene.background is None
        assert scene.things


def test_backgrounds_that_look_alike_are_one_place_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    kind = np.arange(40) % 4
    colours = kind[:, None] + 0.05 * rng.standard_normal((40, 6))
    sides = ["test" if n % 10 < 4 and n >= 20 else "train" for n in range(40)]
    groups = np.array(group_by_colours(colours, sides, 4, 0))
    for group in np.unique(groups):
        assert {sides[n] for n in np.flatnonzero(groups == group)} == {"train", "test"}
    assert all(len(set(kind[groups == group])) <= 2 for group in np.unique(groups))
    assert group_by_colours(np.ones((6, 3)), ["train"] * 3 + ["test"] * 3, 4, 0) == [0] * 6


def test_classes_that_sound_alike_stand_together() -> None:
    sounds = {"a": np.array([0.0, 1]), "b": np.array([9.0, 9]), "c": np.array([0.1, 1]), "d": np.array([9.1, 9])}
    order = related_order(sounds)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ac"), frozenset("bd")}
