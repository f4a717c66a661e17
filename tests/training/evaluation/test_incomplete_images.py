"""Images with several sounds, and videos of several frames, of which some have no map."""

from dataclasses import replace

import numpy as np
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.sound_draws import CONTROLS
from manifests.test_sets import INTERACTIVE, LOCALIZATION, Truth
from training.evaluation.control_maps import ControlMaps
from training.evaluation.earlier import earlier_rules
from training.evaluation.printing import left_out_in_words, table
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score

IMAGES, WHOLE = 12, 5  # of the others the second sound has no map, and of the last neither
PROTOCOLS = ("kaist", "adaptive", "adaptive_masks", "vssl")
IIOU = ("iiou", "iauc", "iiou_of_several", "iauc_of_several")


@pytest.fixture
def truth() -> Truth:
    """Each image has a sound at its left and one at its right."""
    boxes = {"dog": (0.0, 0.0, 0.5, 1.0), "cat": (0.5, 0.0, 1.0, 1.0)}
    clips = (Annotation(f"scene_{at:03d}_{name}", name, (box,)) for at in range(IMAGES) for name, box in boxes.items())
    return Truth("is3", TestSet("made", tuple(clips), "made", "0" * 64), tasks=frozenset({LOCALIZATION, INTERACTIVE}))


def answers(keys: list[str], protocol: str) -> RawMaps | ControlMaps:
    """Right of every first sound, and of every other second one."""
    left = np.where(np.arange(8) < 4, 1.0, -1.0)
    sides = [-1 if key.endswith("cat") and int(key[6:9]) % 2 else 1 for key in keys]
    ramps = [side * (left if key.endswith("dog") else -left) for side, key in zip(sides, keys, strict=True)]
    tilt = np.linspace(0, 0.1, 64).reshape(8, 8)
    raw = RawMaps(keys, np.stack([np.tile(ramp, (8, 1)) + tilt for ramp in ramps]).astype(np.float32))
    silent = np.zeros_like(raw.maps)
    return ControlMaps(raw, dict.fromkeys(CONTROLS, silent)) if protocol == "vssl" else raw


def block_of(facts: dict, protocol: str) -> dict:
    own = facts["scores" if protocol == "adaptive_masks" else "interactive"]["audio_visual"]
    return own | {name: facts[name] for name in ("n_incomplete",) if name in facts}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_is_judged_when_each_of_its_sounds_has_a_map(truth: Truth, protocol: str) -> None:
    """Those of which a sound has none are left out, counted and said: never solved by the sounds that have one."""
    known = truth.test_set.keys[:-2]
    partly = [key for key in known if int(key[6:9]) < WHOLE or key.endswith("dog")]
    facts = score(answers(partly, protocol), truth, protocol).summary
    whole = tuple(one for one in truth.test_set.annotations if int(one.key[6:9]) < WHOLE)
    part = replace(truth, test_set=replace(truth.test_set, annotations=whole))
    alone = score(answers(list(part.test_set.keys), protocol), part, protocol).summary
    found, expected = block_of(facts, protocol), block_of(alone, protocol)
    assert [found[name] for name in IIOU] == [expected[name] for name in IIOU]
    assert 0 < found["iiou"] < 1
    assert (found["n_incomplete"], expected["n_incomplete"]) == (IMAGES - WHOLE, 0)
    assert f"{IMAGES - WHOLE} " in table(facts)
    assert "of which not every sound has a map" in table(facts)
    assert left_out_in_words(facts)
    assert not left_out_in_words(alone)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_any_whole_image_there_is_no_number(truth: Truth, protocol: str) -> None:
    dogs = [key for key in truth.test_set.keys if key.endswith("dog")]
    found = block_of(score(answers(dogs, protocol), truth, protocol).summary, protocol)
    assert [found[name] for name in IIOU] == [None] * len(IIOU)
    assert found["n_incomplete"] == IMAGES


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_result_of_before_is_known_by_its_images(truth: Truth, protocol: str) -> None:
    """It shares no table with others and is made again; one without missing maps is what it was."""
    facts = score(answers(list(truth.test_set.keys), protocol), truth, protocol).summary
    for block in (facts, *facts.get("interactive", {}).values()):
        block.pop("n_incomplete", None)
    assert not earlier_rules(facts)
    facts["missing"] = ["scene_000_cat"]
    assert earlier_rules(facts) == ["counts images in IIoU and IAUC of which not every sound has a map"]
    assert "evaluate it again" in " ".join(left_out_in_words(facts))


def test_videos_without_some_frames_are_counted() -> None:
    clips = (Annotation(f"video{video}_{at}", "a", ((0.1, 0.1, 0.6, 0.6),)) for video in range(3) for at in range(1, 6))
    truth = Truth("avsbench", TestSet("made", tuple(clips), "made", "0" * 64))
    keys = [key for key in truth.test_set.keys if key.startswith("video0") or key.endswith("2")]
    maps = np.random.default_rng(0).normal(size=(len(keys), 7, 7)).astype(np.float32)
    facts = score(RawMaps(keys, maps), truth, "avsbench").summary
    assert facts["n_incomplete_videos"] == 2
    assert "2 videos of which some frames have no map" in table(facts)
    robust = ControlMaps(RawMaps(keys, maps), dict.fromkeys(CONTROLS[:3], maps))
    assert score(robust, truth, "avsbench_robust").summary["n_incomplete_videos"] == 2
