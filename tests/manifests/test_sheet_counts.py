"""How the lists of a data set belong together: the datasets sheet, section 0, row by row, and our miniatures.

`EXPECTED` has the counts of both; what must hold in either stands in the tests.
"""

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.readers.avsbench import read_avsbench_boxes
from manifests.readers.extended import read_extended
from manifests.readers.is3 import read_is3
from manifests.readers.label_lists import read_labels
from manifests.readers.music import read_music
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList, overlap, read_ids

EXPECTED = {
    "vggsound": {"made": (70, 14, 2, 3, 700), "released": (15_446, 309, 9, 23, 199_176)},
    "vggss": {"made": (48, 12, 62), "released": (5158, 221, 5941)},
    "training lists": {"made": 42, "released": 7211},
    "ezvsl parts": {"made": ([24, 20], 44, "whole village humming"), "released": ([2564, 2575], 5139, "singing choir")},
    "ezvsl heard": {"made": (60, 4, 2, 8), "released": (59_468, 101, 9, 245)},
    "ssltie parts": {"made": ([108, 22, 12], 18), "released": ([70_000, 2425, 2463], 2299)},
    "ssltie classes": {"made": ([6, 3], 3, 3), "released": ([110, 110], 52, 58)},
    "scored by others": {"made": [45, 40, 38, 40], "released": [4911, 4692, 4670, 4655]},
    "silent flickr": {"made": 20, "released": 250},
    "flickr": {"made": (154, 4, 11, 40), "released": (144_000, 20, 10_188, 4750)},
    "avsbench": {"made": ([4, 3], 3), "released": ([740, 64], 35)},
    "music videos": {"made": [(12, 3), (4, 2)], "released": [(536, 11), (149, 9)]},
    "music lists": {"made": ([5, 4, 3, 2], 4), "released": ([217, 223, 49, 27], 141)},
    "music frames": {"made": [(12, 2), (12, 2)], "released": [(13_472, 27), (11_512, 16)]},
    "is3": {"made": (20, 10), "released": (6480, 3240)},
}


@pytest.fixture(scope="module")
def expected(source: str) -> Callable:
    """`expected("vggss")`: the numbers of this form."""
    return lambda name: EXPECTED[name][source]


@pytest.fixture(scope="module")
def ids(lists: Path) -> Callable[[str], IdList]:
    return lambda name: read_ids(lists / name)


@pytest.fixture(scope="module")
def shared(ids: Callable) -> Callable[[str, str], int]:
    """How many clips two lists share."""
    return lambda first, second: len(overlap(ids(first), ids(second)).clips)


@pytest.fixture(scope="module")
def vggss(lists: Path) -> TestSet:
    return read_vggss(lists / "vggss" / "vggss.json")


@pytest.fixture(scope="module")
def labels(lists: Path) -> dict[str, str | None]:
    """Class of every VGGSound test clip."""
    return {key: row.label for key, row in read_labels(lists / "vggsound" / "vggsound_test.csv").rows.items()}


def test_vggsound(lists, expected, vggss, labels):
    clips, classes, groups, commas, every = expected("vggsound")
    assert (len(labels), len(set(labels.values()))) == (clips, classes)
    assert set(vggss.keys) <= set(labels)
    assert all(labels[key] == label for key, label in vggss.labels.items())
    rows = list(csv.reader(io.StringIO((lists / "vggsound" / "stat.csv").read_text())))
    assert (len(rows), len({row[2] for row in rows}), sum("," in row[0] for row in rows)) == (classes, groups, commas)
    assert sum(int(row[1]) for row in rows) == every


def test_vggss(ids, expected, vggss):
    boxes = sum(len(annotation.boxes) for annotation in vggss.annotations)
    assert (len(vggss.annotations), len(set(vggss.labels.values())), boxes) == expected("vggss")
    assert ids("vggss/vggss_test.csv").ids == vggss.keys


def test_training_lists_of_vggsound(shared, expected):
    assert shared("vggss/vggss_10k.txt", "vggss/vggss_144k.txt.gz") == expected("training lists")
    assert shared("ssltie/train_vggss_train_144k.txt.gz", "vggss/vggss_test.csv") == 0


def test_heard_and_unheard_of_ezvsl(lists, ids, expected, vggss, labels):
    parts = [ids(f"vggss/vggss_{part}_test.csv") for part in ("heard", "unheard")]
    classes = [{labels[key] for key in part.ids} for part in parts]
    together = set(parts[0].ids) | set(parts[1].ids)
    counts, both, neither = expected("ezvsl parts")
    assert ([len(part.ids) for part in parts], len(together)) == (counts, both)
    assert {labels[key] for key in set(vggss.keys) - together} == {neither}
    superset = read_labels(lists / "aclssl" / "vggss_heard_70k_labelled.csv.gz").rows
    trained = ids("vggss/vggss_heard.txt.gz")
    assert set(trained.ids) <= set(superset)
    heard = {superset[key].label for key in trained.ids}
    lost = {row.label for row in superset.values()} - heard
    lost_clips = sum(labels[key] in lost for key in parts[0].ids)
    assert (len(trained.ids), len(heard), len(lost), lost_clips) == expected("ezvsl heard")
    assert all("," in label for label in lost)
    assert len(classes[0] & heard) == len(heard)


