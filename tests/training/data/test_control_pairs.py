"""Controls are drawn by seed and name alone, never of a class that is in the image."""

import numpy as np
import pytest

from manifests.errors import InputError
from manifests.sound_draws import NOISE, OFF_SCREEN, OTHER_GROUP, SILENCE, SWAPPED, UNLOGGED, SoundDraw
from pipeline.media.front_ends import DEFAULT, find_front_end
from training.data.control_pairs import control_name, control_pairs, group_pairs
from training.data.made_sounds import made_sound
from training.data.pairs import EvaluationPair

PAIRINGS = [EvaluationPair(f"clip{number}", number, number) for number in range(12)]
LABELS = {f"clip{number}": "abc"[number % 3] for number in range(12)}
CLASSES = {name: frozenset({label}) for name, label in LABELS.items()}


def test_every_clip_has_its_four_controls_whatever_the_order():
    pairs, donors = control_pairs(PAIRINGS, CLASSES, LABELS)
    assert len(pairs) == 4 * len(PAIRINGS)
    again, same = control_pairs(PAIRINGS[::-1], CLASSES, LABELS)
    assert same == donors
    assert {pair.name: pair for pair in again} == {pair.name: pair for pair in pairs}
    assert control_pairs(PAIRINGS, CLASSES, LABELS, SoundDraw(seed=1))[1] != donors
    for name, own in CLASSES.items():
        assert CLASSES[donors[OFF_SCREEN][name]].isdisjoint(own)
        assert CLASSES[donors[SWAPPED][name]] == own
        assert donors[SWAPPED][name] != name


def test_a_class_alone_and_a_clip_of_no_known_class_have_no_partner():
    lonely = CLASSES | {"clip0": frozenset({"d"}), "clip1": frozenset()}
    _, donors = control_pairs(PAIRINGS, lonely, LABELS)
    assert "clip0" not in donors[SWAPPED]
    assert "clip0" in donors[OFF_SCREEN]
    assert "clip1" not in donors[OFF_SCREEN]
    assert "clip1" not in donors[OFF_SCREEN].values()
    one_class = dict.fromkeys(CLASSES, frozenset({"a"}))
    pairs, donors = control_pairs(PAIRINGS, one_class, LABELS)
    assert donors[OFF_SCREEN] == {}
    assert control_name("clip0", OFF_SCREEN) not in {pair.name for pair in pairs}


def test_draws_share_the_pairs_that_they_make_alike():
    usual, other = (control_pairs(PAIRINGS, CLASSES, LABELS, SoundDraw(seed))[0] for seed in (0, 1))
    shared = {pair.name for pair in usual} & {pair.name for pair in other}
    assert shared == {control_name(own.name, SILENCE) for own in PAIRINGS}
    noises = {pair.heard for pair in usual + other if pair.made == NOISE}
    assert len(noises) == 2 * len(PAIRINGS)
    unlogged, _ = control_pairs(PAIRINGS, CLASSES, LABELS, SoundDraw(unlogged=True))
    assert {pair.made for pair in unlogged} == {SILENCE + UNLOGGED, NOISE + UNLOGGED, None}
    assert len({pair.name for pair in usual} & {pair.name for pair in unlogged}) == 2 * len(PAIRINGS)


def test_by_class_every_other_class_is_off_screen_as_often_whatever_its_number_of_clips():
    many = [EvaluationPair(f"clip{number:03d}", number, number) for number in range(400)]
    labels = {pair.name: "rare" if at < 4 else "own" if at < 200 else "usual" for at, pair in enumerate(many)}
    labels["clip399"] = None
    classes = {name: frozenset({label} if label else ()) for name, label in labels.items()}
    for by_class, share in ((False, 4 / 203), (True, 0.5)):
        _, donors = control_pairs(many, classes, labels, SoundDraw(by_class=by_class))
        heard = [labels[other] for own, other in donors[OFF_SCREEN].items() if labels[own] == "own"]
        assert "own" not in heard
        assert np.mean([label == "rare" for label in heard]) == pytest.approx(share, abs=0.08)
        assert "clip399" not in donors[OFF_SCREEN]
    both = classes | {f"clip{at:03d}": frozenset({"own", "rare"}) for at in range(4, 200)}  # IS3: two in one picture
    _, donors = control_pairs(many, both, labels, SoundDraw(by_class=True))
    assert {labels[other] for own, other in donors[OFF_SCREEN].items() if labels[own] == "own"} == {"usual"}


def test_silence_and_noise_without_the_logarithm_are_power():
    front_end = find_front_end(DEFAULT)
    assert (made_sound(DEFAULT, SILENCE + UNLOGGED, "clip0") == 0).all()
    logarithm, power = (made_sound(DEFAULT, kind, f"clip0{end}") for kind, end in
                        ((NOISE, ""), (NOISE + UNLOGGED, UNLOGGED)))  # fmt: skip
    assert power.shape == front_end.shape
    np.testing.assert_allclose(power, np.exp(logarithm.astype(np.float64)) - 1e-7, rtol=0.05, atol=2e-7)
    with pytest.raises(InputError, match="not the logarithm of a power"):
        made_sound("mel-decibel-16000-512-239-v1", NOISE + UNLOGGED, "clip0")


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
