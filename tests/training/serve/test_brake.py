"""Guessing passwords: wrong tries of one address make its next ones wait, and nobody else's."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from training.serve.brake import FREE, IN_LINE, LONGEST, MOST, Brake, TooMany, address_of
from training.serve.gate import Gate
from training.serve.limits import Limits
from training.serve.workplace import workplace

RIGHT = b"username=me&password=sesame"


def braked() -> tuple[Brake, list[float]]:
    """A brake that notes how long it would have waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    return Brake(sleep), waited


async def attempt(brake: Brake, address: str, right: bool = False) -> None:
    async with brake.one_try(address) as tried:
        tried.right = right


def test_the_wait_grows_with_wrong_tries_and_ends_with_a_right_one() -> None:
    brake, waited = braked()

    async def visit() -> None:
        for _ in range(FREE + 8):
            await attempt(brake, "a")
        await attempt(brake, "b")
        await attempt(brake, "a", right=True)
        await attempt(brake, "a")

    asyncio.run(visit())
    assert waited == [0] * FREE + [1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST] + [0] + [LONGEST] + [0]


def test_tries_at_once_are_made_one_after_another_and_too_many_are_refused() -> None:
    async def visit() -> tuple[int, int]:
        brake, inside, most = Brake(), 0, 0

        async def slow() -> None:
            nonlocal inside, most
            async with brake.one_try("a"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.01)
                inside -= 1

        ended = await asyncio.gather(*(slow() for _ in range(IN_LINE + 2)), return_exceptions=True)
        return most, sum(isinstance(each, TooMany) for each in ended)

    assert asyncio.run(visit()) == (1, 2)


def test_a_try_that_breaks_off_counts_as_wrong() -> None:
    brake, waited = braked()

    async def visit() -> None:
        for _ in range(FREE + 1):
            with pytest.raises(ConnectionError):
                async with brake.one_try("a"):
                    raise ConnectionError

    asyncio.run(visit())
    assert waited[-1] == 1


def test_addresses_are_forgotten_and_never_more_than_some_are_known() -> None:
    brake, _ = braked()

    async def visit() -> None:
        for number in range(MOST + 5):
            await attempt(brake, str(number))

    asyncio.run(visit())
    assert len(brake._lines) == MOST


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("192.0.2.7", 5), "192.0.2.7"),
        (("2001:db8:1:2:3::4", 5), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 5), "192.0.2.7"),
        (("fe80::1%eth0", 5), "fe80::/64"),
        (None, "unknown"),
        (("testclient", 5), "testclient"),
    ],
)
def test_an_address_is_what_a_visitor_cannot_change(client: Any, address: str) -> None:
    assert address_of({"client": client}) == address


def test_the_gate_brakes_passwords_and_nothing_else(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        content = (await receive())["body"]
        status = 200 if content == RIGHT or scope["path"] != "/login" else 400
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def post(gate: Gate, path: str, content: bytes) -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": ("192.0.2.7", 5)}
        await gate(scope, receive, send)
        return sent[0]["status"]

    async def visit(gate: Gate) -> list[int]:
        wrong = [await post(gate, "/login", b"password=1") for _ in range(FREE + 1)]
        return [*wrong, await post(gate, "/gradio_api/queue/join", b"{}"), await post(gate, "/login", RIGHT)]

    with workplace(tmp_path) as place:
        gate = Gate(app, Limits(), place)
        gate.brake, waited = braked()
        assert asyncio.run(visit(gate)) == [400] * (FREE + 1) + [200, 200]
    assert waited == [0] * FREE + [1, 2]
