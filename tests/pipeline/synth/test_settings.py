"""Settings of the drawn corpus: surroundings that go with a class, smaller silent objects, and nothing else changed."""

import hashlib
import json
from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from commands import Commands
from every import for_every
from synth_seed import SEED

from manifests.errors import InputError
from pipeline.synth.classes import LABELS
from pipeline.synth.corpus import write_corpus
from pipeline.synth.render import central_frame
from pipeline.synth.scene import HOMES, PLACES, Scene, Thing, draw_scene
from pipeline.synth.settings import HARD, Settings
from pipeline.synth.surroundings import homes


def area(thing: Thing) -> float:
    low, high = thing.look.extent()
    return float(np.prod(high - low) * thing.scale**2)


def told(scene: Scene) -> list[object]:
    things = [[thing.label, round(thing.scale, 3), round(thing.gain, 3)] for thing in scene.things]
    return [scene.key, scene.label, scene.kind, scene.place, things]


def test_the_hard_world_is_that_of_the_first_corpora() -> None:
    scenes = [told(draw_scene(SEED, index, HARD)) for index in range(40)]
    assert (
        hashlib.sha256(json.dumps(scenes).encode()).hexdigest()
        == "474703c996f10359733bc018a1def10ac7be1e9287a9af5089fd7ac4e812ec83"
    )


def test_surroundings_change_nothing_else() -> None:
    for index in range(40):
        placed = draw_scene(SEED, index, replace(HARD, surroundings=0.5))
        assert repr(replace(placed, place=None)) == repr(draw_scene(SEED, index, HARD))


def test_the_defaults_are_near_vggss() -> None:
    """Mostly one object that dominates, four times in five in surroundings of its class."""
    assert Settings() == Settings(surroundings=0.8, distractors=0.2)
    scenes = [draw_scene(SEED, index) for index in range(600)]
    at_home = np.mean([scene.place in HOMES[scene.label] for scene in scenes])
    assert at_home == pytest.approx(0.8 + 0.2 * 1.5 / len(PLACES), abs=0.06)
    ordinary = [scene.things for scene in scenes if scene.kind == "ordinary"]
    with_silent = [things for things in ordinary if not all(thing.sounding for thing in things)]
    assert len(with_silent) / len(ordinary) == pytest.approx(0.2, abs=0.06)
    sizes = [sorted(map(area, things)) for things in ordinary]
    assert np.mean([one[-1] > 2 * sum(one[:-1]) for one in sizes]) > 0.85
    largest = [max(things, key=area).sounding for things in with_silent]
    assert np.mean(largest) > 0.95


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

    for scene, found in zip(ordinary, quiet, strict=True):
        largest = sum(area(thing) for thing in scene.things if thing.sounding)
        assert all(area(thing) < max(0.6 * largest, 0.03 * scene.width * scene.height) for thing in found)


def test_settings_are_part_of_what_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    write_corpus(out, 6, SEED, 1)
    assert json.loads((out / "options.json").read_text()) == {
        "version": 1, "clips": 6, "seed": SEED, "surroundings": 0.8, "distractors": 0.2,
    }  # fmt: skip
    described = json.loads((out / "corpus.json").read_text())
    assert set(described["surroundings"]) == set(LABELS)
    assert described["statistics"]["same class in the same surroundings"]
    with pytest.raises(InputError, match="other options"):
        write_corpus(out, 6, SEED, 1, HARD)
    for wrong in (Settings(surroundings=1.5), Settings(distractors=-0.1)):
        with pytest.raises(InputError, match="between 0 and 1"):
            write_corpus(tmp_path / "new", 6, SEED, 1, wrong)


def test_a_corpus_of_before_goes_on(tmp_path: Path) -> None:
    """Its options name none of the settings that were the usual ones when it was begun."""
    out, begun = tmp_path / "corpus", json.dumps({"version": 1, "clips": 2, "seed": SEED})
    out.mkdir()
    (out / "options.json").write_text(begun)
    with pytest.raises(InputError, match="without surroundings are --surroundings 0, without distractors --rivals"):
        write_corpus(out, 2, SEED, 1)
    write_corpus(out, 2, SEED, 1, HARD)
    write_corpus(tmp_path / "new", 2, SEED, 1, HARD)
    for name in ("options.json", "corpus.json", "truth.parquet"):
        assert (out / name).read_bytes() == (tmp_path / "new" / name).read_bytes()
    assert (out / "options.json").read_text() == begun


ASKED = [
    ((), Settings(0.8, 0.2)),
    (("--surroundings", "0", "--rivals"), HARD),
    (("--surroundings", "0.5", "--rivals"), Settings(0.5, None)),
    (("--distractors", "0"), Settings(0.8, 0.0)),
]


@pytest.fixture
def synth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """The command less its work: what it asks for goes into the list beside it."""
    asked: list[Settings] = []
    monkeypatch.setattr("pipeline.synth.corpus.write_corpus", lambda *given: asked.append(given[-1]))
    return lambda *options: (Commands(monkeypatch, capsys)("pipeline", "synth", *options, cwd=tmp_path), asked)


@pytest.mark.parametrize(("options", "settings"), ASKED, ids=[" ".join(options) or "none" for options, _ in ASKED])
def test_options_of_the_command(synth, options: tuple[str, ...], settings: Settings) -> None:
    ended, asked = synth(*options)
    assert (ended.returncode, asked) == (0, [settings])


def test_silent_objects_are_of_one_kind(synth) -> None:
    ended, asked = synth("--distractors", "0.2", "--rivals")
    assert (ended.returncode, asked) == (2, [])
    assert "--rivals are silent objects in place of --distractors: give one of the two." in ended.stderr
