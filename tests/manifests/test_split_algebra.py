"""Laws of the split algebra, for any lists: what is found, missing, leaked or left out always adds up."""

import string
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.splits import IdList, coverage, ids_of, overlap, read_ids, restrict

VIDEOS = ["-bcdefghij_", "_0-_0-_0-_0", "AbCdEfGh_-1", "vAbCdEfGh_-"]  # dashes first, underscores, a v that is the id's
clips = st.builds(lambda video, start: f"{video}_{start:06d}", st.sampled_from(VIDEOS), st.integers(0, 4))
others = st.sampled_from(["1234567456", "-own name", "own_name_3", "cat_dog_17_cat"])
keys = st.one_of(clips, others)
distinct = st.lists(keys, unique=True, max_size=14)


def listed(ids: list[str], name: str = "list") -> IdList:
    return IdList(name, tuple(ids), f"{name}.txt", "0")


@given(distinct, st.lists(keys, max_size=14))
def test_found_and_missing_are_the_list(wanted: list[str], present: list[str]) -> None:
    held = coverage(listed(wanted), present)
    assert sorted(held.found + held.missing) == sorted(wanted)
    assert set(held.found) == set(wanted) & set(present)
    assert not set(held.missing) & set(present)
    assert [key for key in wanted if key in held.found] == list(held.found)
    assert coverage(listed(list(held.found)), present).missing == ()
    assert coverage(listed(list(held.missing)), present).found == ()


@given(distinct, st.lists(keys, max_size=14), st.randoms())
def test_coverage_knows_neither_order_nor_number_of_what_is_present(wanted, present, random) -> None:
    shuffled = [*present, *present]
    random.shuffle(shuffled)
    assert coverage(listed(wanted), shuffled) == coverage(listed(wanted), present)


@given(distinct, distinct, st.randoms())
def test_overlap_is_the_intersection(train: list[str], test: list[str], random) -> None:
    found = overlap(listed(train), listed(test))
    assert set(found.clips) == set(train) & set(test)
    assert (found.n_train, found.n_test) == (len(train), len(test))
    assert set(overlap(listed(test), listed(train)).clips) == set(found.clips)
    assert overlap(listed(test), listed(train)).videos == found.videos
    assert found.videos >= len({key[:11] if key[:11] in VIDEOS else key for key in found.clips})
    random.shuffle(train)
    assert overlap(listed(train), listed(test)) == found
    assert set(coverage(listed(test), train).found) == set(found.clips)


@given(st.lists(keys, unique=True, min_size=1, max_size=14), st.data())
def test_restriction_keeps_the_annotations_of_a_list(annotated: list[str], data) -> None:
    truth = TestSet("t", tuple(Annotation(key, key[-1], ()) for key in annotated), "t.json", "0")
    wanted = data.draw(st.lists(st.sampled_from(annotated), unique=True))
    part = restrict(truth, listed(wanted))
    assert part.keys == tuple(wanted)
    assert set(part.annotations) <= set(truth.annotations)
    assert restrict(truth, ids_of(truth)).annotations == truth.annotations
    with pytest.raises(InputError, match="are not annotated"):
        restrict(truth, listed([*wanted, "absent"]))


@given(st.lists(clips, min_size=1, max_size=14), st.randoms())
def test_a_list_is_read_the_same_in_every_spelling(tmp_path_factory, ids: list[str], random) -> None:
    """Any spelling, any suffix or folder, with repetitions: equal keys, first come first."""
    path = tmp_path_factory.mktemp("lists") / "list.txt"
    path.write_text("".join(f"{random.choice(SPELLINGS)(key)}\n" for key in ids))
    read = read_ids(path)
    assert read.ids == tuple(dict.fromkeys(ids))
    assert read.repeated == len(ids) - len(read.ids)
    path.write_text("\n".join(read.ids))  # without a last line end
    assert read_ids(path).ids == read.ids


def _milliseconds(key: str) -> str:
    start = int(key[-6:]) * 1000
    return f"{key[:11]}_{start}_{start + 10_000}"


SPELLINGS = [
    str,
    lambda key: f"{key}.mp4",
    lambda key: f"some folder/{key}.jpg".replace(" ", "_"),
    lambda key: f"{key[:11]}_{int(key[-6:])}.wav",
    lambda key: f"v{key}.mkv",
    lambda key: f"{key},a label",
    lambda key: f'{key[:11]},{int(key[-6:])},"a label, with a comma",train',
    _milliseconds,
    lambda key: f"v{key[:11]}_{int(key[-6:])}_{int(key[-6:]) + 10}_out.mp4",
]


@given(st.lists(st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=20), min_size=1, max_size=8))
def test_names_of_ones_own_survive_a_list(tmp_path_factory, names: list[str]) -> None:
    """Keys are fixed points: a list written from what was read is read as the same keys."""
    path: Path = tmp_path_factory.mktemp("lists") / "list.txt"
    path.write_text("\n".join(names))
    assume(names[0].lower() not in ("video", "video_id", "ytid", "youtube_id", "id", "file", "key"))  # a header's words
    first = read_ids(path)
    path.write_text("\n".join(["key", *first.ids]))
    assert read_ids(path).ids == first.ids
