"""Controls are drawn by seed and name alone, never of a class that is in the image."""

import numpy as np
import pytest

from pipeline.media.front_ends import DEFAULT, find_front_end
from training.data.control_pairs import OFF_SCREEN, OTHER_GROUP, SWAPPED, control_name, control_pairs, group_pairs
from training.data.made_sounds import NOISE, SILENCE, made_sound
from training.data.pairs import EvaluationPair

PAIRINGS = [EvaluationPair(f"clip{number}", number, number) for number in range(12)]
CLASSES = {f"clip{number}": frozenset({"abc"[number % 3]}) for number in range(12)}


def test_every_clip_has_its_four_controls_whatever_the_order():
    pairs, donors = control_pairs(PAIRINGS, CLASSES)
    assert len(pairs) == 4 * len(PAIRINGS)
    again, same = control_pairs(PAIRINGS[::-1], CLASSES)
    assert same == donors
    assert {pair.name: pair for pair in again} == {pair.name: pair for pair in pairs}
    assert control_pairs(PAIRINGS, CLASSES, seed=1)[1] != donors
    for name, own in CLASSES.items():
        assert CLASSES[donors[OFF_SCREEN][name]].isdisjoint(own)
        assert CLASSES[donors[SWAPPED][name]] == own
        assert donors[SWAPPED][name] != name


def test_a_class_alone_and_a_clip_of_no_known_class_have_no_partner():
    lonely = CLASSES | {"clip0": frozenset({"d"}), "clip1": frozenset()}
    _, donors = control_pairs(PAIRINGS, lonely)
    assert "clip0" not in donors[SWAPPED]
    assert "clip0" in donors[OFF_SCREEN]
    assert "clip1" not in donors[OFF_SCREEN]
    assert "clip1" not in donors[OFF_SCREEN].values()
    one_class = dict.fromkeys(CLASSES, frozenset({"a"}))
    pairs, donors = control_pairs(PAIRINGS, one_class)
    assert donors[OFF_SCREEN] == {}
    assert control_name("clip0", OFF_SCREEN) not in {pair.name for pair in pairs}


@pytest.mark.parametrize("kind", [SILENCE, NOISE])
def test_made_sounds_come_from_the_front_end(kind):
    maker = find_front_end(DEFAULT)
    made = made_sound(DEFAULT, kind, "clip0")
    assert made.shape == maker.shape
    assert made.dtype == np.float16
    assert (made == made_sound(DEFAULT, kind, "clip0")).all()
    if kind == SILENCE:
        assert np.allclose(made, np.float16(maker.silence))
    else:
        assert not (made == made_sound(DEFAULT, kind, "clip1")).all()


def test_off_screen_sounds_of_avsbench_robust_are_of_another_group():
    names = ("playing_piano", "male_speech", "dog_barking", "helicopter")
    labels = {f"clip{number}": names[number % 4] for number in range(12)} | {"clip11": "no such class", "clip10": None}
    pairs, donors = group_pairs(PAIRINGS, labels)
    chosen = donors[OTHER_GROUP]
    assert chosen.keys() == {name for name, label in labels.items() if label in names}
    allowed = {"playing_piano": {"dog_barking", "helicopter"}, "male_speech": {"dog_barking", "helicopter"},
               "dog_barking": {"playing_piano", "helicopter"}, "helicopter": set(names) - {"helicopter"}}  # fmt: skip
    for own, other in chosen.items():
        assert labels[other] in allowed[labels[own]]
    assert {pair.name for pair in pairs} == {control_name(own, OTHER_GROUP) for own in chosen}
    assert group_pairs(PAIRINGS[::-1], labels)[1] == donors
    assert group_pairs(PAIRINGS, dict.fromkeys(labels, "kettle")) == ([], {OTHER_GROUP: {}})
