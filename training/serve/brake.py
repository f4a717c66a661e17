"""A brake on guessing passwords: after some wrong ones from an address, each further try from there waits, ever longer.

A try that waits is answered afterwards, so that a visitor who mistyped sees nothing but a slow page. Behind a proxy all
visitors have the proxy's address; what a proxy says of others anybody can write, so it is not believed.
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

FREE = 5  # wrong passwords that cost nothing
LONGEST = 30.0  # seconds; proxies and browsers give up after a minute
IN_LINE = 4  # tries of one address that wait at once
FORGOTTEN = 3600.0  # seconds after its last try that an address is forgotten
MOST = 10_000  # addresses that are remembered
NETWORK = 64  # bits of an IPv6 address that a provider gives to one customer


class TooMany(Exception):
    """Of this address so many tries wait already that another is refused."""


@dataclass
class Try:
    """One that may go on now; `right` is for the caller to say."""

    right: bool = False


@dataclass
class _Line:
    wrong: int = 0
    waiting: int = 0
    last: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def wait(self) -> float:
        """Seconds before the next try goes on: 1, 2, 4 and so on."""
        return min(2.0 ** (self.wrong - FREE), LONGEST) if self.wrong >= FREE else 0.0


class Brake:
    """Remembers wrong passwords by address."""

    def __init__(self, sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._lines: OrderedDict[str, _Line] = OrderedDict()

    @asynccontextmanager
    async def one_try(self, address: str) -> AsyncIterator[Try]:
        """Wait until an address may try again, one after another. Raises TooMany where others wait already."""
        line = self._line(address)
        if line.waiting == IN_LINE:
            raise TooMany
        line.waiting += 1
        try:
            async with line.turn:
                await self._sleep(line.wait)
                tried = Try()
                try:
                    yield tried
                finally:
                    line.wrong = 0 if tried.right else line.wrong + 1
        finally:
            line.waiting -= 1
            line.last = monotonic()

    def _line(self, address: str) -> _Line:
        line = self._lines.setdefault(address, _Line(last=monotonic()))
        self._lines.move_to_end(address)
        self._forget(monotonic() - FORGOTTEN)
        return line

    def _forget(self, before: float) -> None:
        """The addresses that were quiet longest, unless they wait."""
        while len(self._lines) > 1:
            address, oldest = next(iter(self._lines.items()))
            if oldest.waiting or (oldest.last > before and len(self._lines) <= MOST):
                return
            del self._lines[address]


def address_of(scope: MutableMapping[str, Any]) -> str:
    """Whom a request comes from: an address, of IPv6 the network."""
    host = str((scope.get("client") or ("unknown",))[0])
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, NETWORK), strict=False))
    return str(address)
