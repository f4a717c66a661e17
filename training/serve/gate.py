"""What stands between the network and gradio: how much may be sent, and that the page speaks with this server only.

Gradio would fetch files from other hosts for whoever asks, and mounted as it is here it would copy any file of this
machine that a request names: only what visitors sent, and the examples, gets through. The policy that goes with every
answer makes a browser refuse whatever is not of this server.
"""

import json
import re
from collections.abc import Iterator, MutableMapping
from typing import Any
from urllib.parse import unquote

from training.serve.brake import Brake, TooMany, address_of
from training.serve.limits import MEGABYTE, Limits
from training.serve.loopback import is_from_here
from training.serve.uploads import App, Bounded, Message, Receive, Send, respond, take
from training.serve.workplace import Workplace

LARGEST_QUESTION = 1 * MEGABYTE  # of a request that is no upload
WRAPPING = 1 * MEGABYTE  # around the file of an upload
FULL = 20  # files of the largest size that lie here at once
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; form-action 'self'; base-uri 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
ADDRESS = re.compile(r"(proxy|file|stream)[=/]+[a-z][a-z0-9+.-]*:", re.IGNORECASE)
FOREIGN = "Open this page at 127.0.0.1 or localhost; under another name it needs a password (`--password`)."
ELSEWHERE = "Only files that were sent to this page are taken."


class Gate:
    """ASGI: what is refused here never reaches the app behind.

    own_only: only this machine reaches the page, without a password, so pages of other hosts are kept out.
    """

    def __init__(self, app: App, limits: Limits, place: Workplace, own_only: bool = False) -> None:
        self.app, self.limits, self.place, self.own_only = app, limits, place, own_only
        self.brake = Brake()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _with_headers(send)
        method, path = scope["method"], scope["path"].rstrip("/")
        is_upload = method == "POST" and path.endswith("/upload")
        if (refusal := self._refusal(scope, is_upload)) is not None:
            await _refuse(answer, *refusal)
        elif method == "POST" and path.endswith("/login"):
            await self._login(scope, receive, answer)
        elif is_upload:
            content = Bounded(receive, self.limits.bytes + WRAPPING)
            await take(self.app, scope, content, answer, self.place, self._too_much)
        elif method in ("GET", "HEAD"):
            await self.app(scope, receive, answer)
        else:
            await self._question(scope, receive, answer)

    async def _login(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """A password, tried when its address may try one."""

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                tried.right = message["status"] < 400
            await send(message)

        try:
            async with self.brake.one_try(address_of(scope)) as tried:
                await self._question(scope, receive, look)
        except TooMany:
            await _refuse(send, 429, "Too many passwords were tried from here. Wait a minute.")

    def _refusal(self, scope: MutableMapping[str, Any], is_upload: bool) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        if self.own_only and not is_from_here(headers):
            return 403, FOREIGN
        if ADDRESS.search(unquote(scope["path"])):
            return 403, ELSEWHERE
        length = headers.get(b"content-length", b"0")
        most = self.limits.bytes + WRAPPING if is_upload else LARGEST_QUESTION
        if not length.isdigit() or int(length) > most:
            return 413, self._too_much
        if is_upload and self.place.size > FULL * self.limits.bytes:
            return 507, "Too many files of other visitors lie here at the moment. Try again in some minutes."
        return None

    @property
    def _too_much(self) -> str:
        return f"At most {self.limits.megabytes:,} MB are taken."

    async def _question(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """A request that is read before it is passed on: the files that it names lie where visitors' files lie."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > LARGEST_QUESTION:
                await _refuse(send, 413, "The request is too large.")
                return
        if not all(map(self.place.holds, _paths(body))):
            await _refuse(send, 403, ELSEWHERE)
            return
        await self.app(scope, _replayed(body, receive), send)


def _paths(body: bytes) -> Iterator[str]:
    """Every `path` in a JSON document: gradio takes each for a file that it may copy, or fetch."""
    try:
        left = [json.loads(body)]
    except (ValueError, RecursionError):
        return  # gradio refuses it
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if isinstance(path := one.get("path"), str):
                yield path
            left += one.values()
        elif isinstance(one, list):
            left += one


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return add


async def _refuse(send: Send, status: int, said: str) -> None:
    await respond(send, status, said.encode())
