"""Lists of every released layout, and the overlaps that must come out of them."""

from functools import cache

import pytest
from places import METADATA

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList, coverage, ids_of, overlap, read_ids, restrict, without


@pytest.fixture(scope="module")
def released():
    """`released(path)`: a released list; skips where the lists are absent."""

    @cache
    def read(name, **options):
        if not (METADATA / name).exists():
            pytest.skip(f"the released list {name} is not in ../shared/data/metadata")
        return read_ids(METADATA / name, **options)

    return read


@pytest.fixture(scope="module")
def vggss():
    if not (METADATA / "vggss" / "vggss.json").exists():
        pytest.skip("vggss.json is not in ../shared/data/metadata")
    return read_vggss(METADATA / "vggss" / "vggss.json")


@pytest.mark.parametrize(
    ("name", "rows", "in_vggss", "in_vggsound_test"),
    [
        ("vggss/vggss_144k.txt.gz", 144_000, 3709, 11_163),
        ("vggss/vggss_10k.txt", 10_000, 238, 787),
        ("vggss/vggss_heard.txt.gz", 59_468, 0, 0),
        ("ssltie/train_vggss_train_144k.txt.gz", 144_000, 0, 0),
        ("ssltie/train_vggss_train_10k.txt.gz", 10_000, 0, 0),
        ("ssltie/test_vggss_4911.txt", 4911, 4911, 4911),
        ("aclssl/vggss_heard_70k_labelled.csv.gz", 70_000, 0, 2665),
        ("sspl/vggss_test_4692.csv", 4692, 4692, 4692),
        ("heartheflow/vggss_test_trimmed.csv", 4670, 4670, 4670),
        ("kaist/ours_vggss_4655.txt", 4655, 4655, 4655),
        ("vggss/vggss_test.csv", 5158, 5158, 5158),
    ],
)
def test_vggss_overlaps(released, vggss, name, rows, in_vggss, in_vggsound_test):
    ids = released(name)
    assert len(ids.ids) == rows
    found = overlap(ids, ids_of(vggss))
    assert len(found.clips) == in_vggss
    assert len(overlap(ids, released("vggsound/vggsound_test.csv")).clips) == in_vggsound_test
    clean = without(ids, ids_of(vggss))
    assert len(clean.ids) == rows - in_vggss
    if clean.ids:
        assert not overlap(clean, ids_of(vggss)).clips


def test_the_message_names_the_leak(released, vggss):
    found = overlap(released("vggss/vggss_144k.txt.gz"), ids_of(vggss))
    assert str(found) == "vggss_144k contains 3,709 of the 5,158 clips of vggss (71.9 %)"


@pytest.mark.parametrize(
    ("name", "rows", "repeated", "in_test"),
    [
        ("flickr/flickr_test_249.csv", 249, 0, 249),
        ("flickr/flickr_10k.txt", 10_000, 0, 1),
        ("flickr/flickr_144k.txt.gz", 144_000, 0, 20),
        ("flickr/flickr_sup_train_4750.txt", 4750, 0, 0),
        ("flickr/ardasnck_Flickr_train_144k.txt.gz", 144_000, 0, 0),
        ("flickr/ardasnck_supervised_test_list.txt", 250, 30, 250),
        ("flickr/ardasnck_test_list.txt", 250, 0, 249),
        ("ssltie/train_flickr_10k.txt.gz", 10_000, 0, 2),
        ("ssltie/test_flickr_250.txt", 249, 0, 249),
        ("heartheflow/flickr_test_expanded.csv", 1666, 0, 169),
    ],
)
def test_flickr_overlaps(released, name, rows, repeated, in_test):
    ids = released(name)
    assert (len(ids.ids), ids.repeated) == (rows, repeated)
    assert len(overlap(ids, released("flickr/flickr_test_250.csv")).clips) == in_test


def test_other_layouts(released):
    assert len(released("vggsound/vggsound_rebuilt_82781.csv.gz", split="test").ids) == 15_446
    sounder = released("vggsounder/vggsounder_plus_background_music.csv.gz")
    assert len(sounder.ids) == 15_069  # several rows a clip
    assert len(released("extended/vggss_test_plus_silent.csv").ids) == 5158
    assert len(released("music/solo_training_1.txt").ids) == 217
    assert released("music/solo_training_1.txt").ids[0] == "2gk-IN35s5I_0_1000"
    assert len(released("music/solotest.json.gz").ids) == 13_472
    assert len(released("is3/synthetic3240_bbox.json.gz").ids) == 6480
    ave = released("ave/Annotations.txt")
    assert (len(ave.ids), ave.repeated) == (4097, 46)


def test_heard_and_unheard_carry_the_list_name(released, vggss):
    heard, unheard = released("vggss/vggss_heard_test.csv"), released("vggss/vggss_unheard_test.csv")
    parts = [restrict(vggss, part) for part in (heard, unheard)]
    assert [len(part.annotations) for part in parts] == [2564, 2575]
    assert parts[0].name == "vggss-vggss_heard_test"
    classes = [{annotation.label for annotation in part.annotations} for part in parts]
    assert [len(each) for each in classes] == [110, 110]
    assert not classes[0] & classes[1]
    assert parts[0].sha256 != vggss.sha256 != parts[1].sha256
    tie = released("ssltie/openset_test_110_heard_2425.txt")
    assert len(overlap(released("ssltie/openset_train_110_70k.txt.gz"), tie).clips) == 2299


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
