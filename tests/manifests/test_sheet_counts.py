"""The counts of the datasets sheet, section 0, row by row, from the released files beside the repository."""

import csv
import gzip
import io
import json
from collections import Counter

import pytest
from places import METADATA

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.readers.ave import read_ave, read_ave_videos
from manifests.readers.avsbench import read_avsbench_boxes
from manifests.readers.extended import read_extended
from manifests.readers.is3 import read_is3
from manifests.readers.label_lists import read_labels
from manifests.readers.music import read_music
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList, overlap, read_ids

pytestmark = pytest.mark.skipif(not METADATA.is_dir(), reason="the released lists are not in ../shared/data/metadata")


def ids(name: str) -> IdList:
    return read_ids(METADATA / name)


def shared(first: str, second: str) -> int:
    return len(overlap(ids(first), ids(second)).clips)


@pytest.fixture(scope="module")
def vggss() -> TestSet:
    return read_vggss(METADATA / "vggss" / "vggss.json")


@pytest.fixture(scope="module")
def labels() -> dict[str, str | None]:
    """Class of every VGGSound test clip."""
    return {key: row.label for key, row in read_labels(METADATA / "vggsound" / "vggsound_test.csv").rows.items()}


def test_vggsound(vggss, labels):
    assert (len(labels), len(set(labels.values()))) == (15_446, 309)
    assert set(vggss.keys) <= set(labels)
    rows = list(csv.reader(io.StringIO((METADATA / "vggsound" / "stat.csv").read_text())))
    assert (len(rows), len({row[2] for row in rows}), sum("," in row[0] for row in rows)) == (309, 9, 23)
    assert sum(int(row[1]) for row in rows) == 199_176


def test_vggss(vggss):
    assert len(vggss.annotations) == 5158
    assert len(set(vggss.labels.values())) == 221
    assert sum(len(annotation.boxes) for annotation in vggss.annotations) == 5941
    assert ids("vggss/vggss_test.csv").ids == vggss.keys


def test_training_lists_of_vggsound():
    assert shared("vggss/vggss_10k.txt", "vggss/vggss_144k.txt.gz") == 7211
    assert shared("ssltie/train_vggss_train_144k.txt.gz", "vggss/vggss_test.csv") == 0


def test_heard_and_unheard_of_ezvsl(vggss, labels):
    parts = [ids(f"vggss/vggss_{part}_test.csv") for part in ("heard", "unheard")]
    classes = [{labels[key] for key in part.ids} for part in parts]
    together = set(parts[0].ids) | set(parts[1].ids)
    assert ([len(part.ids) for part in parts], len(together)) == ([2564, 2575], 5139)
    assert {labels[key] for key in set(vggss.keys) - together} == {"singing choir"}
    superset = read_labels(METADATA / "aclssl" / "vggss_heard_70k_labelled.csv.gz").rows
    trained = ids("vggss/vggss_heard.txt.gz")
    assert set(trained.ids) <= set(superset)
    heard = {superset[key].label for key in trained.ids}
    lost = {row.label for row in superset.values()} - heard
    assert (len(trained.ids), len(heard), len(lost)) == (59_468, 101, 9)
    assert all("," in label for label in lost)
    assert sum(labels[key] in lost for key in parts[0].ids) == 245
    assert len(classes[0] & heard) == 101


def test_heard_and_unheard_of_ssltie(labels):
    train = "ssltie/openset_train_110_70k.txt.gz"
    heard, unheard = "ssltie/openset_test_110_heard_2425.txt", "ssltie/openset_test_110_unheard_2463.txt"
    assert [len(ids(name).ids) for name in (train, heard, unheard)] == [70_000, 2425, 2463]
    assert (shared(train, heard), shared(train, unheard)) == (2299, 0)
    theirs = [{labels[key] for key in ids(name).ids} for name in (heard, unheard)]
    others = [{labels[key] for key in ids(f"vggss/vggss_{part}_test.csv").ids} for part in ("heard", "unheard")]
    assert [len(each) for each in theirs] == [110, 110]
    assert (len(theirs[0] & others[0]), len(theirs[1] & others[0])) == (52, 58)
    assert "playing trombone" not in theirs[0] | theirs[1]


