"""Label lists of every format: recognised from content, commas kept, doubles counted."""

import gzip
import json
from pathlib import Path

import pytest
from places import METADATA

from manifests.errors import InputError
from manifests.readers.label_lists import ClipLabel, read_labels


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8", newline="")
    return path


def test_the_official_four_columns(tmp_path: Path) -> None:
    table = read_labels(
        written(
            tmp_path,
            "vggsound.csv",
            'AbCdEfGh_-1,30,"female speech, woman speaking",train\n'
            "-ZyXwVuTs09,0,people marching,test\n"
            "-ZyXwVuTs09,12.0,fly, housefly buzzing,test\n",  # float start, comma without quotes
        )
    )
    assert table.format == "ytid,start,label,split"
    assert list(table.rows.values()) == [
        ClipLabel("AbCdEfGh_-1_000030", "female speech, woman speaking", "train"),
        ClipLabel("-ZyXwVuTs09_000000", "people marching", "test"),
        ClipLabel("-ZyXwVuTs09_000012", "fly, housefly buzzing", "test"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "test.csv",
            '-ZyXwVuTs09_000000.mp4,"donkey, ass braying"\n',
            ClipLabel("-ZyXwVuTs09_000000", "donkey, ass braying"),
        ),
        ("heard.csv", "AbCdEfGh_-1_30000_40000,elk bugling\r\n", ClipLabel("AbCdEfGh_-1_000030", "elk bugling")),
        ("vggss_test.csv", "AbCdEfGh_-1_000030\r\n-ZyXwVuTs09_000000\r\n", ClipLabel("AbCdEfGh_-1_000030")),
        ("vggss_144k.txt", "AbCdEfGh_-1_000030", ClipLabel("AbCdEfGh_-1_000030")),
        ("flickr_test.csv", "10000130166,202\r\n10007936344,0\r\n", ClipLabel("10000130166")),
        (
            "s4_meta_data.csv",
            "name,start_time,category,split\nabc_1,0,dog,val\n",
            ClipLabel("abc_1", "dog", "val"),
        ),
        (
            "download.csv",
            "youtube_id,start,label,split\nAbCdEfGh_-1,30,elk bugling,train\n",
            ClipLabel("AbCdEfGh_-1_000030", "elk bugling", "train"),
        ),
        ("Annotations.txt", "Church bell&RUhOCu3LNXM&good&0&10\n", ClipLabel("RUhOCu3LNXM", "Church bell")),
        (
            "Annotations.txt",
            "Category&VideoID&Quality&StartTime&EndTime\nChurch bell&RUhOCu3LNXM&good&0&10\n",
            ClipLabel("RUhOCu3LNXM", "Church bell"),
        ),
        (
            "vggss.json",
            json.dumps([{"file": "AbCdEfGh_-1_000032", "class": "elk bugling", "bbox": [[0, 0, 1, 1]]}]),
            ClipLabel("AbCdEfGh_-1_000032", "elk bugling"),
        ),
        ("mine.json", json.dumps({"kitchen 1.mp4": "clatter"}), ClipLabel("kitchen 1", "clatter")),
        (
            "MUSIC_solo_videos.json",
            json.dumps({"videos": {"flute": ["jW_AuF6dQYY"]}, "version": 1.0}),
            ClipLabel("jW_AuF6dQYY_0_1000", "flute"),
        ),
    ],
)
def test_every_other_format(tmp_path: Path, name: str, text: str, expected: ClipLabel) -> None:
    table = read_labels(written(tmp_path, name, text))
    assert table.rows[expected.key] == expected
    assert table.labelled == (expected.label is not None)


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "vggsound.csv.gz"
    path.write_bytes(gzip.compress(b"AbCdEfGh_-1,30,elk bugling,train\n"))
    assert read_labels(path).rows["AbCdEfGh_-1_000030"].label == "elk bugling"


