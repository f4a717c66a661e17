"""What is painted: boxes around pixels, what hides what, looks of a class."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from synth_seed import SEED

from pipeline.synth.classes import LABELS, PALETTES, SOUND_CLASSES, palettes_of
from pipeline.synth.render import central_frame, frames, sights
from pipeline.synth.scene import MOMENT_FRAME, Scene, draw_image, draw_scene


@pytest.mark.parametrize("number", range(len(SOUND_CLASSES)))
def test_box_is_tight_around_the_pixels_that_show_the_object(number: int) -> None:
    scene = draw_image(SEED, number, 0, 160, 120)
    empty = replace(scene, things=())
    changed = np.abs(np.asarray(central_frame(scene), int) - np.asarray(central_frame(empty), int)).sum(2)
    (sight,) = sights(scene)
    assert sight.box is not None
    x1, y1, x2, y2 = np.rint(np.array(sight.box) * (160, 120, 160, 120)).astype(int).tolist()
    inside = changed[y1:y2, x1:x2]
    assert inside.sum() > 0.99 * changed.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def two_objects() -> Scene:
    scenes = (draw_scene(SEED, index) for index in range(100))
    return next(scene for scene in scenes if sum(thing.on_screen for thing in scene.things) == 2)


def test_hidden_pixels_belong_to_the_object_in_front() -> None:
    scene = two_objects()
    front = scene.things[1]
    covered = replace(scene, things=(replace(front, scale=0.5 * front.scale), front))
    behind, before = sights(covered)
    assert behind.visible_share < 0.35
    assert before == sights(replace(scene, things=(front,)))[0]


def test_objects_move_and_the_camera_too() -> None:
    scene = two_objects()
    moving = frames(scene).astype(int)
    assert np.abs(moving[0] - moving[-1]).mean() > 3
    still = frames(replace(scene, things=())).astype(int)
    assert np.abs(still[0] - still[MOMENT_FRAME]).mean() > 1


def test_classes_have_several_looks_and_share_their_palettes() -> None:
    worn = Counter(PALETTES.index(palette) for number in range(len(LABELS)) for palette in palettes_of(number))
    assert set(worn) == set(range(len(PALETTES)))
    assert min(worn.values()) >= 6
    assert len({one.silhouette for one in SOUND_CLASSES}) == len({one.pattern for one in SOUND_CLASSES}) == len(LABELS)
    images = {central_frame(draw_image(SEED, 0, copy, 64, 64)).tobytes() for copy in range(5)}
    assert len(images) == 5
