"""Settings of the drawn corpus: surroundings that go with a class, smaller silent objects, and nothing else changed."""

import json
from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from every import for_every
from synth_seed import SEED

from manifests.errors import InputError
from pipeline.synth.classes import LABELS
from pipeline.synth.corpus import write_corpus
from pipeline.synth.render import central_frame
from pipeline.synth.scene import HOMES, PLACES, draw_scene
from pipeline.synth.settings import Settings
from pipeline.synth.surroundings import homes


def test_without_settings_nothing_changes() -> None:
    for index in range(40):
        usual, placed = draw_scene(SEED, index), draw_scene(SEED, index, Settings(surroundings=0.5))
        assert repr(draw_scene(SEED, index, Settings())) == repr(usual)
        assert repr(replace(placed, place=None)) == repr(usual)


def test_a_class_appears_in_its_own_places_as_often_as_asked() -> None:
    for share in (0.5, 1.0):
        scenes = [draw_scene(0, index, Settings(surroundings=share)) for index in range(400)]
        at_home = np.mean([scene.place in HOMES[scene.label] for scene in scenes])
        elsewhere = (1 - share) * 1.5 / len(PLACES)
        assert at_home == pytest.approx(share + elsewhere, abs=0.07)


def test_places_are_shared_with_related_classes() -> None:
    sharing = defaultdict(set)
    for label, places in HOMES.items():
        assert len(places) in (1, 2)
        for place in places:
            sharing[place].add(label)
    assert set(sharing) == set(PLACES)
    assert all(2 <= len(found) <= 3 for found in sharing.values())
    assert set(HOMES) == set(LABELS)


@for_every(list(product(range(2, 30), (1, 2, 5, 40))))
def test_every_class_has_a_home(case: tuple[int, int]) -> None:
    classes, places = case
    found = homes([str(number) for number in range(classes)], range(places))
    assert all(1 <= len(own) <= 2 for own in found.values())


def test_backgrounds_of_a_place_resemble_one_another() -> None:
    scenes = [draw_scene(SEED, index, Settings(surroundings=1.0)) for index in range(150)]
    wide = [replace(scene, things=(), width=64, height=48) for scene in scenes]
    places = np.array([scene.place for scene in wide])
    colours = np.stack([np.asarray(central_frame(scene).resize((4, 3)), float).ravel() for scene in wide])
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    same = places[:, None] == places[None]
    np.fill_diagonal(same, False)
    assert apart[same].mean() < 0.75 * apart[~same].mean()


def test_smaller_silent_objects_in_the_share_asked_for() -> None:
    scenes = [draw_scene(SEED, index, Settings(distractors=0.2)) for index in range(500)]
    ordinary = [scene for scene in scenes if scene.kind == "ordinary"]
    quiet = [[thing for thing in scene.things if not thing.sounding] for scene in ordinary]
    assert np.mean([bool(found) for found in quiet]) == pytest.approx(0.2, abs=0.06)
    assert not any(
        not thing.sounding for scene in (draw_scene(SEED, n, Settings(distractors=0.0)) for n in range(99))
        for thing in scene.things if scene.kind == "ordinary"
    )  # fmt: skip

    def area(thing) -> float:
        low, high = thing.look.extent()
        return float(np.prod(high - low) * thing.scale**2)

    for scene, found in zip(ordinary, quiet, strict=True):
        largest = sum(area(thing) for thing in scene.things if thing.sounding)
        assert all(area(thing) < max(0.6 * largest, 0.03 * scene.width * scene.height) for thing in found)


def test_settings_are_part_of_what_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    write_corpus(out, 6, SEED, 1, Settings(surroundings=0.8, distractors=0.2))
    assert json.loads((out / "options.json").read_text()) == {
        "version": 1, "clips": 6, "seed": SEED, "surroundings": 0.8, "distractors": 0.2,
    }  # fmt: skip
    described = json.loads((out / "corpus.json").read_text())
    assert set(described["surroundings"]) == set(LABELS)
    assert described["statistics"]["same class in the same surroundings"]
    with pytest.raises(InputError, match="other options"):
        write_corpus(out, 6, SEED, 1)
    for wrong in (Settings(surroundings=1.5), Settings(distractors=-0.1)):
        with pytest.raises(InputError, match="between 0 and 1"):
            write_corpus(tmp_path / "new", 6, SEED, 1, wrong)
