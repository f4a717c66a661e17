"""Silent pairs of Extended VGG-SS and Extended Flickr, and files that are none."""

from dataclasses import replace

import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.readers.extended import read_extended
from manifests.readers.vggss import read_vggss

PAIRS = {"made": {"real": 4, "hard": 12, "easy": 32}, "released": {"real": 379, "hard": 1185, "easy": 3594}}


def test_extended_vggss(lists, source):
    positives = read_vggss(lists / "vggss" / "vggss.json")
    extended = read_extended(lists / "extended" / "vggss_test_plus_silent.csv", positives)
    assert extended.kinds == PAIRS[source]
    assert extended.name == "extended_vggss"
    assert len({negative.key for negative in extended.negatives}) == sum(PAIRS[source].values())


def test_a_list_keeps_the_silent_moments_of_its_videos(lists, source):
    """Real pairs show other moments than any annotated clip. Under a list of the whole set none is lost; parts of it
    share them by video and count what they leave out."""
    positives = read_vggss(lists / "vggss" / "vggss.json")
    extended = read_extended(lists / "extended" / "vggss_test_plus_silent.csv", positives)
    whole = extended.narrowed(positives)
    assert (whole.kinds, whole.left_out) == (PAIRS[source], {})
    videos = sorted({key[:11] for key in positives.keys})
    halves = [
        replace(positives, annotations=tuple(one for one in positives.annotations if one.key[:11] in chosen))
        for chosen in (set(videos[::2]), set(videos[1::2]))
    ]
    parts = [extended.narrowed(half) for half in halves]
    for kind, count in PAIRS[source].items():
        assert sum(part.kinds.get(kind, 0) for part in parts) == count
        assert all(part.kinds.get(kind, 0) + part.left_out.get(kind, 0) == count for part in parts)
    assert whole.sha256 != extended.sha256  # so that results of another choice of pairs share no table


def test_extended_flickr_has_no_kinds(lists):
    ids = [line.split(",")[0] for line in (lists / "flickr" / "flickr_test_250.csv").read_text().split()]
    positives = TestSet("flickr", tuple(Annotation(each, None, ()) for each in ids), "", "")
    extended = read_extended(lists / "extended" / "flickr_test_plus_silent.csv", positives)
    assert extended.kinds == {"unknown": len(ids)}


def test_extended_pairs_and_errors(tmp_path):
    positives = TestSet(
        "p", tuple(Annotation(f"abcdefghij{i}_000001", label, ()) for i, label in enumerate("xxy")), "", ""
    )
    path = tmp_path / "silent.csv"
    path.write_bytes(
        b"video,audio,label\r\n"
        b"abcdefghij0_000001,abcdefghij1_1000_11000,non-sounding\r\n"
        b"abcdefghij1_000001,abcdefghij2_000001,non-sounding\r\n"
        b"abcdefghij9_000005,abcdefghij9_000005,non-sounding"
    )
    extended = read_extended(path, positives)
    assert [negative.kind for negative in extended.negatives] == ["hard", "easy", "real"]
    assert extended.negatives[0].key == "abcdefghij0_000001+abcdefghij1_000001"
    path.write_text("video,audio,label \r\nabcdefghij0_000001 ,abcdefghij1_000001,non-sounding \r\n")
    assert read_extended(path, positives).negatives == extended.negatives[:1]
    for text, message in (
        ("a,b\n", "header"),
        ("video,audio,label\n", "no pair"),
        ("video,audio,label\na,b,dog\n", "line 2"),
        ("video,audio,label\na,b,non-sounding\na,b,non-sounding\n", r"a\+b twice"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_extended(path, positives)
