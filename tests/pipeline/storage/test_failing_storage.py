"""A storage that fails, answers in part or never: how often it is asked, and for how long."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec.config
import pytest
from every import for_every
from s3_server import ENVIRONMENT, Gate, free_port, gate

from manifests.errors import InputError, WorkFailed
from pipeline.storage import remote
from pipeline.storage.remote import RemotePath, StorageLost

LARGE = os.urandom(1 << 20) * 16


class _Failing(BaseHTTPRequestHandler):
    """Answers requests for a thousand bytes as the next of `answers` says: "whole", "cut" after ten bytes, "silent",
    "byte by byte", or a code; what it is asked after them it answers as the last one."""

    answers: tuple[str, ...] = ()
    asked = 0

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""

    def do_HEAD(self, code: int = 200) -> None:
        self.send_response(code)
        length = "1000" if code == 200 else "0"
        for name, value in (("Content-Length", length), ("ETag", '"a"'), ("Last-Modified", formatdate(0, usegmt=True))):
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        type(self).asked += 1
        self.close_connection = True
        if answer == "silent":
            time.sleep(2)
        elif answer == "byte by byte":
            self.do_HEAD()
            with suppress(OSError):  # nobody waits for them all
                for _ in range(1000):
                    time.sleep(0.05)
                    self.wfile.write(b"x")
        elif answer.isdecimal():
            self.do_HEAD(int(answer))
        else:
            self.do_HEAD()
            self.wfile.write(b"x" * (10 if answer == "cut" else 1000))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Failing]]:
    """A server for `s3://bucket/clip`, which is asked as it is by default but for how long it may be silent."""
    handler = type("Handler", (_Failing,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{listening.server_port}"}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 0.3}})
        remote._file_system.cache_clear()
        yield handler
        remote._file_system.cache_clear()
        listening.shutdown()


@pytest.mark.parametrize("fault", ["503", "cut", "silent"])
@pytest.mark.parametrize(("faults", "reaches"), [(4, True), (5, False)])
def test_what_fails_is_asked_five_times_in_all(
    failing: type[_Failing], monkeypatch: pytest.MonkeyPatch, fault: str, faults: int, reaches: bool
) -> None:
    monkeypatch.setattr(remote, "PAUSES", (0.0,) * len(remote.PAUSES))
    failing.answers = (fault,) * faults + ("whole",)
    read = RemotePath("s3", "bucket/clip").read_bytes
    if reaches:
        assert len(read()) == 1000
    else:
        with pytest.raises(WorkFailed, match=r"cannot be reached .* asked 5 times in .* seconds\. .*continues\.$"):
            read()
    assert failing.asked == 5


@pytest.mark.parametrize("fault", ["silent", "byte by byte"])
def test_a_storage_that_never_answers_is_not_waited_for(
    failing: type[_Failing], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """What is asked for within so many seconds is three times at most, by answers of a third of them."""
    failing.answers, path = ("whole", fault), RemotePath("s3", "bucket/clip")
    assert len(path.read_exactly(0, 1000)) == 1000  # so that the client is made
    monkeypatch.setattr(remote, "PAUSES", (0.0,) * len(remote.PAUSES))
    monkeypatch.setattr(remote, "PATIENCE", 0.8)
    with pytest.raises(StorageLost, match=r"asked [123] times in 1 seconds"):
        path.read_exactly(0, 1000)
    assert 1 < failing.asked <= 4


def test_a_range_that_comes_in_part_is_none(failing: type[_Failing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSES", ())
    failing.answers = ("whole",)
    with pytest.raises(StorageLost, match="1,000 bytes came of 1,001"):
        RemotePath("s3", "bucket/clip").read_exactly(0, 1001)


@pytest.fixture
def slow(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RemotePath, Gate]]:
    """A tar larger than the buffers of a connection, behind a gate that may be slow, never silent."""
    with gate(s3_address) as (address, kept):
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        remote._file_system.cache_clear()
        path = RemotePath("s3", f"bucket-{os.urandom(6).hex()}/clips.tar")
        path._files.mkdir(path.parent.path)
        path.write_bytes(LARGE)
        kept.asked.clear()
        kept.fault = lambda number: "trickle"
        yield path, kept
        remote._file_system.cache_clear()


def allow(silence: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds in which a storage has to move something, as users say it."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": silence}})
    remote._file_system.cache_clear()


def test_a_password_in_the_storage_s_own_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSES", ())
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://user:hunter2@127.0.0.1:{free_port()}"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(fsspec.config.conf, "s3", {"anon": True})  # else it is not even tried
    remote._file_system.cache_clear()
    with pytest.raises(StorageLost, match="cannot be reached") as lost:
        RemotePath("s3", "bucket/clip").read_bytes()
    assert "hunter2" not in str(lost.value)
    remote._file_system.cache_clear()


@for_every(["localhost:9000", "user:hunter2@localhost:9000", "http://user:hunter2@[::1:9000"])
def test_an_address_of_the_storage_that_is_none_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": address}).items():
        monkeypatch.setenv(name, value)
    remote._file_system.cache_clear()
    with pytest.raises(InputError, match=r"cannot be asked for .*See to AWS_ENDPOINT_URL") as refused:
        RemotePath("s3", "bucket/clip").exists()
    assert "hunter2" not in str(refused.value)
    remote._file_system.cache_clear()


@for_every(["soon", "60", -1, 0, True, None, float("nan"), float("inf")])
def test_a_silence_that_is_no_time_is_said(seconds: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        allow(seconds, patched)
        with pytest.raises(InputError, match=rf"FSSPEC_S3.* read_timeout of {seconds!r}"):
            RemotePath("s3", "bucket/clip").exists()
    remote._file_system.cache_clear()


@pytest.mark.parametrize("way", ["upload", "write", "download", "read", "range"])
def test_a_transfer_byte_by_byte_has_failed(
    slow: tuple[RemotePath, Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whole objects and pieces of them, both ways."""
    path, local = slow[0], tmp_path / "local"
    local.write_bytes(LARGE)
    does = {
        "upload": lambda: path.upload(str(local)),
        "write": lambda: path.write_bytes(LARGE),
        "download": lambda: path.download(str(local)),
        "read": path.read_bytes,
        "range": lambda: path.read_exactly(5, len(LARGE) - 5),
    }[way]
    allow(1.0, monkeypatch)
    monkeypatch.setattr(remote, "PAUSES", (0.01,))
    with pytest.raises(StorageLost, match=r"too slow: .* bytes in .* asked 2 times in .*continues\.$"):
        does()


def test_a_storage_that_is_slow_no_longer_gets_all(
    slow: tuple[RemotePath, Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kept = slow
    kept.fault = lambda number: "trickle" if number <= 1 else None
    local = tmp_path / "local"
    local.write_bytes(LARGE[::-1])
    allow(2.0, monkeypatch)
    path.upload(str(local))
    assert len(kept.asked) > 1
    path.download(str(local))
    assert local.read_bytes() == path.read_bytes() == LARGE[::-1]


@pytest.mark.parametrize("path", ["bucket", "bucket/folder"])
def test_a_storage_that_fails_has_not_said_that_nothing_is_there(s3_address: str, monkeypatch, path: str) -> None:
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": s3_address}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote, "PAUSES", ())
    remote._file_system.cache_clear()
    assert not RemotePath("s3", f"nothing-{path}").is_dir()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    remote._file_system.cache_clear()
    for asked in (RemotePath("s3", path).exists, RemotePath("s3", path).is_dir):
        with pytest.raises(StorageLost):
            asked()
    remote._file_system.cache_clear()
