"""Lists of every released layout, and the overlaps that must come out of them."""

import json
from functools import cache
from pathlib import Path

import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList, coverage, ids_of, overlap, read_ids, restrict


@pytest.fixture(scope="module")
def listed(lists):
    """`listed(path)`: a list read, of our miniatures or of the released ones."""

    @cache
    def read(name, **options):
        return read_ids(lists / name, **options)

    return read


@pytest.fixture(scope="module")
def vggss(lists):
    return read_vggss(lists / "vggss" / "vggss.json")


OF_VGGSS = {  # clips, those in VGG-SS, those in VGGSound's test split
    "vggss/vggss_144k.txt.gz": {"made": (145, 30, 40), "released": (144_000, 3709, 11_163)},
    "vggss/vggss_10k.txt": {"made": (50, 12, 12), "released": (10_000, 238, 787)},
    "vggss/vggss_heard.txt.gz": {"made": (60, 0, 0), "released": (59_468, 0, 0)},
    "ssltie/train_vggss_train_144k.txt.gz": {"made": (210, 0, 0), "released": (144_000, 0, 0)},
    "ssltie/train_vggss_train_10k.txt.gz": {"made": (35, 0, 0), "released": (10_000, 0, 0)},
    "ssltie/test_vggss_4911.txt": {"made": (45, 45, 45), "released": (4911, 4911, 4911)},
    "aclssl/vggss_heard_70k_labelled.csv.gz": {"made": (96, 0, 6), "released": (70_000, 0, 2665)},
    "sspl/vggss_test_4692.csv": {"made": (40, 40, 40), "released": (4692, 4692, 4692)},
    "heartheflow/vggss_test_trimmed.csv": {"made": (38, 38, 38), "released": (4670, 4670, 4670)},
    "kaist/ours_vggss_4655.txt": {"made": (40, 40, 40), "released": (4655, 4655, 4655)},
    "vggss/vggss_test.csv": {"made": (48, 48, 48), "released": (5158, 5158, 5158)},
}


@pytest.mark.parametrize("name", OF_VGGSS)
def test_vggss_overlaps(listed, source, vggss, name):
    ids, (rows, in_vggss, in_vggsound_test) = listed(name), OF_VGGSS[name][source]
    assert len(ids.ids) == rows
    found = overlap(ids, ids_of(vggss))
    assert len(found.clips) == in_vggss
    assert len(overlap(ids, listed("vggsound/vggsound_test.csv")).clips) == in_vggsound_test


LEAKS = {
    "made": "vggss_144k contains 30 of the 48 clips of vggss (62.5 %)",
    "released": "vggss_144k contains 3,709 of the 5,158 clips of vggss (71.9 %)",
}


def test_the_message_names_the_leak(listed, source, vggss):
    assert str(overlap(listed("vggss/vggss_144k.txt.gz"), ids_of(vggss))) == LEAKS[source]


OF_FLICKR = {  # clips, rows that repeat one, clips of the test set
    "flickr/flickr_test_249.csv": {"made": (19, 0, 19), "released": (249, 0, 249)},
    "flickr/flickr_10k.txt": {"made": (61, 0, 1), "released": (10_000, 0, 1)},
    "flickr/flickr_144k.txt.gz": {"made": (154, 0, 4), "released": (144_000, 0, 20)},
    "flickr/flickr_sup_train_4750.txt": {"made": (40, 0, 0), "released": (4750, 0, 0)},
    "flickr/ardasnck_Flickr_train_144k.txt.gz": {"made": (121, 0, 0), "released": (144_000, 0, 0)},
    "flickr/ardasnck_supervised_test_list.txt": {"made": (20, 3, 20), "released": (250, 30, 250)},
    "flickr/ardasnck_test_list.txt": {"made": (20, 0, 19), "released": (250, 0, 249)},
    "ssltie/train_flickr_10k.txt.gz": {"made": (97, 0, 2), "released": (10_000, 0, 2)},
    "ssltie/test_flickr_250.txt": {"made": (19, 0, 19), "released": (249, 0, 249)},
    "heartheflow/flickr_test_expanded.csv": {"made": (43, 0, 13), "released": (1666, 0, 169)},
}


@pytest.mark.parametrize("name", OF_FLICKR)
def test_flickr_overlaps(listed, source, name):
    ids, (rows, repeated, in_test) = listed(name), OF_FLICKR[name][source]
    assert (len(ids.ids), ids.repeated) == (rows, repeated)
    assert len(overlap(ids, listed("flickr/flickr_test_250.csv")).clips) == in_test


OTHERS = {
    "vggsounder/vggsounder_plus_background_music.csv.gz": {"made": 70, "released": 15_069},  # several rows a clip
    "extended/vggss_test_plus_silent.csv": {"made": 48, "released": 5158},
    "music/solo_training_1.txt": {"made": 5, "released": 217},
    "music/solotest.json.gz": {"made": 12, "released": 13_472},
    "is3/synthetic3240_bbox.json.gz": {"made": 20, "released": 6480},
    "ave/Annotations.txt": {"made": 10, "released": 4097},
}


def test_other_layouts(listed, lists, source):
    assert {name: len(listed(name).ids) for name in OTHERS} == {name: counts[source] for name, counts in OTHERS.items()}
    test = listed("vggsound/vggsound_rebuilt_82781.csv.gz", split="test")
    assert set(test.ids) == set(listed("vggsound/vggsound_test.csv").ids)
    first = (lists / "music/solo_training_1.txt").read_text().partition(".flac")[0]
    assert listed("music/solo_training_1.txt").ids[0] == first
    assert listed("ave/Annotations.txt").repeated == {"made": 1, "released": 46}[source]


