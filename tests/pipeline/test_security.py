"""What comes from strangers is data: names, archives, links, compressed lists and shards that were made to do harm."""

import bz2
import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ingest_here import ingest_here

from manifests.errors import InputError
from manifests.files import content as manifest_content
from manifests.files.content import read_content
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions
from pipeline.shards.store import ShardStore
from pipeline.sources import archives
from pipeline.sources.archives import ForwardReader, list_members
from pipeline.sources.listing import list_sources, safe_key

HOSTILE = [
    b"-rf.mp4",
    b"--out=elsewhere.mp4",
    b"a b.mp4",
    b"quote'\"s.mp4",
    b"new\nline.mp4",
    b"tab\tand\rreturn.mp4",
    b"caf\xe9 not utf-8.mp4",
    "ключ ☃.mp4".encode(),
    b"touch;$(touch harm)`touch harm`|touch harm&.mp4",
    b"%2e%2e.mp4",
    b"..mp4.mp4",
    b"concat:a|b.mp4",
    b"pipe:0.mp4",
    b"http:x.mp4",
    b"*?[a].mp4",
    b"#%03d.mp4",
]


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def plain(clips) -> bytes:
    """The content of a real clip."""
    return clips.once("security.mp4", seconds=1.0).read_bytes()


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decoder", "where"), [("pyav", nullcontext), ("ffmpeg", ingest_here)])
def test_hostile_names_are_decoded_and_do_nothing(
    tmp_path: Path, plain: bytes, decoder: str, where: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loose files and tar members, with both decoders: every name becomes a record under its own safe key."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "src"
    source.mkdir()
    for name in HOSTILE:
        (source / os.fsdecode(name)).write_bytes(plain)
    tar(source / "-x.tar", *(member(f"in {os.fsdecode(name)}", plain) for name in HOSTILE if b"caf" not in name))
    with where():
        run_ingest(IngestRequest((Path("src"),), Path("out"), IngestOptions(decoder=decoder), workers=1))
    store = ShardStore.open(tmp_path / "out")
    loose = [safe_key(os.fsdecode(name.removesuffix(b".mp4"))) for name in HOSTILE]
    inside = [safe_key(f"in {os.fsdecode(name.removesuffix(b'.mp4'))}") for name in HOSTILE if b"caf" not in name]
    assert sorted(store.keys) == sorted([*loose, *inside])
    assert all(store.facts(row)["source_path"].isprintable() for row in range(len(store)))
    assert pq.read_metadata(tmp_path / "out" / "rejects.parquet").num_rows == 0
    assert {path.name for path in tmp_path.iterdir()} == {"src", "out"}, "a name was run as a command"


# --- archives and links ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_hostile_members_are_refused_and_the_rest_is_read(tmp_path: Path, plain: bytes, mode: str) -> None:
    (tmp_path / "secret.mp4").write_bytes(plain)
    source = tmp_path / "src"
    source.mkdir()
    hostile = [
        member("../up.mp4", plain),
        member("a/../../up2.mp4", plain),
        member("/absolute.mp4", plain),
        member("symlink.mp4", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path / "secret.mp4")),
        member("hardlink.mp4", b"", type=tarfile.LNKTYPE, linkname="../secret.mp4"),
        member("character.mp4", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5),  # /dev/zero never ends
        member("block.mp4", b"", type=tarfile.BLKTYPE, devmajor=8, devminor=0),
        member("pipe.mp4", b"", type=tarfile.FIFOTYPE),
    ]
    tar(source / ("a.tar" if mode == "w" else "a.tar.gz"), *hostile, member("good.mp4", plain), mode=mode)
    run_ingest(IngestRequest((source,), tmp_path / "out", workers=1))
    assert ShardStore.open(tmp_path / "out").keys == ["good"]
    rows = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert Counter(row["reason"] for row in rows) == {"refused": len(hostile)}
    assert {row["path"].split("!")[1] for row in rows} == {info.name for info, _ in hostile}
    assert {path.name for path in tmp_path.iterdir()} == {"secret.mp4", "src", "out"}


def test_special_files_and_links_out_of_the_source_are_not_opened(tmp_path: Path) -> None:
    source, outside = tmp_path / "src", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "secret.mp4").write_bytes(b"x")
    source.mkdir()
    (source / "good.mp4").write_bytes(b"x")
    (source / "folder").symlink_to(outside)
    (source / "file.mp4").symlink_to(outside / "deep" / "secret.mp4")
    (source / "twice.mp4").symlink_to("file.mp4")
    (source / "dotted.mp4").symlink_to("../outside/deep/secret.mp4")
    os.mkfifo(source / "pipe.mp4")  # opening it would wait for ever
    os.mkfifo(source / "pipe")
    listing = list_sources([source])
    assert [clip.key for clip in listing.clips] == ["good"]
    assert {Path(item.path).name: item.message for item in listing.refusals if "link" not in item.message} == {
        "pipe.mp4": "a named pipe"
    }
    refused = {"folder", "file.mp4", "twice.mp4", "dotted.mp4", "pipe.mp4"}
    assert {Path(item.path).name for item in listing.refusals} == refused
    assert listing.others == {"(special file)": 1}


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    """Its bytes do not lie where the header says; read there, they would be those of its neighbours."""
    (tmp_path / "holes.mp4").touch()
    os.truncate(tmp_path / "holes.mp4", 1 << 20)
    (tmp_path / "src").mkdir()
    line = ["tar", "--sparse", "--format=pax", "-cf", "src/a.tar", "holes.mp4"]
    subprocess.run(line, cwd=tmp_path, check=True)
    with tarfile.open(tmp_path / "src" / "a.tar") as archive:
        assert archive.getmembers()[0].issparse()
    (refusal,) = list_sources([tmp_path / "src"]).refusals
    assert "stored with holes" in refusal.message


