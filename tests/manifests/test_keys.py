"""Clip names: every spelling of a clip gives its one key, and nothing else is mistaken for a clip of VGGSound."""

import csv
import gzip
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.keys import clip_key, file_clip, normal_key, normal_keys, parse_clip_name, safe_key

ids = st.text(string.ascii_letters + string.digits + "_-", min_size=11, max_size=11)
starts = st.integers(0, 35_752)
leading = st.builds(
    "{}{}{}".format, st.sampled_from("-_v"), st.text("_-v1a", min_size=9, max_size=9), st.sampled_from("-_7")
)


@given(ids, starts)
def test_every_spelling_of_a_clip_has_the_same_key(ytid: str, start: int) -> None:
    spellings = [
        f"{ytid}_{start:06d}",
        f"{ytid}_{start}",
        f"{ytid}_{start}.0",
        f"v{ytid}_{start:06d}",
        f"{ytid}_{start * 1000}_{start * 1000 + 10_000}",
        f"v{ytid}_{start}_{start + 10}_out",
        f"{ytid}_{start}_{start + 10}",
    ]
    names = {spelling: parse_clip_name(spelling) for spelling in spellings}
    assert {name.key for name in names.values()} == {f"{ytid}_{start:06d}"}, names
    assert {(name.source_id, name.start_seconds) for name in names.values()} == {(ytid, start)}


@given(ids, starts)
def test_a_key_is_its_own_key(ytid: str, start: int) -> None:
    key = parse_clip_name(f"{ytid}_{start}").key
    assert parse_clip_name(key).key == key


@given(st.text(max_size=40))
def test_any_name_gives_a_key_that_is_the_stem_or_canonical(stem: str) -> None:
    name = parse_clip_name(stem)
    if name.start_seconds is None:
        assert (name.key, name.source_id) == (safe_key(stem), safe_key(stem))
    else:
        assert name.key == f"{name.source_id}_{name.start_seconds:06d}"
        assert len(name.source_id) == 11
        assert name.source_id in stem


@given(st.one_of(st.text(max_size=40), st.text("vAz09_-.", max_size=34)))
def test_keys_are_fixed_points(stem: str) -> None:
    key = parse_clip_name(stem).key
    assert clip_key(key) == normal_key(key) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("holiday.mov", "holiday"),
        ("my.video.mp4", "my%2Evideo"),
        ("my.video", "my%2Evideo"),
        ("my%2Evideo", "my%2Evideo"),  # a key
        ("my%2Evideo.mp4", "my%252Evideo"),  # a file's name
        ("100%", "100%25"),
        ("a/b\\plain clip 01.MP4 ", "plain clip 01"),
        ("cafe\u0301.mp4", "caf\u00e9"),
        ("1234567456.mp4.mp3", "1234567456"),
        ("clip.mov.mp4", "clip%2Emov"),  # as ingest names it
        ("frames/1234567456.npy", "1234567456"),
        ("AbCdEfGh_-1_30000_40000.f137.mp4", "AbCdEfGh_-1_30000_40000%2Ef137"),
        ("dog/AbCdEfGh_-1/AbCdEfGh_-1_3", "dog/AbCdEfGh_-1/AbCdEfGh_-1_3"),  # an AVSBench frame, as shards hold it
        ("gt_masks/test/dog/AbCdEfGh_-1/AbCdEfGh_-1_3.png", "AbCdEfGh_-1_000003"),
        ("AbCdEfGh_-1_0_1000/frame_013/00411.jpg", "AbCdEfGh_-1_0_1000/frame_013/00411.jpg"),
        ("cat__001", "cat__001"),
    ],
)
def test_any_name_of_a_clip_gives_its_key(text: str, key: str) -> None:
    assert clip_key(text) == key
    assert clip_key(key) == key