def test_doubles_keep_the_first_and_are_counted(tmp_path: Path) -> None:
    text = "Bell&RUhOCu3LNXM&good&0&10\nBell&RUhOCu3LNXM&good&0&5\nTruck&RUhOCu3LNXM&good&0&10\n"
    table = read_labels(written(tmp_path, "Annotations.txt", text))
    assert table.rows["RUhOCu3LNXM"].label == "Bell"
    assert (table.repeated, table.conflicting) == (2, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stat.csv", 'ambulance siren,1050,vehicle\n"bird chirping, tweeting",1050,animals\n'),
        ("notes.csv", "some prose, with a comma\n"),
        ("empty.csv", ""),
        ("broken.json", '[{"file": '),
        ("other.json", '{"a": 1}'),
        ("vggsound.csv", "AbCdEfGh_-1,30,elk bugling,train\nAbCdEfGh_-1,thirty,elk bugling,train\n"),
    ],
)
def test_what_is_no_label_list_is_refused_with_its_name(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        read_labels(written(tmp_path, name, text))


def test_a_missing_list_and_a_binary_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "nowhere.csv")
    binary = tmp_path / "clip.csv"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="UTF-8"):
        read_labels(binary)


COUNTS = {  # clips and labels
    "vggsound/vggsound_test.csv": {"made": (70, 14), "released": (15_446, 309)},
    "vggsound/vggsound_rebuilt_82781.csv.gz": {"made": (280, 14), "released": (82_781, 309)},
    "vggss/vggss.json": {"made": (48, 12), "released": (5_158, 221)},
    "vggss/vggss_test.csv": {"made": (48, 0), "released": (5_158, 0)},
    "vggss/vggss_144k.txt.gz": {"made": (145, 0), "released": (144_000, 0)},
    "aclssl/vggss_heard_70k_labelled.csv.gz": {"made": (96, 6), "released": (70_000, 110)},
    "ave/Annotations.txt": {"made": (10, 2), "released": (4_097, 28)},
    "flickr/flickr_test_250.csv": {"made": (20, 0), "released": (250, 0)},
    "avsbench/avs1_s4_test.csv.gz": {"made": (20, 3), "released": (3_700, 23)},
    "music/MUSIC_solo_videos.json": {"made": (2 * 12, 3), "released": (2 * 536, 11)},
    "music/MUSIC_duet_videos.json": {"made": (2 * 4, 2), "released": (2 * 149, 9)},
}


@pytest.mark.parametrize("file", COUNTS)
def test_lists_have_their_known_counts(lists: Path, source: str, file: str) -> None:
    table = read_labels(lists / file)
    labels = {row.label for row in table.rows.values()} - {None}
    assert (len(table.rows), len(labels)) == COUNTS[file][source]


AUDIOSET = '--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_"\n-0RWZT-miFs, 420.000, 430.000, "/m/03v3yw"\n'
AUDIOSET_COMMENTS = "# Segments csv created Sun Mar  5 10:54:25 2017\n# num_ytids=2, num_segs=2\n"


