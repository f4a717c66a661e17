"""A released set's name is claimed by its content alone."""

from pathlib import Path

import pytest

from manifests.annotations import Annotation, TestSet
from manifests.catalogue import catalogue
from manifests.published_sets import fits_name, named_by_content
from manifests.readers.extended import ExtendedSet, Negative
from manifests.test_sets import Truth

HASH = "ab" * 32


def made(name: str, clips: int) -> TestSet:
    keys = (f"clip{number:07d}_000001" for number in range(clips))
    return TestSet(name, tuple(Annotation(key, None, ()) for key in keys), f"{name}.json", HASH)


@pytest.mark.parametrize(
    ("name", "clips", "fits"),
    [
        ("vggss", 5158, True),
        ("vggss", 437, False),
        ("flickr", 250, True),
        ("flickr", 249, True),
        ("flickr", 248, False),
        ("is3", 6480, True),
        ("is3", 12, False),
        ("vggss-vggss_heard_test", 2564, True),
        ("vggss-vggss_heard_test", 60, False),
        ("vggss-mine", 60, True),
        ("synth-vggss", 437, True),
        ("music_synthetic", 455, False),
        ("music_solo", 12, False),
        ("avsbench_s4", 30, False),
        ("vpo_ms", 7, False),
        ("anything", 1, True),
    ],
)
def test_a_known_name_needs_its_count_or_its_hash(name: str, clips: int, fits: bool) -> None:
    assert fits_name(name, HASH, clips) == fits


def test_the_hash_alone_is_enough() -> None:
    assert fits_name("vggss", catalogue()["vggss"].sha256, 3)


def test_what_does_not_fit_is_called_by_its_hash_too() -> None:
    assert named_by_content(Truth("vggss", made("vggss", 3))).name == "vggss-abababab"
    assert named_by_content(Truth("vggss", made("mine", 3))).name == "mine"
    test_set = made("vggss", 5158)
    pairs = (Negative(test_set.keys[0], test_set.keys[1], "easy"),)
    extended = ExtendedSet("extended_vggss", test_set, pairs, str(Path("silent.csv")), "cd" * 32)
    named = named_by_content(Truth("extended", test_set, extended))
    assert (named.test_set.name, named.name) == ("vggss", "extended_vggss-cdcdcdcd")
    assert named.extended.positives.name == "vggss"
