"""Controls are drawn by seed and name among the clips of the truth, never of a class that is in the image."""

from zlib import crc32

import numpy as np
import pytest

from manifests.errors import InputError
from manifests.sound_draws import CONTROLS, NOISE, OFF_SCREEN, OTHER_GROUP, SILENCE, SWAPPED, UNLOGGED, SoundDraw
from pipeline.media.front_ends import DEFAULT, find_front_end
from training.data.control_pairs import control_name, control_pairs, group_pairs
from training.data.made_sounds import made_sound
from training.data.pairs import EvaluationPair

PAIRINGS = [EvaluationPair(f"clip{number}", number, number) for number in range(12)]
LABELS = {f"clip{number}": "abc"[number % 3] for number in range(12)}
CLASSES = {name: frozenset({label}) for name, label in LABELS.items()}
SOUNDS = {name: name for name in LABELS}


def test_every_clip_has_its_four_controls_whatever_the_order():
    drawn = control_pairs(PAIRINGS, SOUNDS, CLASSES, LABELS)
    pairs, donors = drawn.pairs, drawn.donors
    assert len(pairs) == 4 * len(PAIRINGS)
    again = control_pairs(PAIRINGS[::-1], SOUNDS, CLASSES, LABELS)
    assert (again.donors, again.again) == (donors, {OFF_SCREEN: set(), SWAPPED: set()})
    assert {pair.name: pair for pair in again.pairs} == {pair.name: pair for pair in pairs}
    assert control_pairs(PAIRINGS, SOUNDS, CLASSES, LABELS, SoundDraw(seed=1)).donors != donors
    for name, own in CLASSES.items():
        assert CLASSES[donors[OFF_SCREEN][name]].isdisjoint(own)
        assert CLASSES[donors[SWAPPED][name]] == own
        assert donors[SWAPPED][name] != name


def test_of_a_whole_set_the_draw_is_what_it_ever_was():
    """Results of before were drawn so: an index into the clips of other classes, sorted, by seed and name."""
    for seed in (0, 7):
        found = control_pairs(PAIRINGS, SOUNDS, CLASSES, LABELS, SoundDraw(seed)).donors[OFF_SCREEN]
        for name, label in LABELS.items():
            partners = sorted(other for other in LABELS if LABELS[other] != label)
            random = np.random.default_rng([seed, crc32(f"{OFF_SCREEN}/{name}".encode())])
            assert found[name] == partners[random.integers(len(partners))]


@pytest.mark.parametrize("draw", [SoundDraw(), SoundDraw(seed=3), SoundDraw(by_class=True)])
def test_a_missing_clip_changes_the_sounds_of_those_alone_that_had_its_own(draw: SoundDraw):
    """And each missing one more those of the ones that had this one's, which are told."""
    whole, there = control_pairs(PAIRINGS, SOUNDS, CLASSES, LABELS, draw).donors, PAIRINGS
    for gone in ("clip4", "clip7", "clip3"):
        before = control_pairs(there, SOUNDS, CLASSES, LABELS, draw).donors
        there = [own for own in there if own.name != gone]
        now = control_pairs(there, SOUNDS, CLASSES, LABELS, draw)
        for control, chosen in now.donors.items():
            assert chosen.keys() == {own.name for own in there}  # nobody is left without a sound
            assert gone not in chosen.values()
            assert all(other == before[control][own] or before[control][own] == gone for own, other in chosen.items())
            assert now.again[control] == {own for own, other in chosen.items() if whole[control][own] != other}


def test_a_group_whose_clips_are_all_missing_leaves_its_place_to_another():
    names = ("playing_piano", "male_speech", "dog_barking", "helicopter")
    labels = {f"clip{number}": names[number % 4] for number in range(12)}
    there = [own for own in PAIRINGS if labels[own.name] != "helicopter"]
    whole, now = group_pairs(PAIRINGS, labels).donors[OTHER_GROUP], group_pairs(there, labels)
    chosen = now.donors[OTHER_GROUP]
    assert chosen.keys() == {own.name for own in there}
    assert now.again[OTHER_GROUP] == {own for own, other in chosen.items() if other != whole[own]}
    assert all(labels[whole[own]] == "helicopter" for own in now.again[OTHER_GROUP])


def test_sounds_of_one_clip_are_no_partners_of_each_other():
    """Several images under one sound: a set says so of clips that are missing, too."""
    shared = SOUNDS | {"clip3": "clip0", "clip6": "clip0", "clip9": "clip0"}
    found = control_pairs(PAIRINGS[1:], shared, CLASSES, LABELS)
    assert not {"clip3", "clip6", "clip9"} & found.donors[SWAPPED].keys()