def test_heard_and_unheard_of_ssltie(ids, shared, expected, labels):
    train = "ssltie/openset_train_110_70k.txt.gz"
    heard, unheard = "ssltie/openset_test_110_heard_2425.txt", "ssltie/openset_test_110_unheard_2463.txt"
    counts, seen = expected("ssltie parts")
    assert [len(ids(name).ids) for name in (train, heard, unheard)] == counts
    assert (shared(train, heard), shared(train, unheard)) == (seen, 0)
    theirs = [{labels[key] for key in ids(name).ids} for name in (heard, unheard)]
    others = [{labels[key] for key in ids(f"vggss/vggss_{part}_test.csv").ids} for part in ("heard", "unheard")]
    alike = len(theirs[0] & others[0]), len(theirs[1] & others[0])
    assert ([len(each) for each in theirs], *alike) == expected("ssltie classes")
    assert "playing trombone" not in theirs[0] | theirs[1]


def test_parts_of_vggss_other_papers_scored(ids, expected, vggss):
    names = ("ssltie/test_vggss_4911.txt", "sspl/vggss_test_4692.csv", "heartheflow/vggss_test_trimmed.csv",
             "kaist/ours_vggss_4655.txt")  # fmt: skip
    assert [len(ids(name).ids) for name in names] == expected("scored by others")
    assert all(set(ids(name).ids) <= set(vggss.keys) for name in names)


def test_extended_sets(lists, expected, vggss):
    extended = read_extended(lists / "extended" / "vggss_test_plus_silent.csv", vggss)
    assert sum(extended.kinds.values()) == len(extended.negatives) == len(vggss.annotations)
    flickr = read_extended(lists / "extended" / "flickr_test_plus_silent.csv", vggss)
    assert flickr.kinds == {"unknown": expected("silent flickr")}


def test_flickr(ids, shared, expected):
    full, short = ids("flickr/flickr_test_250.csv"), ids("flickr/flickr_test_249.csv")
    assert len(set(full.ids) - set(short.ids)) == 1
    every, leaked, common, supervised = expected("flickr")
    assert len(ids("flickr/flickr_144k.txt.gz").ids) == every
    assert shared("flickr/flickr_144k.txt.gz", "flickr/flickr_test_250.csv") == leaked
    assert shared("flickr/ardasnck_Flickr_train_144k.txt.gz", "flickr/flickr_144k.txt.gz") == common
    assert shared("flickr/ardasnck_Flickr_train_144k.txt.gz", "flickr/flickr_test_250.csv") == 0
    assert shared("flickr/flickr_sup_train_4750.txt", "flickr/flickr_test_250.csv") == 0
    assert len(ids("flickr/flickr_sup_train_4750.txt").ids) == supervised


def test_avsbench(lists, expected):
    boxes = [read_avsbench_boxes(lists / "avsbench" / f"{part}_box.json.gz", part) for part in ("s4", "ms3")]
    videos = [Counter(key.rpartition("_")[0] for key in each.keys) for each in boxes]
    counts, labels = expected("avsbench")
    assert [(len(each), set(each.values())) for each in videos] == [(count, {5}) for count in counts]
    rows = list(csv.reader(io.StringIO((lists / "avsbench" / "avs1_ms3_test.csv").read_text())))
    assert len({row[1] for row in rows if row[0] != "name"}) == labels


def test_music(lists, ids, expected):
    videos = [json.loads((lists / "music" / f"MUSIC_{kind}_videos.json").read_text())["videos"] for kind in
              ("solo", "duet")]  # fmt: skip
    assert [(sum(map(len, each.values())), len(each)) for each in videos] == expected("music videos")
    parts = [ids(f"music/solo_{part}.txt") for part in ("training_1", "training_2", "validation", "testing")]
    counts, duets = expected("music lists")
    assert [len(each.ids) for each in parts] == counts
    assert set(parts[3].ids) <= set(parts[2].ids)
    assert len(ids("music/duet_pairs_train.txt").ids) + len(ids("music/duet_pairs_val.txt").ids) == duets
    found = [read_music(lists / "music" / f"{name}.json.gz", name).frames for name in ("solotest", "duettest")]
    shown = [(len(frames), len({frame.key.split("/")[0] for frame in frames})) for frames in found]
    assert shown == expected("music frames")


def test_split_orders_of_ave_are_refused_with_a_way_out(tmp_path):
    (tmp_path / "test_order.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    with pytest.raises(InputError, match=r"HDF5 file.*import h5py.*ave_test\.txt"):
        read_ids(tmp_path / "test_order.h5")


def test_is3(lists, expected):
    path = lists / "is3" / "synthetic3240_bbox.json.gz"
    entries = read_is3(path)
    assert (len(entries.keys), len({key.rpartition("_")[0] for key in entries.keys})) == expected("is3")
    with gzip.open(path) as file:
        assert all("/visual_frames/" in entry["image"] for entry in json.load(file))
