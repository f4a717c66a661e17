"""The walk over a source folder: every layout recognised, what is left alone named, every name harmless."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_trees import files, keys, tar

from manifests.errors import InputError
from manifests.keys import safe_key
from pipeline.ingest import announce
from pipeline.sources.labels import find_labels
from pipeline.sources.listing import list_sources, tally

# --- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "split", "label"),
    [
        ("scratch/shared/beegfs/video/AbCdEfGh_-1_000030.mp4", "AbCdEfGh_-1_000030", None, None),
        ("video/AbCdEfGh_-1_30000_40000.mp4", "AbCdEfGh_-1_000030", None, None),
        (
            "VGGSound/train/playing_violin_fiddle/vAbCdEfGh_-1_30_40_out.mkv",
            "AbCdEfGh_-1_000030",
            "train",
            "playing_violin_fiddle",
        ),
        ("vggsound/test/dog barking/AbCdEfGh_-1_000030.MP4", "AbCdEfGh_-1_000030", "test", "dog barking"),
        ("s4_data/raw_videos/val/dog/-0KPBDMcH4A_2000_7000.mp4", "-0KPBDMcH4A_2000_7000", "val", "dog"),
        ("AVE/RUhOCu3LNXM.mp4", "RUhOCu3LNXM", None, None),
        ("solo/flute/jW_AuF6dQYY_0_1000.mp4", "jW_AuF6dQYY_0_1000", None, None),
        ("videos/4/5/6/1234567456.mp4", "1234567456", None, None),
        ("my holiday, day 1.MOV", "my holiday, day 1", None, None),
        ("IMG.0001.webm", "IMG%2E0001", None, None),
    ],
)
def test_layouts(tmp_path: Path, name: str, key: str, split: str | None, label: str | None) -> None:
    (clip,) = list_sources([files(tmp_path, name)]).clips
    assert (clip.key, clip.split, clip.label, clip.path) == (key, split, label, name)
    assert clip.start_known == key.endswith("_000030")


def test_mixed_layouts_and_other_files_are_counted(tmp_path: Path) -> None:
    files(tmp_path, "a/AbCdEfGh_-1_000030.mp4", "b/-ZyXwVuTs09_0_10000.avi", "c.txt", "a/c.jpg", "a/d.jpg", "README")
    listing = list_sources([tmp_path])
    assert keys(listing) == ["-ZyXwVuTs09_000000", "AbCdEfGh_-1_000030"]
    assert listing.others == {".txt": 1, ".jpg": 2, "(no suffix)": 1}


def test_rare_suffixes_are_videos_too(tmp_path: Path) -> None:
    names = ["a.divx", "b.3gpp", "c.RM", "d.rmvb", "e.dvr-ms", "f.m2t", "g.ogm", "h.mpe"]
    tar(files(tmp_path, *names) / "more.tar", ("i.rmvb", b"x"))
    listing = list_sources([tmp_path])
    assert (keys(listing), listing.others) == (list("abcdefghi"), {})


def test_ingest_says_in_one_line_what_it_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(tmp_path, "a.mp4", "b.zip", "c.zip", "d.tar.zst", "README", "e.7z", "docs/f.csv")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/g.caf\xe9")).write_bytes(b"x")
    tar(tmp_path / "h.tar", ("i.gif", b"x"))
    (tmp_path / "mine.csv").write_text("a.mp4,elk bugling\n")
    (tmp_path / "other.csv").write_text("z.mp4,elk bugling\n")
    listing = list_sources([tmp_path])
    for meta in ((), (tmp_path / "docs" / ".." / "mine.csv",)):  # found beside the clips, or given
        announce(listing, find_labels(meta, listing))
        assert capsys.readouterr().out.splitlines()[:2] == [
            "found 1 clip (1 tar file included)",
            "9 files are no clips and were left alone: "
            ".zip 2, .csv 2, (no suffix) 1, .zst 1, .7z 1, .caf\\xe9 1, .gif 1",
        ]


def test_nothing_is_said_where_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(tmp_path, "a.mp4")
    (tmp_path / "mine.csv").write_text("a.mp4,elk bugling\n")
    listing = list_sources([tmp_path])
    announce(listing, find_labels((), listing))
    assert "left alone" not in capsys.readouterr().out


def test_kinds_beyond_a_dozen_are_counted() -> None:
    assert tally({f".{number}": number for number in range(1, 15)}).endswith(".4 4, .3 3, 2 more kinds")


def test_the_output_folder_inside_the_source_is_left_out(tmp_path: Path) -> None:
    files(tmp_path, "clip.mp4", "shards/old.mp4")
    assert keys(list_sources([tmp_path], exclude=tmp_path / "shards")) == ["clip"]


# --- names are data --------------------------------------------------------------------------------------------------


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    names = [b"-rf.mp4", b"a b'c\"d.mp4", b"new\nline.mp4", b"caf\xe9.mp4", "ключ.mp4".encode(), b"$(reboot);`x`.mp4"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    listing = list_sources([tmp_path])
    assert keys(listing) == sorted(["-rf", "a b'c\"d", "new%0Aline", "caf%E9", "ключ", "$(reboot);`x`"])
    assert {os.fsencode(clip.path) for clip in listing.clips} == set(names)
    assert all(clip.display.isprintable() and clip.display.encode() for clip in listing.clips)


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_safe_keys_are_injective_and_safe(stems: list[str]) -> None:
    try:
        for stem in stems:
            os.fsencode(stem)
    except UnicodeEncodeError:
        return  # not a possible file name
    if unicodedata.normalize("NFC", stems[0]).strip() == unicodedata.normalize("NFC", stems[1]).strip():
        return  # one name in two spellings
    first, second = map(safe_key, stems)
    assert first != second
    assert not set("./\\\n\0") & set(first + second)


# --- what systems and downloads leave behind -------------------------------------------------------------------------

LITTER = [
    "._a.mp4", "x/._b.wav", ".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir/a.mp4/SYNOVIDEO.mp4", "__MACOSX/a.mp4",
    "a.mp4.part", "a.f137.mp4.part", "b.crdownload", "c.ytdl", "d.tmp", "e.temp.mp4", "f.mp4.part-Frag12", "g.mp4.tmp",
    "._vggsound.csv", "._more.tar", ".Trash/old.mp4", "$RECYCLE.BIN/b.mkv",
]  # fmt: skip


def test_what_systems_and_downloads_leave_is_never_an_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(tmp_path, "a.mp4", *LITTER)
    members = [("b.mp4", b"x"), ("sub/._b.mp4", b"x"), ("@eaDir/c.mp4", b"x"), ("d.mp4.part", b"x")]
    members.append(("./PaxHeader/b.mp4", b"27 path=b.mp4\n"))
    tar(tmp_path / "more.tar", *members)
    listing = list_sources([tmp_path])
    assert (keys(listing), listing.refusals, listing.others) == (["a", "b"], [], {})
    assert len(listing.litter) == len(LITTER) + 4
    announce(listing, find_labels((), listing))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "23 files of the system or of unfinished downloads were left alone, such as $RECYCLE.BIN/b.mkv"
    ]


def test_names_that_only_resemble_litter_are_clips(tmp_path: Path) -> None:
    names = [
        "part.mp4",
        "of.part.mp4",
        "my.part1.mp4",
        "_.mp4",
        ".hidden.mp4",
        "temp.mkv",
        "thumbs.mp4",
        "#recycle me.mp4",
    ]
    assert len(list_sources([files(tmp_path, *names)]).clips) == len(names)


@pytest.mark.parametrize(
    ("names", "clips"),
    [
        (["a.f137.mp4", "a.f140.webm", "a.mp4"], ["a"]),
        (["a.f137.mp4", "a.f251-drc.webm"], []),
        (["a.f137.mp4", "b.f137.mp4", "a.f2.mp4"], ["b%2Ef137"]),
        (["a.f137.mp4", "x/a.mp4"], ["a", "a%2Ef137"]),
        (["a.mp4", "a.mp4.aria2", "b.mp4", "x/b.mp4.aria2"], ["b"]),
        (["a.final.mp4", "a.mp4", "a.f.mp4"], ["a", "a%2Ef", "a%2Efinal"]),
    ],
)
def test_parts_of_downloads_are_known_by_what_lies_beside_them(
    tmp_path: Path, names: list[str], clips: list[str]
) -> None:
    files(tmp_path / "loose", *names, "whole.mp4")
    tar(tmp_path / "packed" / "more.tar", *((name, b"x") for name in [*names, "whole.mp4"]))
    for folder in ("loose", "packed"):
        listing = list_sources([tmp_path / folder])
        assert keys(listing) == sorted([*clips, "whole"])
        assert len(listing.litter) == len(names) - len(clips)


def test_a_sound_that_was_to_be_joined_is_no_lost_sound(tmp_path: Path) -> None:
    listing = list_sources([files(tmp_path, "a.f137.mp4", "a.f140.m4a", "b.jpg", "b.wav")])
    assert (keys(listing), listing.refusals, listing.litter) == (["b"], [], ["a.f137.mp4", "a.f140.m4a"])


def test_a_folder_of_litter_alone_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no clip: 1 file of the system .* such as \._a\.mp4"):
        list_sources([files(tmp_path, "._a.mp4")])


def test_appledouble_companions_are_no_frames() -> None:
    case = Path(__file__).resolve().parents[3].parent / "shared" / "cases" / "appledouble"
    if not case.is_dir():
        pytest.skip("the case appledouble is not in ../shared/cases")
    listing = list_sources([case])
    assert [(clip.key, clip.path) for clip in listing.clips] == [("clip0000009", "frames/clip0000009/005.jpg")]
    assert (listing.refusals, len(listing.litter)) == ([], 11)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_bad_sources_say_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list_sources([tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty"):
        list_sources([tmp_path / "empty"])
    files(tmp_path / "pictures", "a.jpg", "b.jpg", "c.txt")
    with pytest.raises(InputError, match=r"only: 2 \.jpg, 1 \.txt"):
        list_sources([tmp_path / "pictures"])
    tar(tmp_path / "packed" / "a.tar", ("frames/a.jpg", b"x"), ("audio/a.wav", b"x"))
    with pytest.raises(InputError, match=r"nor in its tar files, only: 1 \.jpg, 1 \.wav.*unpack them first"):
        list_sources([tmp_path / "packed"])
    with pytest.raises(InputError, match="is a file"):
        list_sources([tmp_path / "pictures" / "a.jpg"])