def test_an_image_of_several_classes_is_shown_with_none_of_them_and_swapped_with_the_one_that_sounds():
    """Whatever stands beside it: of `dog` with a cat, another dog alone or with a bird is a partner."""
    seen = {
        "clip0": "dog cat", "clip1": "cat dog", "clip2": "dog", "clip3": "dog bird", "clip4": "bird", "clip5": "cat",
        "clip6": "bird dog", "clip7": "fish",
    }  # fmt: skip
    pairings, sounds = PAIRINGS[: len(seen)], {name: name for name in seen}
    labels = {name: classes.split()[0] for name, classes in seen.items()}
    classes = {name: frozenset(given.split()) for name, given in seen.items()}
    partners: dict[str, dict[str, set[str]]] = {control: {name: set() for name in seen} for control in CONTROLS[2:]}
    for seed in range(40):
        for control, chosen in control_pairs(pairings, sounds, classes, labels, SoundDraw(seed)).donors.items():
            for name, other in chosen.items():
                partners[control][name].add(other)
    assert partners[SWAPPED] == {
        "clip0": {"clip2", "clip3"}, "clip1": {"clip5"}, "clip2": {"clip0", "clip3"}, "clip3": {"clip0", "clip2"},
        "clip4": {"clip6"}, "clip5": {"clip1"}, "clip6": {"clip4"}, "clip7": set(),
    }  # fmt: skip
    assert partners[OFF_SCREEN]["clip0"] == {"clip4", "clip7"}
    assert partners[OFF_SCREEN]["clip3"] == {"clip5", "clip7"}
    assert partners[OFF_SCREEN]["clip7"] == seen.keys() - {"clip7"}


def test_a_class_alone_and_a_clip_of_no_known_class_have_no_partner():
    lonely = CLASSES | {"clip0": frozenset({"d"}), "clip1": frozenset()}
    labels = LABELS | {"clip0": "d", "clip1": None}
    donors = control_pairs(PAIRINGS, SOUNDS, lonely, labels).donors
    assert "clip0" not in donors[SWAPPED]
    assert "clip0" in donors[OFF_SCREEN]
    assert "clip1" not in donors[OFF_SCREEN]
    assert "clip1" not in donors[OFF_SCREEN].values()
    one_class = dict.fromkeys(CLASSES, frozenset({"a"}))
    alike = control_pairs(PAIRINGS, SOUNDS, one_class, dict.fromkeys(LABELS, "a"))
    assert alike.donors[OFF_SCREEN] == {}
    assert control_name("clip0", OFF_SCREEN) not in {pair.name for pair in alike.pairs}


def test_draws_share_the_pairs_that_they_make_alike():
    usual, other = (control_pairs(PAIRINGS, SOUNDS, CLASSES, LABELS, SoundDraw(seed)).pairs for seed in (0, 1))
    shared = {pair.name for pair in usual} & {pair.name for pair in other}
    assert shared == {control_name(own.name, SILENCE) for own in PAIRINGS}
    noises = {pair.heard for pair in usual + other if pair.made == NOISE}
    assert len(noises) == 2 * len(PAIRINGS)
    unlogged = control_pairs(PAIRINGS, SOUNDS, CLASSES, LABELS, SoundDraw(unlogged=True)).pairs
    assert {pair.made for pair in unlogged} == {SILENCE + UNLOGGED, NOISE + UNLOGGED, None}
    assert len({pair.name for pair in usual} & {pair.name for pair in unlogged}) == 2 * len(PAIRINGS)


def test_by_class_every_other_class_is_off_screen_as_often_whatever_its_number_of_clips():
    many = [EvaluationPair(f"clip{number:03d}", number, number) for number in range(400)]
    labels = {pair.name: "rare" if at < 4 else "own" if at < 200 else "usual" for at, pair in enumerate(many)}
    labels["clip399"] = None
    classes = {name: frozenset({label} if label else ()) for name, label in labels.items()}
    sounds = {name: name for name in labels}
    for by_class, share in ((False, 4 / 203), (True, 0.5)):
        donors = control_pairs(many, sounds, classes, labels, SoundDraw(by_class=by_class)).donors
        heard = [labels[other] for own, other in donors[OFF_SCREEN].items() if labels[own] == "own"]
        assert "own" not in heard
        assert np.mean([label == "rare" for label in heard]) == pytest.approx(share, abs=0.08)
        assert "clip399" not in donors[OFF_SCREEN]
    both = classes | {f"clip{at:03d}": frozenset({"own", "rare"}) for at in range(4, 200)}  # IS3: two in one picture
    donors = control_pairs(many, sounds, both, labels, SoundDraw(by_class=True)).donors
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
    drawn = group_pairs(PAIRINGS, labels)
    chosen = drawn.donors[OTHER_GROUP]
    assert chosen.keys() == {name for name, label in labels.items() if label in names}
    allowed = {"playing_piano": {"dog_barking", "helicopter"}, "male_speech": {"dog_barking", "helicopter"},
               "dog_barking": {"playing_piano", "helicopter"}, "helicopter": set(names) - {"helicopter"}}  # fmt: skip
    for own, other in chosen.items():
        assert labels[other] in allowed[labels[own]]
    assert {pair.name for pair in drawn.pairs} == {control_name(own, OTHER_GROUP) for own in chosen}
    assert group_pairs(PAIRINGS[::-1], labels).donors == drawn.donors
    nothing = group_pairs(PAIRINGS, dict.fromkeys(labels, "kettle"))
    assert (nothing.pairs, nothing.donors) == ([], {OTHER_GROUP: {}})
