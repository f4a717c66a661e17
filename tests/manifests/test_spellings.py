"""Lists and files as spreadsheets, systems and other data sets spell them: separators, cases, columns, litter."""

from pathlib import Path

import pytest

from manifests.errors import InputError
from manifests.files.suffixes import is_litter
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids, split_of
from manifests.truth import read_truth

YTID = "AbCdEfGhI_1"


@pytest.mark.parametrize(
    "text",
    [
        "file_name,label,split\nmy clip.mp4,dog,train\nb.mp4,cat,test\n",
        "\ufefffile_name;label;split\r\nmy clip.mp4;dog;train\r\nb.mp4;cat;test\r\n",
        "file_name|label|split\nmy clip.mp4|dog|train\nb.mp4|cat|test\n",
        "file_name\tlabel\tsplit\nmy clip.mp4\tdog\ttrain\nb.mp4\tcat\ttest\n",
        "my clip.mp4;dog;train\nb.mp4;cat;test\n",
        "File_Name,LABEL,Split\nmy clip.mp4,dog,Train\nb.mp4,cat,TEST\n",
        "'my clip.mp4','dog','train'\n'b.mp4','cat','test'\n",
        "file,label,split\n'my clip.mp4', 'dog', 'train'\n'b.mp4', 'cat', 'test'\n",
        "'my clip.mp4';'dog';'train'\n'b.mp4';'cat';'test'\n",
    ],
)
def test_separators_and_cases(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text, newline="")
    rows = read_labels(tmp_path / "list.csv").rows
    assert [(row.key, row.label, row.split) for row in rows.values()] == [
        ("my clip", "dog", "train"),
        ("b", "cat", "test"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"label,youtube_id,time_start,time_end,split\ndog,{YTID},30,40,train\n",  # Kinetics
        f"ytid,start,end,label,split\n{YTID},30,40,dog,train\n",
        f"{YTID};30;dog;train\n",
    ],
)
def test_starts_in_columns(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    (row,) = read_labels(tmp_path / "list.csv").rows.values()
    assert (row.key, row.label, row.split) == (f"{YTID}_000030", "dog", "train")


def test_names_that_hold_semicolons_are_names(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("one; two.mp4\nthree.mp4\n")
    assert list(read_labels(tmp_path / "list.txt").rows) == ["one; two", "three"]


def labels(tmp_path: Path, text: str) -> dict[str, str | None]:
    (tmp_path / "list.txt").write_text(text)
    return {key: row.label for key, row in read_labels(tmp_path / "list.txt").rows.items()}


def test_single_quotes_are_no_part_of_a_name(tmp_path: Path) -> None:
    assert labels(tmp_path, "'a.mp4','dog, barking'\n'b.mp4','cat''s'\n") == {"a": "dog, barking", "b": "cat's"}
    assert labels(tmp_path, "'a.mp4'\n'b.mp4'\n") == {"a": None, "b": None}
    assert labels(tmp_path, "'tis.mp4,dog\n'twas.mp4,cat\n") == {"'tis": "dog", "'twas": "cat"}
    assert labels(tmp_path, "'a'.mp4,dog\nb.mp4,cat\n") == {"'a'": "dog", "b": "cat"}
    for text in ("['a.mp4', 'b.mp4']", "[('a.mp4', 'dog'), ('b.mp4', 'cat')]", "{'a.mp4': 'dog'}"):
        (tmp_path / "list.txt").write_text(text)
        with pytest.raises(InputError, match=r"as Python prints a list.*json\.dump"):
            read_ids(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.mp4 dog\nb c.mp4 cat meowing\n", {"a": "dog", "b c": "cat meowing"}),
        (f"{YTID}_000030 dog barking\n{YTID}_000040 cat\n", {f"{YTID}_000030": "dog barking", f"{YTID}_000040": "cat"}),
        ("a.mp4\tdog\nb.mp4\tcat\n", {"a": "dog", "b": "cat"}),
        ("a.jpg a.wav\nb.jpg b.wav\n", {"a": None, "b": None}),
        ("a b.mp4\nc.mp4\n", {"a b": None, "c": None}),
    ],
)
def test_a_label_behind_a_blank(tmp_path: Path, text: str, expected: dict[str, str | None]) -> None:
    assert labels(tmp_path, text) == expected
    assert read_ids(tmp_path / "list.txt").ids == tuple(expected)


@pytest.mark.parametrize("text", ["a.mp4 dog\nb.mp4\n", "a.mp4 dog train\nb.mp4 cat test\n", "a.mp4 1\nb.mp4 2\n"])
def test_what_may_be_no_label_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="is of no known format"):
        labels(tmp_path, text)
    assert read_ids(tmp_path / "list.txt").ids == ("a", "b")


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("train", ["train", "Training", "TRN", None]),
        ("val", ["val", "valid", "Validation", "dev"]),
        ("test", ["test", "testing", "tst", "eval", "Evaluation"]),
        ("fold1", ["fold1"]),
    ],
)
def test_splits_are_known_by_their_usual_words(tmp_path: Path, split: str, words: list[str | None]) -> None:
    for word in words:
        assert split_of(word) == split
        (tmp_path / "list.csv").write_text(f"file,label,split\na.mp4,dog,{word or ''}\nb.mp4,cat,other\n")
        if word:
            assert read_ids(tmp_path / "list.csv", split=split).ids == ("a",)
            assert read_ids(tmp_path / "list.csv", split=word).ids == ("a",)