HEARD_AND_UNHEARD = {  # clips and classes of either, then clips of another paper's heard test that its training saw
    "made": ([24, 20], [6, 5], 18),
    "released": ([2564, 2575], [110, 110], 2299),
}


def test_heard_and_unheard_carry_the_list_name(listed, source, vggss):
    heard, unheard = listed("vggss/vggss_heard_test.csv"), listed("vggss/vggss_unheard_test.csv")
    parts, (clips, labels, seen) = [restrict(vggss, part) for part in (heard, unheard)], HEARD_AND_UNHEARD[source]
    assert [len(part.annotations) for part in parts] == clips
    assert parts[0].name == "vggss-vggss_heard_test"
    classes = [{annotation.label for annotation in part.annotations} for part in parts]
    assert [len(each) for each in classes] == labels
    assert not classes[0] & classes[1]
    assert parts[0].sha256 != vggss.sha256 != parts[1].sha256
    tie = listed("ssltie/openset_test_110_heard_2425.txt")
    assert len(overlap(listed("ssltie/openset_train_110_70k.txt.gz"), tie).clips) == seen


def test_spellings_meet_in_one_key(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(
        'AbCdEfGh_-1,30.0,"female speech, woman speaking",train\r\n'
        "AbCdEfGh_-2,40,fly, housefly buzzing,train\n"
        "AbCdEfGh_-3,0,dog,test\n",
        encoding="utf-8-sig",
    )
    every = read_ids(path)
    assert every.ids == ("AbCdEfGh_-1_000030", "AbCdEfGh_-2_000040", "AbCdEfGh_-3_000000")
    assert read_ids(path, split="test").ids == ("AbCdEfGh_-3_000000",)
    for row in ("AbCdEfGh_-1_000030.mp4,dog", "frames/AbCdEfGh_-1_30000_40000.jpg", "vAbCdEfGh_-1_30_40_out.mkv"):
        path.write_text(row)
        assert read_ids(path).ids == ("AbCdEfGh_-1_000030",)


def test_coverage_keeps_order_and_names_what_is_missing():
    wanted = IdList("mine", ("b", "a", "c"), "mine.txt", "0")
    found = coverage(wanted, ["c", "x", "b"])
    assert (found.found, found.missing) == (("b", "c"), ("a",))


def test_clips_of_one_video_are_counted_apart():
    train = IdList("train", ("AbCdEfGh_-1_000030", "AbCdEfGh_-2_000000"), "t", "0")
    test = IdList("test", ("AbCdEfGh_-1_000040", "AbCdEfGh_-2_000000"), "t", "0")
    found = overlap(train, test)
    assert (found.clips, found.videos) == (("AbCdEfGh_-2_000000",), 2)


def test_wrong_lists_are_explained(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n")
    with pytest.raises(InputError, match="names no clip"):
        read_ids(path)
    path.write_text("abc\n")
    with pytest.raises(InputError, match="no split column"):
        read_ids(path, split="test")
    path.write_text('[{"title": "x"}]')
    with pytest.raises(InputError, match='without "file" or "image"'):
        read_ids(path)
    path.write_text('["x"]')
    with pytest.raises(InputError, match=r"no split column \(json list of ids"):
        read_ids(path, split="test")
    truth = TestSet("t", (Annotation("a", None, ()),), "t.json", "0")
    with pytest.raises(InputError, match=r"1 of the 2 clips of l are not annotated in t\.json, first b"):
        restrict(truth, IdList("l", ("a", "b"), "l", "1"))


KNOWN = (
    *("dog__001", "cat__001", "videos__cow__001", "a__hen__001", "b__hen__001"),
    *("002", "kept__x__y", "AbCdEfGh_-1_000030"),
)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["dog/001.mp4"], ["dog__001"]),
        (["dog/001.mp4", "cat/001.mp4"], ["dog__001", "cat__001"]),
        (["/data/videos/dog/001.mp4", "./cat/001.mp4"], ["dog__001", "cat__001"]),
        (["cow/001.mp4"], ["videos__cow__001"]),  # the list does not say all folders
        (["dog__001", "cat__001"], ["dog__001", "cat__001"]),
        (["dog/002.mp4"], ["002"]),  # nothing else is called so
        (["ox/001.mp4", "dog/001.mp4"], ["ox__001", "dog__001"]),
        (["x/y.mp4"], ["kept__x__y"]),
        (["train/AbCdEfGh_-1_30_40.mp4", "test/AbCdEfGh_-1_000030.mkv"], ["AbCdEfGh_-1_000030"]),
        (["a/002.mp4", "b/002.mp4"], ["a__002", "b__002"]),  # which of them is 002 nobody says
    ],
)
def test_names_in_folders_are_found_as_ingest_calls_them(tmp_path: Path, rows: list[str], expected: list[str]) -> None:
    forms = {"list.txt": "\n".join(rows), "list.csv": "\n".join(["file", *rows]), "list.json": json.dumps(rows)}
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        listed = read_ids(tmp_path / name)
        known = listed.known_as(KNOWN)
        assert list(known.ids) == expected
        assert (known.sha256, known.name) == (listed.sha256, listed.name)
        assert list(coverage(listed, KNOWN).found) == [key for key in expected if key in KNOWN]


def test_the_first_of_a_name_keeps_it_when_others_come_later(tmp_path: Path) -> None:
    """As a folder has grown: a/clip was alone when it was ingested."""
    (tmp_path / "list.txt").write_text("a/clip.mp4\nb/clip.mp4\n")
    assert read_ids(tmp_path / "list.txt").known_as(["clip", "b__clip"]).ids == ("clip", "b__clip")
