"""Uploads as gradio takes them: whole ones are noted, of those that break off nothing stays, and nothing is printed."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_page import needs_gradio

from training.serve.gate import Gate
from training.serve.limits import Limits
from training.serve.workplace import Workplace, workplace

pytestmark = needs_gradio
LIMITS = Limits(megabytes=1)
ENDED = {"type": "http.disconnect"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(tmp_path) as place:
        yield place


@pytest.fixture
def gate(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Before a page of gradio's own with nothing on it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(place.uploads))
    import fastapi
    import gradio as gr

    app = gr.mount_gradio_app(fastapi.FastAPI(), gr.Blocks(analytics_enabled=False), "/", ssr_mode=False)
    return Gate(app, LIMITS, place)


def files(place: Workplace) -> list[Path]:
    return [path for path in place.uploads.rglob("*") if path.is_file()]


def part(name: str, content: bytes, field: str = "files") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def send(gate: Gate, *chunks: bytes, whole: bool = True) -> tuple[int, Any]:
    """Status and answer of one upload; without its end where the visitor breaks off."""
    sent: list[Any] = []
    last = len(chunks) - 1 if whole else -1
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number != last} for number, chunk in enumerate(chunks)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else ENDED

    async def answer(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"accept-encoding", b"gzip, br")]
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "query_string": b"", "headers": headers}
    asyncio.run(gate({**scope, "http_version": "1.1", "scheme": "http", "server": ("a", 1)}, receive, answer))
    content = b"".join(message["body"] for message in sent[1:]).decode()
    return sent[0]["status"], json.loads(content) if sent[0]["status"] == 200 else content


def test_what_arrives_whole_lies_under_its_name(gate: Gate, place: Workplace) -> None:
    names = ["a.mp4", ".b.mp4", "é" * 90 + ".mp4", "c", "d.MOV"]
    status, paths = send(gate, *(part(name, name.encode()) for name in names), b"--x--\r\n")
    assert status == 200
    assert [Path(path).name for path in paths] == ["a.mp4", "b.mp4", *names[2:]]
    assert [Path(path).read_text() for path in paths] == names
    assert all(place.use("one", path) for path in paths)
    place.leave("one")
    assert not files(place)


def test_nothing_stays_of_what_does_not_arrive(gate: Gate, place: Workplace, caplog: pytest.LogCaptureFixture) -> None:
    largest = b"0" * (LIMITS.bytes // 2)
    with place.arriving(), caplog.at_level(logging.WARNING):  # another visitor's upload goes on
        status, said = send(gate, part("a.mp4", largest), b"more", whole=False)
        assert (status, said) == (400, "The upload broke off.")
        assert send(gate, part("a.mp4", largest), whole=False)[0] == 400
        assert send(gate, whole=False)[0] == 400
        assert send(gate, *(part("a.mp4", largest) for _ in range(5)), b"--x--\r\n") == (413, "At most 1 MB are taken.")
        assert not files(place)
    assert send(gate, part("a.mp4", b"1", field="other"), b"--x--\r\n") == (200, [])
    assert send(gate, part("..", b"1"), b"--x--\r\n")[0] == 400
    assert not files(place)
    assert not caplog.records