CLIPS = [
    *(
        "part.mp4",
        "of.part.mp4",
        "clip.f137.mp4",
        "my.git.mp4",
        "git/a.mp4",
        "cache/a.mp4",
        "~a.mp4",
        "#1.mp4",
        "a~b.mp4",
    ),
    *(
        "lost and found/a.mp4",
        "tmp/a.mp4",
        ".hidden.mp4",
        "download/a.mp4",
        "trash/a.mp4",
        "a.swp.mp4",
        "paxheaders of a tar/a.mp4",
        ".a.b.matros.mp4",
    ),
]
LITTER = [
    ".Trash-1000/files/a.mp4", "a.mp4.download/a.mp4", ".thumbnails/a.png", ".rsync-partial/a.mp4", "~$list.csv",
    "~lock.mp4", ".~lock.list.csv#", ".git/annex/objects/a.mp4", ".svn/pristine/a.wav", "__MACOSX/x/._a.mp4",
    "lost+found/a.mp4", "a.mp4.crdownload", "a.mp4.!qB", "a.mp4.aria2", "@eaDir/a.mp4/SYNO.jpg", "#recycle/a.mp4",
    ".fseventsd/0000", ".ipynb_checkpoints/a-checkpoint.png", "$RECYCLE.BIN/a.mp4", "System Volume Information/a.mp4",
    ".Spotlight-V100/a.mp4", ".@__thumb/a.mp4", "@Recycle/a.mp4", "#snapshot/a.mp4", ".stversions/a.mp4",
    ".dropbox.cache/a.mp4", ".tmp.drivedownload/a.mp4", ".cache/huggingface/a.mp4", "__pycache__/a.png",
    ".a.mp4.Ab3xYz", "a.mp4~", "#a.mp4#", "a.mp4:Zone.Identifier", ".nfs000000000012", ".fuse_hidden0001.mp4",
    ".trashed-1680000000-a.mp4", ".pending-1680000000-a.mp4", ".a.mp4.icloud", "a.temp.mp4", "a.f137.mp4.part",
    "a.mp4.part-Frag12", ".a.mp4.swp", "desktop.ini", "x/Thumbs.db", "./PaxHeader/a.mp4", "x/PaxHeaders.123/a.mp4",
    "PaxHeaders/a.mp4",
]  # fmt: skip


def test_what_systems_and_downloads_leave() -> None:
    assert [path for path in LITTER if not is_litter(path)] == []
    assert [path for path in CLIPS if is_litter(path)] == []


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_marks_that_end_a_line_for_unicode_alone_end_none_in_a_file(tmp_path: Path, mark: str) -> None:
    rows = [f'{{"file": "a.mp4", "class": "{name}"}}\r\n' for name in (f"dog{mark}x", "cat")]
    texts = {"a.csv": f"file,label\na.mp4,dog{mark}x\nb.mp4,cat\n", "Annotations.txt": f"dog{mark}x&a&good&0&10\n"}
    if mark in "\u2028\x85":  # of the others JSON holds none as they are
        texts["a.jsonl"] = "".join(rows)
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8", newline="")
        assert read_labels(tmp_path / name).rows["a"].label == f"dog{mark}x"
    assert read_truth(tmp_path / "Annotations.txt", "ave").test_set.labels == {"a": f"dog{mark}x"}
    (tmp_path / "ids.txt").write_text(f"a{mark}b.mp4\rc.mp4\r", "utf-8", newline="")
    assert len(read_ids(tmp_path / "ids.txt").ids) == 2


def test_a_split_of_a_list_is_stored_by_one_name(tmp_path: Path) -> None:
    words = ["training", "TRN", "validation", "dev", "Testing", "eval", "holdout", ""]
    rows = "".join(f"clip{number}.mp4,dog,{word}\n" for number, word in enumerate(words))
    (tmp_path / "list.csv").write_text("file,label,split\n" + rows)
    found = [row.split for row in read_labels(tmp_path / "list.csv").rows.values()]
    assert found == ["train", "train", "val", "val", "test", "test", "holdout", None]


def test_examples_show_the_folders_of_namesakes(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,label\ncity/take 1.mp4,chaplin\nsea/take 1.mp4,waves\nsea/b.mp4,dog\n")
    said = read_labels(tmp_path / "list.csv").examples
    assert said == "city/take 1 is 'chaplin' (no split); b is 'dog' (no split)"


def test_a_first_line_is_shown_without_a_separator_that_it_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("Datei;Klasse;Set\na clip;dog;one\n")
    with pytest.raises(InputError, match="line 'Datei', 'Klasse', 'Set'"):
        read_labels(tmp_path / "list.csv")
