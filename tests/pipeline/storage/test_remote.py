"""Sources and shards on S3-compatible storage, against a real server process (moto)."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from damaged_tars import DAMAGE, equal_shards
from ingest_here import ingest_here, no_cluster
from places import PYTHONPATH
from s3_server import ENVIRONMENT, free_port

from manifests.errors import InputError
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.inspection import inspect_path
from pipeline.jobs.attempt_log import Journal, forget, read_verdicts
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.shard_job import marker_path
from pipeline.shards.record import Rejected
from pipeline.shards.store import ShardStore
from pipeline.sources.archives import list_members
from pipeline.sources.listing import list_sources
from pipeline.storage import remote
from pipeline.storage.remote import RemotePath, StorageLost, place

COMMAND = """
import sys
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions
from pipeline.storage.remote import place
if __name__ == "__main__":
    sources, out = (place(sys.argv[1]),), place(sys.argv[2])
    options = IngestOptions(decoder="fake_decoders:decode", shard_clips=4)
    run_ingest(IngestRequest(sources, out, options, workers=1))
"""


@pytest.fixture
def bucket(s3_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemotePath:
    """An empty bucket, credentials in the environment, and decoders that obey."""
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": s3_address}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAKE_DECODER_LOG", str(tmp_path / "decoded.txt"))
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    remote._file_system.cache_clear()  # its connections are to another test's server
    name = f"bucket-{os.urandom(6).hex()}"
    place(f"s3://{name}")._files.mkdir(name)
    return place(f"s3://{name}")


def request_for(source: Path | RemotePath, out: Path | RemotePath, **options: object) -> IngestRequest:
    wanted = IngestOptions(decoder="fake_decoders:decode", shard_clips=4)
    return replace(IngestRequest((source,), out, wanted, workers=1, timeout=60.0), **options)


def tar_of(contents: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def corpus() -> dict[str, bytes]:
    """Loose clips, a plain tar, a compressed one, a label list, a file that is no clip."""
    files = {f"videos/c{number}.mp4": f"ok {number}".encode() for number in range(5)}
    files["AbCdEfGh_-1_30000_40000.mp4"] = b"ok named"
    files["vggsound.csv"] = b'AbCdEfGh_-1,30,"fly, housefly buzzing",test\n'
    files["notes.txt"] = b"no clip"
    files["videos/empty.mp4"] = b""
    files["a.tar"] = tar_of({f"deep/t{number}.mp4": f"ok tar {number}".encode() for number in range(3)}, "w")
    files["b.tar.gz"] = tar_of({f"g{number}.mp4": f"ok gz {number}".encode() for number in range(3)}, "w:gz")
    return files


def content_of(folder: Path | RemotePath) -> dict[str, str]:
    """Hash of everything a user sees in a finished folder."""
    paths = [*folder.glob("shard-*.tar"), *folder.glob("*.parquet"), folder / "index.json"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_same_shards_from_and_to_the_storage_as_on_disk(
    bucket: RemotePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = tmp_path / "src"
    for name, content in corpus().items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(content)
        (bucket / "src" / name).write_bytes(content)
    with ingest_here():
        run_ingest(request_for(local, tmp_path / "out"))
    run_ingest(request_for(bucket / "src", bucket / "out"))
    assert content_of(bucket / "out") == content_of(tmp_path / "out")
    assert len(content_of(tmp_path / "out")) == 3 + 2 + 2  # shards; tables; index

    store = ShardStore.open(f"{bucket}/out")
    row = store.row_of("AbCdEfGh_-1_000030")
    assert store.facts(row)["label"] == "fly, housefly buzzing"
    assert store.spectrogram(row).shape == (257, 300)
    assert store.frame(row).shape == (16, 24, 3)
    assert store.shard_path(row).open("rb").read(5)

    capsys.readouterr()
    run_ingest(request_for(bucket / "src", bucket / "out"))
    assert "already finished" in capsys.readouterr().out
    inspect_path(bucket / "src", ())
    inspect_path(bucket / "out", ())
    shown = capsys.readouterr().out
    assert "AbCdEfGh_-1_30000_40000.mp4 -> AbCdEfGh_-1_000030" in shown
    assert "fly, housefly buzzing 1" in shown


@pytest.mark.slow
def test_killed_in_the_middle_leaves_whole_shards_only_and_continues(
    bucket: RemotePath, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    for number in range(12):
        (bucket / f"src/c{number:02d}.mp4").write_bytes(f"sleep 0.3 {number}".encode())
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    log, out = tmp_path / "decoded.txt", bucket / "out"
    process = subprocess.Popen([sys.executable, str(script), f"{bucket}/src", str(out)], stderr=subprocess.DEVNULL)
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 6, 240)
    process.kill()
    process.communicate()
    finished = [shard for shard in range(3) if marker_path(out, shard).exists()]
    assert 0 in finished
    assert 2 not in finished
    for path in out.glob("shard-*"):
        assert len(list_members(path)[0]) == 12  # four clips of three members each: whole or not there
        assert list_members(path)[1] is None
    with pytest.raises(InputError, match="unfinished"):
        ShardStore.open(out)

    time.sleep(2.0)  # the worker notices its parent's death within moments
    before = len(log.read_text().splitlines())
    run_ingest(request_for(bucket / "src", out))
    again = set(log.read_text().splitlines()[before:])
    assert again == {f"sleep 0.3 {clip}" for clip in range(12) if clip // 4 not in finished}
    run_ingest(request_for(bucket / "src", bucket / "undisturbed"))
    assert content_of(out) == content_of(bucket / "undisturbed")
    assert not (out / "journal").iterdir()


@pytest.mark.slow
def test_shards_on_the_storage_grow_with_their_source(bucket: RemotePath) -> None:
    for number in range(3):
        (bucket / "src" / f"c{number}.mp4").write_bytes(f"ok {number}".encode())
    run_ingest(request := request_for(bucket / "src", bucket / "out"))
    before = content_of(bucket / "out")
    (bucket / "src" / "a_new.mp4").write_bytes(b"ok new")
    run_ingest(request)
    after = content_of(bucket / "out")
    assert after["shard-000000.tar"] == before["shard-000000.tar"]
    assert ShardStore.open(bucket / "out").keys == ["c0", "c1", "c2", "a_new"]
    run_ingest(request)
    assert content_of(bucket / "out") == after


def test_the_journal_is_sent_only_when_it_matters(bucket: RemotePath) -> None:
    folder = bucket / "journal"
    for attempt in range(4):
        journal = Journal(folder, 7)
        if attempt == 0:
            journal.rejected("bad", Rejected("timeout", "too slow"))
        journal.started("in flight")
        assert journal.known.keys() == (set() if attempt == 0 else {"bad"})
    assert {key: verdict.reason for key, verdict in read_verdicts(folder, 7).items()} == {
        "bad": "timeout",
        "in flight": "decoder_crash",  # named by the second, third and fourth attempt
    }
    forget(folder, 7)
    assert folder.iterdir() == []


def test_deadly_clips_cost_themselves_there_too(bucket: RemotePath) -> None:
    for name, content in {"a": "ok a", "b": "segv", "c": "ok c"}.items():
        (bucket / f"src/{name}.mp4").write_bytes(content.encode())
    with no_cluster():
        run_ingest(request_for(bucket / "src", bucket / "out"))
    assert ShardStore.open(bucket / "out").keys == ["a", "c"]


def test_what_cannot_be_reached_is_a_sentence(bucket: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list_sources([bucket / "nothing"])
    with pytest.raises(InputError, match="neither a path nor"):
        place("ftp://host/folder")
    (bucket / "src/a.mp4").write_bytes(b"ok")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    lost = RemotePath("s3", f"{bucket.path}/other")
    remote._file_system.cache_clear()
    with pytest.raises(StorageLost, match="cannot be reached"):
        lost.read_bytes()
    with pytest.raises(StorageLost, match="AWS_ENDPOINT_URL"):
        list_sources([lost])
    with pytest.raises(StorageLost, match="AWS_ENDPOINT_URL"):
        run_ingest(request_for(lost, bucket / "out"))
    remote._file_system.cache_clear()


def test_addresses() -> None:
    assert place("s3://bucket/a/b/") == RemotePath("s3", "bucket/a/b")
    assert place(Path("s3://bucket/a")) == RemotePath("s3", "bucket/a")
    assert place("folder/s3") == Path("folder/s3")
    assert str(place("s3://bucket/a") / "x.tar") == "s3://bucket/a/x.tar"
    assert place("s3://bucket/a").parent.name == "bucket"


@pytest.mark.parametrize(
    "address",
    [
        "s3://KEY:hunter2@bucket/a",
        "s3:/KEY:hunter2@bucket/a",
        "s3://KEY:hunter2/a",
        "https://KEY:hunter2@host/a?x=hunter2",
        "https://KEY:a/hunter2@host/a",
        "s3a://KEY:a?hunter2@bucket",
        "gs://KEY:hunter2@a@bucket",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InputError) as refused:
        place(address)
    assert "hunter2" not in str(refused.value)
    assert place("s3://bucket/with@sign:and/colon").name == "colon"


def test_tars_that_are_not_the_manifest_s(bucket: RemotePath, tmp_path: Path) -> None:
    """Read by offset with one request each, and streamed."""
    DAMAGE["packed backwards"](folder := equal_shards(tmp_path / "shards", (4, 4)))
    for path in folder.iterdir():
        (bucket / "shards" / path.name).write_bytes(path.read_bytes())
    store = ShardStore.open(bucket / "shards")
    assert store.frame(5).mean().round() == 15
    assert (store.spectrogram(6) == -6).all()
    told = r"^s3://.*shard-000000\.tar is not the tar that manifest\.parquet describes: expected clip000.*found clip003"
    for read in (store.frame, store.spectrogram, store.shard_path):
        with pytest.raises(InputError, match=told):
            read(1)
    (bucket / "shards" / "shard-000001.tar").write_bytes((folder / "shard-000001.tar").read_bytes()[:-1024])
    with pytest.raises(InputError, match=r"shard-000001\.tar is not the tar .* expected [\d,]+ bytes, found [\d,]+\."):
        ShardStore.open(bucket / "shards").frame(5)
    (bucket / "shards" / "shard-000001.tar").unlink()
    with pytest.raises(InputError, match=r"shard-000001\.tar cannot be read"):
        ShardStore.open(bucket / "shards").frame(5)