@pytest.mark.parametrize(
    ("text", "layout", "expected"),
    [
        (AUDIOSET, "ytid,start,end,label", ClipLabel("-0RWZT-miFs_000420", "/m/03v3yw")),
        (AUDIOSET, "ytid,start,end,label", ClipLabel("--4gqARaEJE_000000", "/m/068hy,/m/07q6cd_")),
        (AUDIOSET_COMMENTS + AUDIOSET, "ytid,start,end,label", ClipLabel("-0RWZT-miFs_000420", "/m/03v3yw")),
        (
            f"{AUDIOSET_COMMENTS}# YTID, start_seconds, end_seconds, positive_labels\n{AUDIOSET}",
            "ytid,start,end,label",
            ClipLabel("-0RWZT-miFs_000420", "/m/03v3yw"),
        ),
        (
            f"YTID, start_seconds, end_seconds, positive_labels\n{AUDIOSET}",
            "csv with a header",
            ClipLabel("-0RWZT-miFs_000420", "/m/03v3yw"),
        ),
        (
            "AbCdEfGh_-1,30,40,dog,train\nAbCdEfGh_-2,0,10,fly, housefly,test\n",
            "ytid,start,end,label,split",
            ClipLabel("AbCdEfGh_-2_000000", "fly, housefly", "test"),
        ),
        ("AbCdEfGh_-1,30,dog\n", "ytid,start,label", ClipLabel("AbCdEfGh_-1_000030", "dog")),
        ("AbCdEfGh_-1,30,40\n", "ytid,start,end", ClipLabel("AbCdEfGh_-1_000030")),
        ("a b.mp4,dog,train\nc.mkv,cat,test\n", "name,label,split", ClipLabel("a b", "dog", "train")),
        ("a b.mp4\tdog\ttrain\nc.mkv\tcat\ttest\n", "name,label,split", ClipLabel("a b", "dog", "train")),
        ("file_name,label\ntrain/0001.mp4,cat\n", "csv with a header", ClipLabel("0001", "cat")),
        ("ytid,start,end,label,split\nAbCdEfGh_-1,30,40,dog,test\n", "csv with a header",
         ClipLabel("AbCdEfGh_-1_000030", "dog", "test")),
        ("Tom & Jerry.mp4,cartoon\n", "name,label", ClipLabel("Tom & Jerry", "cartoon")),
        ("[new] a.mp4,dog\n", "name,label", ClipLabel("[new] a", "dog")),
        ("#1 hit.mp4,music\n", "name,label", ClipLabel("#1 hit", "music")),
    ],
)  # fmt: skip
def test_columns_are_told_apart_by_what_they_hold(tmp_path: Path, text: str, layout: str, expected: ClipLabel) -> None:
    table = read_labels(written(tmp_path, "list.csv", text))
    assert table.format == layout
    assert table.rows[expected.key] == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("AbCdEfGh_-1,30,5,train\n", "not always an end after the start"),
        ("AbCdEfGh_-1,0,5,train\n", "which of the last columns are label and split"),
        ("AbCdEfGh_-1,30\n", "expected ytid,start_seconds,label,split"),
        ("AbCdEfGh_-1,30,fly, housefly\n", "which of the last columns are label and split"),
        ("kitchen,30,dog,train\n", "the first column is no YouTube id"),
        ("clip1.mp4,3\nclip2.mp4,7\n", "the second column holds only numbers"),
        ("clip1.mp4,train\nclip2.mp4,test\n", "the second column holds splits"),
        ("my holiday, day 1.MOV\n", "a comma"),
        ("file,species,split\na.mp4,dog,train\n", "what species holds is not known"),
        ("file,species\na.mp4,dog\n", "what species holds is not known"),
        ("file,label,split\na.mp4,fly, housefly,train\n", "must stand in quotes"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_labels(written(tmp_path, "list.csv", text))


def test_lists_of_objects_are_read_by_line_too(tmp_path: Path) -> None:
    text = '{"file_name": "a.b.mp4", "label": "dog"}\n{"file_name": "c.mp4", "label": "cat"}\n'
    assert read_labels(written(tmp_path, "metadata.jsonl", text)).rows["a%2Eb"].label == "dog"


def test_a_table_says_what_it_read(tmp_path: Path) -> None:
    table = read_labels(written(tmp_path, "list.csv", AUDIOSET))
    assert table.examples == (
        "--4gqARaEJE_000000 is '/m/068hy,/m/07q6cd_' (no split); -0RWZT-miFs_000420 is '/m/03v3yw' (no split)"
    )


def test_the_audioset_case_is_read_right() -> None:
    case = METADATA.parents[1] / "cases" / "audioset_csv" / "as_nohead.csv"
    if not case.exists():
        pytest.skip("the case audioset_csv is not in ../shared/cases")
    assert read_labels(case).rows["--BfvyPmVMo_000020"] == ClipLabel("--BfvyPmVMo_000020", "/m/03l9g")


TWO_COLUMNS = {
    "numbers_first.csv": "file_name,label,category\na b.mp4,1,dog\nc.mp4,,\n",
    "names_first.csv": "file_name,class,label\na b.mp4,dog,1\nc.mp4,,\n",
    "equal.csv": "file_name,label,category\na b.mp4,dog,dog\nc.mp4,,\n",
    "in_turn.csv": "file_name,label,category\na b.mp4,,dog\nc.mp4,,\n",
    "numbers.json": '[{"file": "a b.mp4", "label": 1, "category": "dog"}, {"file": "c.mp4"}]',
}


@pytest.mark.parametrize(("name", "text"), TWO_COLUMNS.items())
def test_of_two_columns_of_classes_the_one_with_names_counts(tmp_path: Path, name: str, text: str) -> None:
    rows = read_labels(written(tmp_path, name, text)).rows
    assert [row.label for row in rows.values()] == ["dog", None]


def test_numbers_alone_are_classes(tmp_path: Path) -> None:
    text = "file_name,label,category\na.mp4,1,\nc.mp4,2,\n"
    assert [row.label for row in read_labels(written(tmp_path, "numbers.csv", text)).rows.values()] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("two.csv", "file_name,label,category\na.mp4,poodle,dog\nb.mp4,beagle,dog\n"),
        ("half.csv", "file_name,label,category\na.mp4,1,\nb.mp4,2,dog\n"),
        ("ids.csv", "file_name,label,category\na.mp4,1,10\nb.mp4,1,20\n"),
        (
            "two.json",
            '[{"file": "a.mp4", "label": "pug", "class": "dog"}, {"file": "b", "label": "x", "class": "dog"}]',
        ),
    ],
)
def test_two_classes_of_one_row_are_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InputError, match=r"as its label.* of the clip a\.mp4, and it is not certain wh"):
        read_labels(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("columns", "first", "second", "expected"),
    [
        ("label,class", ("0.0", "dog"), ("1.0", "cat"), ["dog", "cat"]),
        ("label,class", ("-1", "dog"), ("2", "cat"), ["dog", "cat"]),
        ("label,category", ("dog_bark", "dog bark"), ("cat", "cat"), ["dog_bark", "cat"]),
        ("label,category", ("dog", "Dog"), ("cat", "Cat"), ["dog", "cat"]),
        ("label,category", ("0", "911"), ("1", "808"), ["0", "1"]),
    ],
)
def test_of_columns_that_say_the_same_in_other_words_the_first_counts(
    tmp_path: Path, columns: str, first: tuple[str, str], second: tuple[str, str], expected: list[str]
) -> None:
    """As pandas writes numbers beside gaps, names with and without marks, a data set's numbers beside one's own."""
    rows = [f"{name},{','.join(said)}" for name, said in (("a.mp4", first), ("b.mp4", second), ("c.mp4", first))]
    found = read_labels(written(tmp_path, "mine.csv", "\n".join([f"file,{columns}", *rows])))
    assert [row.label for row in found.rows.values()] == [*expected, expected[0]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.csv", "AbCdEfGh_-1,0,dog,train\nAbCdEfGh_-1,0,dog,test\n"),
        ("mine.json", '{"train": ["AbCdEfGh_-1_000000.mp4"], "val": ["AbCdEfGh_-1_000000.mp4"]}'),
        ("named.csv", "file,split\nAbCdEfGh_-1_000000,test\nAbCdEfGh_-1_000000.mp4,train\n"),
    ],
)
def test_a_clip_in_two_splits_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InputError, match="has the clip AbCdEfGh_-1_000000 in two splits, t"):
        read_labels(written(tmp_path, name, text))


def test_a_clip_may_be_listed_again_in_its_split_or_in_none(tmp_path: Path) -> None:
    text = "file,split\na.mp4,train\na.mp4,Training\na.mp4,\nb/a.mp4,test\n"
    assert read_labels(written(tmp_path, "mine.csv", text)).repeated == 2
