"""The walk over a source folder: every layout recognised, nothing followed out of it, every name harmless."""

import bz2
import gzip
import io
import lzma
import os
import re
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import InputError
from manifests.keys import safe_key
from pipeline.ingest import announce
from pipeline.jobs.plan import cut_shards
from pipeline.jobs.unique_keys import unique_keys
from pipeline.sources import archives
from pipeline.sources.archives import LARGEST_MEMBER, ForwardReader, list_members
from pipeline.sources.labels import find_labels
from pipeline.sources.listing import Listing, list_sources, tally


def files(root: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def keys(listing: Listing) -> list[str]:
    return sorted(clip.key for clip in listing.clips)


def tar(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


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
            "found 1 clips (1 tar files included)",
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
    if unicodedata.normalize("NFC", stems[0]) == unicodedata.normalize("NFC", stems[1]):
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
    tar(tmp_path / "more.tar", *members)
    listing = list_sources([tmp_path])
    assert (keys(listing), listing.refusals, listing.others) == (["a", "b"], [], {})
    assert len(listing.litter) == len(LITTER) + 3
    announce(listing, find_labels((), listing))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "22 files of the system or of unfinished downloads were left alone, such as $RECYCLE.BIN/b.mkv"
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


# --- links and traversal ---------------------------------------------------------------------------------------------


def test_links_out_of_the_tree_are_refused_and_named(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    files(outside, "secret.mp4")
    files(inside, "clip.mp4")
    (inside / "leak.mp4").symlink_to(outside / "secret.mp4")
    (inside / "folder").symlink_to(outside)
    (inside / "dangling.mp4").symlink_to(inside / "gone.mp4")
    (inside / "again.mp4").symlink_to("clip.mp4")
    (inside / "loop").symlink_to(inside)
    listing = list_sources([inside])
    assert keys(listing) == ["again", "clip"]
    assert {(Path(item.path).name, item.reason) for item in listing.refusals} == {
        ("leak.mp4", "refused"),
        ("folder", "refused"),
        ("dangling.mp4", "refused"),
    }
    assert listing.others == {"(link to a folder of the tree)": 1}


def test_archive_members_that_lead_out_or_claim_too_much_are_refused(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("huge.mp4")
    huge.size = LARGEST_MEMBER + 1
    path = tar(
        tmp_path / "a.tar",
        ("../../etc/evil.mp4", b"1"),
        ("/abs.mp4", b"2"),
        link("soft.mp4", "/etc/passwd"),
        link("hard.mp4", "ok.mp4", tarfile.LNKTYPE),
        ("ok.mp4", b"3"),
        ("note.txt", b"4"),
    )
    listing = list_sources([tmp_path])
    assert keys(listing) == ["ok"]
    assert sorted(item.path.split("!")[1] for item in listing.refusals) == [
        "../../etc/evil.mp4",
        "/abs.mp4",
        "hard.mp4",
        "soft.mp4",
    ]
    assert listing.others == {".txt": 1}
    with open(path, "wb") as handle:  # a header that claims a gigabyte and a byte
        handle.write(huge.tobuf(tarfile.GNU_FORMAT) + b"x")
    assert [member.problem is None for member in list_members(path)[0]] == [False]


# --- archives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["part.tar", "part.tar.gz", "part.TGZ"])
def test_members_are_listed_and_read(tmp_path: Path, name: str) -> None:
    contents = [(f"deep/{number}.mp4", os.urandom(700 + number)) for number in range(5)]
    path = tar(tmp_path / name, *contents, mode="w" if name.endswith(".tar") else "w:gz")
    listing = list_sources([tmp_path], memory=tmp_path / "memory")
    assert listing.archives == 1
    assert [(clip.member, clip.size) for clip in listing.clips] == [(name, len(content)) for name, content in contents]
    again = list_sources([tmp_path], exclude=tmp_path / "memory", memory=tmp_path / "memory")
    assert again.clips == listing.clips
    for clip, (_, content) in zip(listing.clips, contents, strict=True):
        if clip.offset is None:
            assert clip.stream == clip.path
            assert ForwardReader(path).read(clip.position) == content
        else:
            assert path.read_bytes()[clip.offset : clip.offset + clip.size] == content


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_broken_archive_keeps_its_good_members_and_is_named(tmp_path: Path, mode: str) -> None:
    name = "part08.tar" if mode == "w" else "part08.tar.gz"
    path = tar(tmp_path / name, *((f"{number}.mp4", os.urandom(2000)) for number in range(6)), mode=mode)
    path.write_bytes(path.read_bytes()[:7000])
    listing = list_sources([tmp_path])
    assert {"0", "1"} <= set(keys(listing)) < {"0", "1", "2", "3", "4", "5"}
    assert [(item.path, item.reason) for item in listing.refusals] == [(name, "unreadable")]


def test_garbage_behind_the_first_member_is_no_end_of_archive(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", ("0.mp4", b"x" * 100), ("1.mp4", b"y" * 100))
    content = bytearray(path.read_bytes())
    content[1024:1536] = b"\xaa" * 512
    path.write_bytes(content)
    listing = list_sources([tmp_path])
    assert keys(listing) == ["0"]
    assert [item.reason for item in listing.refusals] == ["unreadable"]


def packed_in(suffix: str, content: bytes) -> bytes:
    packers = {".tar": bytes, ".tar.gz": gzip.compress, ".tar.bz2": bz2.compress, ".tar.xz": lzma.compress}
    return packers[suffix](content)


def two_members(folder: Path) -> bytes:
    """Two headers and contents of 1,024 bytes each, zeros from byte 2,048 on."""
    return tar(folder / "whole", ("0.mp4", b"x" * 100), ("1.mp4", b"y" * 100)).read_bytes()


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize(
    ("damage", "kept", "message"),
    [
        (lambda whole: whole[:1024] + bytes(512) + whole[1536:], ["0"], "after 1 members.*data follow the zeros at"),
        (lambda whole: bytes(512) + whole[512:], [], "after 0 members.*data follow the zeros at byte 0"),
        (lambda whole: whole + whole, ["0", "1"], "after 2 members.*data follow the zeros at byte 2048"),
        (lambda whole: whole[:1024], ["0"], "stops at byte 1024 without an end"),
        (lambda whole: whole[: 2048 + 512], ["0", "1"], "stops at byte 2560 without an end"),
    ],
    ids=["a header of zeros", "the first too", "one archive after another", "cut between members", "cut in the end"],
)
def test_an_archive_ends_with_zeros_and_nothing_after_them(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes], kept: list[str], message: str
) -> None:
    (tmp_path / f"a{suffix}").write_bytes(packed_in(suffix, damage(two_members(tmp_path))))
    listing = list_sources([tmp_path])
    assert keys(listing) == kept
    (refusal,) = listing.refusals
    assert (refusal.path, refusal.reason) == (f"a{suffix}", "unreadable")
    assert re.search(message, refusal.message)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("size", [2048 + 1024, 10240, 20480])
def test_archives_end_with_any_number_of_zeros(tmp_path: Path, suffix: str, size: int) -> None:
    whole = two_members(tmp_path)
    (tmp_path / f"a{suffix}").write_bytes(packed_in(suffix, whole.ljust(size, b"\0")[:size]) + bytes(4096))
    listing = list_sources([tmp_path])
    assert (keys(listing), listing.refusals) == (["0", "1"], [])


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_archives_compressed_in_parts_are_read_to_their_end(tmp_path: Path, suffix: str) -> None:
    """As pigz, bgzip and pbzip2 write them; and archives joined by cat, which lost all but the first."""
    whole, path = two_members(tmp_path), tmp_path / f"a{suffix}"
    path.write_bytes(b"".join(packed_in(suffix, whole[start : start + 700]) for start in range(0, len(whole), 700)))
    listing = list_sources([tmp_path])
    assert (keys(listing), listing.refusals) == (["0", "1"], [])
    assert ForwardReader(path).read(1) == b"y" * 100
    path.write_bytes(packed_in(suffix, whole) * 2)
    listing = list_sources([tmp_path])
    assert (keys(listing), [refusal.reason for refusal in listing.refusals]) == (["0", "1"], ["unreadable"])


def test_zeros_without_end_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED", 1 << 20)
    (tmp_path / "a.tar.bz2").write_bytes(bz2.compress(two_members(tmp_path) + bytes(16 << 20)))
    (refusal,) = list_sources([tmp_path]).refusals
    assert "after 2 members: ReadError: it unpacks to more than" in refusal.message


# --- keys become unique ----------------------------------------------------------------------------------------------


def test_two_namings_of_one_clip_keep_the_larger_file(tmp_path: Path) -> None:
    files(tmp_path, "3qesirWAGt4_20000_30000.mp4", content=b"1234")
    files(tmp_path, "new/3qesirWAGt4_000020.mp4", content=b"")
    clips, refusals = unique_keys(list_sources([tmp_path]).clips)
    assert [(clip.key, clip.path) for clip in clips] == [("3qesirWAGt4_000020", "3qesirWAGt4_20000_30000.mp4")]
    assert [(item.path, item.reason) for item in refusals] == [("new/3qesirWAGt4_000020.mp4", "duplicate")]


def test_a_label_told_by_the_folders_of_a_double_stays(tmp_path: Path) -> None:
    files(tmp_path, "video/AbCdEfGh_-1_30000_40000.mp4", content=b"1234")
    files(tmp_path, "train/elk bugling/vAbCdEfGh_-1_30_40_out.mkv")
    (clip,), _ = unique_keys(list_sources([tmp_path]).clips)
    assert (clip.path, clip.label, clip.split) == ("video/AbCdEfGh_-1_30000_40000.mp4", "elk bugling", "train")


def test_equal_names_in_several_folders_are_different_clips(tmp_path: Path) -> None:
    files(tmp_path, "dog/001.mp4", "cat/001.mp4", "001.mp4", "cat/002.mp4", "cat/002.avi")
    clips, refusals = unique_keys(list_sources([tmp_path]).clips)
    assert [clip.key for clip in clips] == ["001", "002", "cat__001", "dog__001"]
    assert [item.path for item in refusals] == ["cat/002.mp4"]


def test_shards_are_cut_by_key_and_compressed_archives_stay_whole_and_in_order(tmp_path: Path) -> None:
    files(tmp_path, *(f"{number}.mp4" for number in (3, 1, 2)))
    tar(tmp_path / "z.tar.gz", ("9.mp4", b"x"), ("0.mp4", b"x"), ("5.mp4", b"x"), mode="w:gz")
    shards = cut_shards(list_sources([tmp_path]).clips, 2)
    assert [[clip.key for clip in clips] for clips in shards] == [["1", "2"], ["3"], ["9", "0"], ["5"]]


# --- labels beside the videos ----------------------------------------------------------------------------------------


def test_the_official_list_is_used_alone_and_said(tmp_path: Path) -> None:
    files(tmp_path, "AbCdEfGh_-1_000030.mp4", "AbCdEfGh_-1_000040.mp4")
    (tmp_path / "vggsound.csv").write_text("AbCdEfGh_-1,30,elk bugling,train\n-ZyXwVuTs09,0,marching,test\n")
    (tmp_path / "other.csv").write_text("AbCdEfGh_-1_000030.mp4,wrong\n")
    listing = list_sources([tmp_path])
    labels = find_labels((), listing)
    assert [(clip.label, clip.split) for clip in labels.join(listing.clips)] == [("elk bugling", "train"), (None, None)]
    first, second = labels.describe(listing.clips)
    assert "vggsound.csv" in first
    assert "names 1 of these clips; 1 it lists are absent, such as -ZyXwVuTs09_000000" in first
    assert "other.csv is not used" in second


def test_other_lists_are_used_when_they_fit(tmp_path: Path) -> None:
    files(tmp_path, "AVE/RUhOCu3LNXM.mp4")
    (tmp_path / "Annotations.txt").write_text("Church bell&RUhOCu3LNXM&good&0&10\n")
    (tmp_path / "stat.csv").write_text("Church bell,1050,home\n")
    (tmp_path / "absent.csv").write_text("AbCdEfGh_-1_000030.mp4,elk\n")
    listing = list_sources([tmp_path])
    labels = find_labels((), listing)
    assert [clip.label for clip in labels.join(listing.clips)] == ["Church bell"]
    assert {path.name for path, _ in labels.unused} == {"stat.csv", "absent.csv"}


def test_the_two_names_of_a_video_of_music_are_one(tmp_path: Path) -> None:
    files(tmp_path, "solo/flute/jW_AuF6dQYY_0_1000.mp4", "solo/flute/-ZyXwVuTs09.mp4")
    (tmp_path / "MUSIC_solo_videos.json").write_text(
        '{"videos": {"flute": ["jW_AuF6dQYY", "-ZyXwVuTs09"], "tuba": ["AbCdEfGh_-1"]}, "version": 1.0}'
    )
    listing = list_sources([tmp_path])
    labels = find_labels((), listing)
    assert [clip.label for clip in labels.join(listing.clips)] == ["flute", "flute"]
    (line,) = labels.describe(listing.clips)
    assert "names 2 of these clips; 1 it lists are absent, such as AbCdEfGh_-1" in line


def test_a_list_overrules_folders_and_many_clips_share_a_row(tmp_path: Path) -> None:
    files(tmp_path, "train/elk_bugling/AbCdEfGh_-1_30_40.mp4", "copy/AbCdEfGh_-1_000030.mp4", "train/elk/z.mp4")
    meta = tmp_path / "mine.csv"
    meta.write_text("AbCdEfGh_-1,30,elk bugling,test\n")
    listing = list_sources([tmp_path])
    joined = find_labels((meta,), listing).join(listing.clips)
    assert sorted((clip.label, clip.split) for clip in joined) == [
        ("elk", "train"),
        ("elk bugling", "test"),
        ("elk bugling", "test"),
    ]


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
