"""Which sounds may stand in for which, as the released script of AVSBench-Robust draws them."""

import json

import pytest
from places import GOLDEN, needed

from manifests.sound_groups import donors_ms3, donors_s4, group_of, groups_of


@pytest.fixture(scope="module")
def released():
    return json.loads(needed(GOLDEN / "golden_listening.json").read_text())["robust_categories"]


def test_s4_as_released(released):
    assert {name: group_of(name) for name in released["s4_map"]} == released["s4_map"]
    for name, allowed in released["s4_allowed_offscreen_categories"].items():
        assert sorted(donors_s4(name)) == allowed, name


def test_ms3_as_released(released):
    assert {name: set(groups_of(name)) for name in released["ms3_map"]} == {
        name: {group} for name, group in released["ms3_map"].items()
    }
    labels = released["ms3_made_list"]
    for label, expected in released["ms3_allowed"].items():
        assert sorted(groups_of(label)) == expected["broad"]
        assert sorted(donors_ms3(label, labels)) == sorted(expected["allowed"] or ())


def test_music_and_people_never_stand_in_for_each_other():
    assert len(donors_s4("playing_piano")) == len(donors_s4("male_speech")) == 14
    assert {group_of(name) for name in donors_s4("male_speech")} == {"animal", "device"}
    assert len(donors_s4("helicopter")) == 15
    assert donors_s4("no such category") == donors_ms3("unknown", ["dog"]) == ()


def test_any_other_sound_where_none_may_stand_in():
    assert donors_ms3("guitar", ["guitar", "violin", "man"]) == ("violin", "man")