@pytest.mark.parametrize("size", [-512, -1024])
def test_a_header_that_sends_the_reader_back_ends_the_archive(tmp_path: Path, size: int) -> None:
    good, bad = tarfile.TarInfo("good.mp4"), tarfile.TarInfo("back.mp4")
    good.size, bad.size = 512, size
    path = tmp_path / "a.tar"
    path.write_bytes(good.tobuf() + bytes(512) + bad.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    members, broken = list_members(path)
    assert [each.name for each in members] == ["good.mp4"]
    assert "negative size" in broken


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_of_gigabytes_is_not_read(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 8 << 30
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    members, broken = list_members(path)
    assert members == []
    assert "a name of 8589934592 bytes" in broken


def test_an_archive_that_unpacks_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small numbers stand for large ones: twenty members of 100 kB of zeros in less than 3 kB."""
    monkeypatch.setattr(archives, "MOST_UNPACKED", 1_000_000)
    path = tar(tmp_path / "bomb.tar.gz", *(member(f"{n:02d}.mp4", bytes(100_000)) for n in range(20)), mode="w:gz")
    monkeypatch.setattr(archives, "MOST_UNPACKED_RATIO", 10)
    listing = list_sources([tmp_path])
    assert 8 <= len(listing.clips) < 12
    (refusal,) = listing.refusals
    assert (refusal.path, refusal.reason) == ("bomb.tar.gz", "unreadable")
    assert "unpacks to more than" in refusal.message
    with pytest.raises(archives.BROKEN, match="unpacks to more than"):
        ForwardReader(path).read(19)


def test_a_member_that_claims_more_than_memory_is_refused_in_compressed_archives_too(tmp_path: Path) -> None:
    huge, good = tarfile.TarInfo("huge.mp4"), tarfile.TarInfo("good.mp4")
    huge.size, good.size = archives.LARGEST_MEMBER + 1, 1
    path = tmp_path / "a.tar.bz2"
    path.write_bytes(bz2.compress(good.tobuf() + bytes(512) + huge.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    members, broken = list_members(path)
    assert [(each.name, each.problem is None) for each in members] == [("good.mp4", True), ("huge.mp4", False)]
    assert broken


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["list.csv.gz", "list.json.gz", "list.txt.gz"])
@pytest.mark.parametrize("read", [read_content, read_ids, read_labels])
def test_a_list_that_unpacks_without_end_is_refused(tmp_path: Path, name: str, read, monkeypatch) -> None:
    monkeypatch.setattr(manifest_content, "MOST_UNPACKED", 1 << 20)
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a" * (1 << 21)))
    with pytest.raises(InputError, match=r"unpacks to more than 1 MiB.*given unpacked"):
        read(path)


def test_a_bomb_is_refused_in_little_memory(tmp_path: Path) -> None:
    """Eight gigabytes of zeros in eight megabytes, read in a process that may not have more than two."""
    block = gzip.compress(bytes(64 << 20), 9)
    (tmp_path / "bomb.csv.gz").write_bytes(block * 128)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "from pathlib import Path\n"
        "from manifests.files.content import read_content\n"
        "from manifests.errors import InputError\n"
        "try:\n    read_content(Path(sys.argv[1]))\nexcept InputError as error:\n    print(error)\n"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "bomb.csv.gz")]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "unpacks to more than 256 MiB" in shown


def test_brackets_without_end_and_lost_quotes_are_explained(tmp_path: Path) -> None:
    for read in (read_ids, read_labels):
        (tmp_path / "deep.json").write_text("[" * 100_000)
        with pytest.raises(InputError, match="not valid JSON"):
            read(tmp_path / "deep.json")
        lines = [f"AbCdEfGh_{number:02d},30,cat,train\n" for number in range(9000)]
        (tmp_path / "quote.csv").write_text("".join(['AbCdEfGh_-1,30,"dog,train\n', *lines]))
        with pytest.raises(InputError, match=r"quote\.csv is broken as csv at line .*A quote may be missing"):
            read(tmp_path / "quote.csv")


# --- shards ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_shards_hold_no_pickle_and_are_read_without(tmp_path: Path, plain: bytes) -> None:
    """In a process of its own, under WDS_SECURE: its setting is read once, at import."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.mp4").write_bytes(plain)
    run_ingest(IngestRequest((tmp_path / "src",), tmp_path / "out", workers=1))
    code = (
        "import io, sys, numpy, webdataset\n"
        "(sample,) = webdataset.WebDataset(sys.argv[1], shardshuffle=False)\n"
        "print(sorted(sample), numpy.load(io.BytesIO(sample['spec.npy']), allow_pickle=False).shape)\n"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "out" / "shard-000000.tar")]
    shown = subprocess.run(line, env=os.environ | {"WDS_SECURE": "1"}, capture_output=True, text=True, check=True)
    assert "'frame.jpg', 'json', 'spec.npy'] (257, 300)" in shown.stdout


@pytest.mark.usefixtures("here")
def test_a_shard_with_objects_instead_of_numbers_is_refused(tmp_path: Path, plain: bytes) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.mp4").write_bytes(plain)
    run_ingest(IngestRequest((tmp_path / "src",), tmp_path / "out", workers=1))
    store = ShardStore.open(tmp_path / "out")
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"harm": 1}], dtype=object), allow_pickle=True)
    row = store.table.to_pylist()[0]
    shard = tmp_path / "out" / row["shard"]
    content = bytearray(shard.read_bytes())
    content[row["spec_offset"] : row["spec_offset"] + len(buffer.getvalue())] = buffer.getvalue()
    shard.write_bytes(content)
    with pytest.raises((ValueError, InputError)):
        ShardStore.open(tmp_path / "out").spectrogram(0)
