"""Shard tars: the same bytes every time, offsets that hit, and nothing visible before it is whole."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from pipeline.shards.writer import shard_name, writing_shard
from pipeline.storage.files import remove_leftovers, replacing

CLIPS = {
    "-0pJqpNjft4_000267": {"json": b"{}", "frame.jpg": b"j" * 511, "spec.npy": b"n" * 513},
    "k" * 180: {"json": b"", "frame.jpg": b"j" * 512, "spec.npy": b"n"},  # longer than a tar header's name field
    "ключ %2E": {"json": b"3", "frame.jpg": b"jj", "spec.npy": b"nn"},
}


def write(path: Path) -> tuple[dict[str, dict[str, tuple[int, int]]], str, int]:
    places = {}
    with writing_shard(path) as writer:
        for key, members in CLIPS.items():
            places[key] = {name: (place.offset, place.size) for name, place in writer.add(key, members).items()}
    return places, writer.sha256, writer.size


def test_bytes_depend_on_the_clips_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.tar")
    write(tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_offsets_and_hash_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / shard_name(7)
    places, sha256, size = write(path)
    content = path.read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, size)
    for key, members in CLIPS.items():
        for name, expected in members.items():
            offset, length = places[key][name]
            assert content[offset : offset + length] == expected, (key, name)


def test_any_tar_reader_finds_sorted_members_without_owner_or_date(tmp_path: Path) -> None:
    write(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
        assert [info.name for info in members] == [
            f"{key}.{name}" for key in CLIPS for name in ("frame.jpg", "json", "spec.npy")
        ]
        assert {(info.mtime, info.uid, info.gid, info.uname, info.pax_headers.__len__()) for info in members} == {
            (0, 0, 0, "", 0)
        }


def test_a_failed_shard_leaves_nothing(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with writing_shard(tmp_path / "a.tar") as writer:
            writer.add("key", {"json": b"{}"})
            assert not (tmp_path / "a.tar").exists()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_writers_are_hidden_and_removed(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.tar"):
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".")
        (tmp_path / f"{hidden.name[:-8]}aaaa.tmp").write_bytes(b"left by someone killed")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