@pytest.mark.parametrize(
    ("file", "key"),
    [
        (" lead.mp4", "lead"),
        ("trail .mp4", "trail"),
        ("\ta b\u3000.mp4", "a b"),
        (" AbCdEfGh_-1_30 .mp4", "AbCdEfGh_-1_000030"),
        (" .mp4", "%2Emp4"),
    ],
)
def test_space_around_a_name_is_no_part_of_a_key(file: str, key: str) -> None:
    """On disk as in lists, which have space of their own around names."""
    assert file_clip(file).key == clip_key(file) == clip_key(f"videos/{file}") == clip_key(f"{file} ") == key


def test_keys_of_earlier_versions_lose_the_space_around_them() -> None:
    stored = [" lead", "trail ", "%09a b%E3%80%80", "cat / x / x _1", "twin", "twin "]
    assert normal_keys(stored) == ["lead", "trail", "a b", "cat/x/x _1", "twin", "twin "]
    assert [clip_key(key) for key in stored[:3]] == ["lead", "trail", "a b"]


@pytest.mark.parametrize("byte", [b"\xe9", b"\xff"])
def test_bytes_that_are_no_text_stay_in_the_key(byte: bytes) -> None:
    name = (b"caf" + byte + b".mp4").decode("utf-8", "surrogateescape")
    assert file_clip(name).key == f"caf%{byte.hex().upper()}"
    assert clip_key("\ud83d.mp4") == "%ED%A0%BD"  # half a letter, as broken JSON holds it


@given(st.lists(st.tuples(leading, starts), min_size=2, max_size=2, unique=True))
def test_two_clips_never_share_a_key(pair: list[tuple[str, int]]) -> None:
    """Whatever their ids begin or end with, and whichever spelling each is met in."""
    (one, first), (two, second) = pair
    for other in (f"{two}_{second}", f"v{two}_{second:06d}", f"{two}_{second * 1000}_{second * 1000 + 10_000}"):
        assert parse_clip_name(f"{one}_{first}").key != parse_clip_name(other).key


@given(ids, starts, st.integers(0, 100_000).filter(lambda length: length not in (10, 10_000)))
def test_a_window_of_another_length_is_no_vggsound_name(ytid: str, start: int, length: int) -> None:
    stem = f"{ytid}_{start}_{start + length}"
    assert parse_clip_name(stem).key == stem or parse_clip_name(stem).source_id != ytid


@pytest.mark.parametrize(
    ("stem", "key", "source_id"),
    [
        ("-0pJqpNjft4_000267", "-0pJqpNjft4_000267", "-0pJqpNjft4"),  # a leading dash
        ("aEYwqY-Zt_k_000011", "aEYwqY-Zt_k_000011", "aEYwqY-Zt_k"),  # dash and underscore inside
        ("3qesirWAGt4_20000_30000", "3qesirWAGt4_000020", "3qesirWAGt4"),
        ("v_bcdefghijk_30_40_out", "_bcdefghijk_000030", "_bcdefghijk"),  # twelve characters: the v is a prefix
        ("vbcdefghijk_000030", "vbcdefghijk_000030", "vbcdefghijk"),  # eleven: the v belongs to the id
        ("jW_AuF6dQYY_0_1000", "jW_AuF6dQYY_0_1000", "jW_AuF6dQYY_0_1000"),  # MUSIC's whole videos
        ("holiday in rome", "holiday in rome", "holiday in rome"),
    ],
)
def test_names_met_in_the_wild(stem: str, key: str, source_id: str) -> None:
    name = parse_clip_name(stem)
    assert (name.key, name.source_id) == (key, source_id)


def test_all_official_names_are_read_right(lists: Path) -> None:
    with gzip.open(lists / "vggsound" / "vggsound_rebuilt_82781.csv.gz", "rt", encoding="utf-8", newline="") as handle:
        rows = [(ytid, int(start)) for ytid, start, *_ in csv.reader(handle)]
    for ytid, start in rows:
        for stem in (f"{ytid}_{start:06d}", f"{ytid}_{start * 1000}_{start * 1000 + 10_000}"):
            name = parse_clip_name(stem)
            assert (name.source_id, name.start_seconds) == (ytid, start), stem