def test_parts_of_vggss_other_papers_scored(vggss):
    names = {"ssltie/test_vggss_4911.txt": 4911, "sspl/vggss_test_4692.csv": 4692,
             "heartheflow/vggss_test_trimmed.csv": 4670, "kaist/ours_vggss_4655.txt": 4655}  # fmt: skip
    for name, count in names.items():
        assert len(ids(name).ids) == count
        assert set(ids(name).ids) <= set(vggss.keys)


def test_extended_sets(vggss):
    extended = read_extended(METADATA / "extended" / "vggss_test_plus_silent.csv", vggss)
    assert (len(extended.negatives), extended.kinds) == (5158, {"real": 379, "easy": 3594, "hard": 1185})
    flickr = read_extended(METADATA / "extended" / "flickr_test_plus_silent.csv", vggss)
    assert (len(flickr.negatives), flickr.kinds) == (250, {"unknown": 250})


def test_flickr():
    full, short = ids("flickr/flickr_test_250.csv"), ids("flickr/flickr_test_249.csv")
    assert set(full.ids) - set(short.ids) == {"3908875350"}
    assert len(ids("flickr/flickr_144k.txt.gz").ids) == 144_000
    assert shared("flickr/flickr_144k.txt.gz", "flickr/flickr_test_250.csv") == 20
    assert shared("flickr/ardasnck_Flickr_train_144k.txt.gz", "flickr/flickr_144k.txt.gz") == 10_188
    assert shared("flickr/ardasnck_Flickr_train_144k.txt.gz", "flickr/flickr_test_250.csv") == 0
    assert shared("flickr/flickr_sup_train_4750.txt", "flickr/flickr_test_250.csv") == 0
    assert len(ids("flickr/flickr_sup_train_4750.txt").ids) == 4750


def test_avsbench():
    s4 = read_avsbench_boxes(METADATA / "avsbench" / "s4_box.json.gz", "s4")
    ms3 = read_avsbench_boxes(METADATA / "avsbench" / "ms3_box.json.gz", "ms3")
    videos = [Counter(key.rpartition("_")[0] for key in each.keys) for each in (s4, ms3)]
    assert [(len(each), set(each.values())) for each in videos] == [(740, {5}), (64, {5})]
    assert len(set(s4.labels.values())) == 23
    rows = list(csv.reader(io.StringIO((METADATA / "avsbench" / "avs1_ms3_test.csv").read_text())))
    assert len({row[1] for row in rows if row[0] != "name"}) == 35


def test_music():
    solo, duet = (
        json.loads((METADATA / "music" / f"MUSIC_{kind}_videos.json").read_text())["videos"]
        for kind in ("solo", "duet")
    )
    assert [(sum(map(len, each.values())), len(each)) for each in (solo, duet)] == [(536, 11), (149, 9)]
    lists = [ids(f"music/solo_{part}.txt") for part in ("training_1", "training_2", "validation", "testing")]
    assert [len(each.ids) for each in lists] == [217, 223, 49, 27]
    assert set(lists[3].ids) <= set(lists[2].ids)
    assert len(ids("music/duet_pairs_train.txt").ids) + len(ids("music/duet_pairs_val.txt").ids) == 141
    for name, frames, videos in (("solotest", 13_472, 27), ("duettest", 11_512, 16)):
        found = read_music(METADATA / "music" / f"{name}.json.gz", name)
        assert (len(found.frames), len({frame.key.split("/")[0] for frame in found.frames})) == (frames, videos)


def test_ave():
    events = read_ave(METADATA / "ave" / "Annotations.txt")
    videos = read_ave_videos(METADATA / "ave" / "Annotations.txt")
    assert (len(events), len(videos.keys), len({event.category for event in events})) == (4143, 4097, 28)
    with pytest.raises(InputError, match=r"HDF5 file.*import h5py.*ave_test\.txt"):
        ids("ave/test_order.h5")


def test_is3():
    entries = read_is3(METADATA / "is3" / "synthetic3240_bbox.json.gz")
    assert (len(entries.keys), len({key.rpartition("_")[0] for key in entries.keys})) == (6480, 3240)
    with gzip.open(METADATA / "is3" / "synthetic3240_bbox.json.gz") as file:
        assert "synthetic3241" in json.load(file)[0]["image"]
