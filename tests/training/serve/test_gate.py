"""The gate before gradio: sizes, files of others, addresses of others, and what every answer tells a browser."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.formparsers import MultiPartException

from training.serve.gate import FULL, LARGEST_QUESTION, WRAPPING, Gate
from training.serve.limits import Limits
from training.serve.workplace import Workplace, workplace

LIMITS = Limits(megabytes=1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(tmp_path) as place:
        yield place


def ask(
    place: Workplace,
    path: str,
    body: bytes = b"",
    method: str = "POST",
    length: int | None = None,
    own: dict[str, str] | None = None,
) -> tuple[int, str, dict[bytes, bytes]]:
    """Status, text and headers of an answer; the app behind the gate says how many bytes it was given."""
    sent: list[Any] = []
    chunks = [body[begin : begin + 100_000] for begin in range(0, len(body), 100_000)] or [b""]

    async def receive() -> dict[str, Any]:
        chunk = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        taken, more, status = 0, True, 200
        try:
            while more:
                message = await receive()
                taken, more = taken + len(message["body"]), message["more_body"]
        except MultiPartException:  # as gradio does
            status = 400
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"1")]})
        answer = "[]" if path.endswith("/upload") else str(taken)
        await send({"type": "http.response.body", "body": answer.encode()})

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [(name.encode(), value.encode()) for name, value in (own or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(Gate(app, LIMITS, place, own is not None)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode(), dict(sent[0]["headers"])


def question(path: object) -> bytes:
    return json.dumps({"data": [{"deep": [{"path": path}]}, 0]}).encode()


def test_every_answer_binds_the_browser_to_this_server(place: Workplace) -> None:
    for path in ("/", "/gradio_api/proxy=http://a.example/"):
        headers = ask(place, path, method="GET")[2]
        assert b"default-src 'self'" in headers[b"content-security-policy"]
        assert b"http" not in headers[b"content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:7860"}, 200),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, 200),
        ({"host": "[::1]:7860", "origin": "http://[::1]:7860"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({"host": "evil.example:7860"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({}, 403),
        ({"host": "127.0.0.1:7860", "origin": "http://evil.example"}, 403),
        ({"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:9999"}, 403),
        ({"host": "127.0.0.1:7860", "origin": "null"}, 403),
    ],
)
def test_pages_of_other_hosts_are_kept_out(place: Workplace, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/gradio_api/upload"):
        found, said, _ = ask(place, path, own=headers)
        assert found == status
        assert status == 200 or said.startswith("Open this page at 127.0.0.1 or localhost")


def test_questions_pass_whole(place: Workplace) -> None:
    mine = place.uploads / "clip.mp4"
    mine.touch()
    body = question(str(mine)) + b" " * 300_000
    assert ask(place, "/gradio_api/queue/join", body)[:2] == (200, str(len(body)))
    assert ask(place, "/login", b"username=a&password=b")[:2] == (200, "21")


@pytest.mark.parametrize("path", ["/etc/passwd", "http://a.example/a.mp4", "{root}/lock", "{root}/uploads/../lock", ""])
def test_a_question_names_files_of_visitors_only(place: Workplace, path: str) -> None:
    status, said, _ = ask(place, "/gradio_api/queue/join", question(path.format(root=place.root)))
    assert status == 403
    assert "sent to this page" in said


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://a.example/a",
        "/gradio_api/file/https:/a.example/a",
        "/gradio_api/proxy=http://a.example/",
    ],
)
def test_nothing_is_fetched_for_anybody(place: Workplace, path: str) -> None:
    assert ask(place, path, method="GET")[0] == 403


def test_files_that_lie_here_are_served(place: Workplace) -> None:
    assert ask(place, f"/gradio_api/file={place.results}/a/map.mp4", method="GET")[0] == 200


def test_uploads_are_bounded_whatever_they_announce(place: Workplace) -> None:
    most = LIMITS.bytes + WRAPPING
    assert ask(place, "/gradio_api/upload", b"0" * 1000, length=1000)[0] == 200
    status, said, _ = ask(place, "/gradio_api/upload", b"", length=most + 1)
    assert (status, said) == (413, "At most 1 MB are taken.")
    assert ask(place, "/gradio_api/upload", b"0" * (most + 1), length=5)[0] == 413
    assert ask(place, "/gradio_api/upload", b"0" * (most + 1))[0] == 413
    assert ask(place, "/gradio_api/queue/join", b"0" * (LARGEST_QUESTION + 1))[0] == 413


def test_a_full_workplace_takes_no_more(place: Workplace) -> None:
    with open(place.uploads / "much", "wb") as file:
        file.truncate(FULL * LIMITS.bytes + 1)
    status, said, _ = ask(place, "/gradio_api/upload", b"0", length=1)
    assert status == 507
    assert "Try again" in said
