"""How slow a transfer to or from a storage may be, whichever way its bytes go.

The storage's client bounds silence alone: a byte now and then would hold a command for ever. So every request is held
to a pace, at the one call that s3fs makes for each of them. What goes counts as it is handed to the connection, what
comes as it is read.
"""

import asyncio
import io
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from manifests.errors import InputError

SLOWEST = 20_000  # bytes a second, over as long as the storage may be silent
AT_ONCE = 1 << 20  # bytes
PIECES = 10  # that the time of a look at what goes is waited in
Call = Callable[..., Awaitable[Any]]


def silence_of(files: Any) -> float:
    """Seconds for which a storage may be silent. InputError where the environment has something else there."""
    seconds = files.config_kwargs.get("read_timeout", files.read_timeout)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise InputError(
            f"The settings of the storage (FSSPEC_S3, or a file of fsspec's) have a read_timeout of {seconds!r}. Give "
            "a number of seconds above 0, or leave it out."
        )
    return seconds


def in_pace(call: Call, silence: float, patience: float) -> Call:
    """A file system's `_call_s3`, whose requests raise OSError where they are too slow.

    That is less than SLOWEST bytes a second over `silence` seconds, or an answer that has not begun `patience` seconds
    after all has gone.
    """

    async def kept(*arguments: Any, **named: Any) -> Any:
        size = len(named.get("Body", b""))
        sent = io.BytesIO(named["Body"]) if size else io.BytesIO()
        request = asyncio.ensure_future(call(*arguments, **named | ({"Body": sent} if size else {})))
        try:
            await _hand_over(request, lambda: size - sent.tell(), silence)
            if not (await asyncio.wait([request], timeout=patience))[0]:
                raise OSError(f"no answer within {patience:g} seconds")
        finally:
            request.cancel()
        answer = request.result()
        if isinstance(answer, dict) and "Body" in answer:
            answer["Body"] = _Coming(answer["Body"], silence)
        return answer

    return kept


async def _hand_over(request: "asyncio.Future[Any]", left: Callable[[], int], silence: float) -> None:
    """Wait until no bytes of a request are left here, or it has its answer. OSError where they go too slowly.

    It waits in short pieces: what hashes a large body stops all else here, and one of them at most is over then.
    """
    while not request.done() and (before := left()):
        for _ in range(PIECES):
            await asyncio.wait([request], timeout=silence / PIECES)
        gone = before - left()
        if not request.done() and gone < min(before, SLOWEST * silence):
            raise OSError(_too_slow(gone, silence))


class _Coming:
    """The body of an answer, read as s3fs does. OSError where it comes too slowly, but for the time between reads."""

    def __init__(self, body: Any, silence: float) -> None:
        self._body, self._silence = body, silence
        self._came, self._seconds = 0, 0.0

    async def read(self, amount: int | None = None) -> bytes:
        """What is there of so many bytes, at least one before the end; all of them where no number is given."""
        if amount is not None:
            return await self._next(amount)
        pieces = []
        while piece := await self._next(AT_ONCE):
            pieces.append(piece)
        return b"".join(pieces)

    async def _next(self, amount: int) -> bytes:
        begun = time.monotonic()
        piece: bytes = await self._body.read(amount)
        self._came, self._seconds = self._came + len(piece), self._seconds + time.monotonic() - begun
        if self._seconds >= self._silence and piece:
            if self._came < SLOWEST * self._silence:
                raise OSError(_too_slow(self._came, self._seconds))
            self._came, self._seconds = 0, 0.0
        return piece

    def close(self) -> None:
        self._body.close()


def _too_slow(moved: int, seconds: float) -> str:
    return f"too slow: {moved:,} bytes in {seconds:.3g} seconds, where {SLOWEST:,} a second are the least"
