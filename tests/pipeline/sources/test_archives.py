"""Archives: members listed and read to their end, what leads out of tree or archive refused, broken ones named."""

import bz2
import gzip
import lzma
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from source_trees import files, keys, link, tar

from pipeline.jobs.clip_reader import ClipReader
from pipeline.jobs.decoder_messages import ClipToDecode
from pipeline.sources import archives
from pipeline.sources.archives import LARGEST_MEMBER, ForwardReader, list_members
from pipeline.sources.listing import list_sources

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


@pytest.mark.parametrize("name", ["a.tar", "a.TAR", "a.tgz", "a.tbz2", "a.tbz", "a.txz", "a.tar.gz"])
@pytest.mark.parametrize("packed", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_the_content_says_how_an_archive_is_packed(tmp_path: Path, name: str, packed: str) -> None:
    contents = [("BZh91AY.mp4", b"x" * 100), ("b.mp4", b"y" * 100)]  # the first name begins as bzip2 does
    path = tmp_path / "src" / name
    path.parent.mkdir()
    path.write_bytes(packed_in(packed, tar(tmp_path / "plain", *contents).read_bytes()))
    listing = list_sources([tmp_path / "src"], memory=tmp_path / "memory")
    assert (keys(listing), listing.refusals) == (["BZh91AY", "b"], [])
    reader = ClipReader()
    for clip, (_, content) in zip(listing.clips, contents, strict=True):
        place = {"member": clip.member, "position": clip.position, "offset": clip.offset}
        assert reader.read(ClipToDecode(str(path), clip.size, "centre", **place)).media == content
        assert (clip.stream is None) == (packed == ".tar" and name.lower() == "a.tar")


def of_before_1988(content: bytes, *members: int) -> bytes:
    """A tar whose headers, at these bytes, are of the form that had no magic and no owners by name."""
    old = bytearray(content)
    for place in members:
        old[place + 257 : place + 512] = bytes(255)
        old[place + 148 : place + 156] = b" " * 8
        old[place + 148 : place + 156] = b"%06o\0 " % sum(old[place : place + 512])
    return bytes(old)


@pytest.mark.parametrize("name", ["BZh9x.mp4", "]\0\0\x80.mp4", "x.mp4"])
@pytest.mark.parametrize("packed", [".tar", ".tar.gz"])
def test_an_old_tar_is_one_whatever_its_first_member_is_called(tmp_path: Path, name: str, packed: str) -> None:
    content = tar(tmp_path / "plain", ("BZh9x.mp4", b"x" * 100), ("b.mp4", b"y")).read_bytes()
    content = name.encode("latin-1").ljust(len("BZh9x.mp4"), b"\0") + content[len("BZh9x.mp4") :]
    (tmp_path / "old.tar").write_bytes(packed_in(packed, of_before_1988(content, 0, 1024)))
    members, broken = list_members(tmp_path / "old.tar")
    assert ([member.size for member in members], broken) == ([100, 1], None)


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
