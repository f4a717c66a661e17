"""Files on their way into the workplace: whole, or nothing of them stays.

Gradio writes what arrives, and deletes what it wrote only where the form that it reads is faulty. So an upload that
breaks off, or sends more than it announced, becomes one of these.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.formparsers import MultiPartException

from training.serve.workplace import Workplace

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Bounded:
    """What a request sends, up to `most` bytes; MultiPartException for more, and where it ends too early."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.most = receive, most
        self.taken, self._more = 0, True

    @property
    def is_too_much(self) -> bool:
        return self.taken > self.most

    async def __call__(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.disconnect" and self._more:
            raise MultiPartException("The upload broke off.")
        self.taken += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self.is_too_much:
            raise MultiPartException("The upload is larger than it may be.")
        return message


async def take(
    app: App, scope: MutableMapping[str, Any], content: Bounded, send: Send, place: Workplace, too_much: str
) -> None:
    """Let gradio take an upload, and note what arrived. Answers as gradio does, or 413 with the sentence `too_much`."""
    answer: list[Message] = []

    async def hold(message: Message) -> None:
        answer.append(message)

    plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]  # else it is compressed
    with place.arriving(), suppress(MultiPartException):  # of what reads no form
        await app({**scope, "headers": plain}, content, hold)
    if content.is_too_much:
        await respond(send, 413, too_much.encode())
    elif answer and answer[0]["status"] == 200:
        await respond(send, 200, _noted(answer, place), b"application/json")
    else:
        for message in answer:
            await send(message)


def _noted(answer: Iterable[Message], place: Workplace) -> bytes:
    """The paths that gradio tells the browser, as they are once the workplace has the files."""
    paths = json.loads(b"".join(message.get("body", b"") for message in answer))
    return json.dumps([str(place.arrived(path)) for path in paths]).encode()


async def respond(send: Send, status: int, content: bytes, kind: bytes = b"text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
