"""Ways to damage a file, by name: what happens to files, and what somebody who means harm makes of them.

DAMAGE["cut"](path)                        any file
spoiled(value, random)                     a JSON value with something in it that nobody expects
"""

import copy
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 0.5, 10**18, 10**400, -(10**30), float("nan"), float("inf"), 1e308, "", " ", ".", "..", "/",
    "\0", "\ud800", "../../x", "a" * 5000, "%s%n", "<script>", "\x1b[2J", "💥", [], {}, [[]], [None],
    [[1, 2], 3], {"": 1}, "1",
)  # fmt: skip


def with_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return rewrite


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(path.parent)  # the address of a socket is short
        server.bind(path.name)
        os.chdir(here)


def flipped(content: bytes) -> bytes:
    """Every 97th byte is another."""
    return bytes(byte ^ 0xA5 if number % 97 == 13 else byte for number, byte in enumerate(content))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": with_bytes(lambda content: b""),
    "cut": with_bytes(lambda content: content[: len(content) // 2]),
    "one byte": with_bytes(lambda content: content[:1]),
    "longer": with_bytes(lambda content: content + b"\0" * 600),
    "zeros": with_bytes(lambda content: bytes(len(content))),
    "noise": with_bytes(lambda content: random.Random(len(content)).randbytes(len(content))),
    "flipped": with_bytes(flipped),
    "twice": with_bytes(lambda content: 2 * content),
    "brackets": with_bytes(lambda content: b"[" * 5000),
    "a word": with_bytes(lambda content: b"word\n"),
    "null": with_bytes(lambda content: b"null"),
    "an empty list": with_bytes(lambda content: b"[]"),
    "an empty object": with_bytes(lambda content: b"{}"),
    "not utf-8": with_bytes(lambda content: b"\xff\xfe" + content),
    "a number": with_bytes(lambda content: b"1" * 5000),
    "a web page": with_bytes(lambda content: b"<!DOCTYPE html><html>not found</html>"),
    "a pipe": replaced(os.mkfifo),
    "a socket": replaced(bind),
    "a device": replaced(lambda path: path.symlink_to("/dev/zero")),
    "a folder": replaced(Path.mkdir),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "a link to nowhere": replaced(lambda path: path.symlink_to("nowhere")),
}


NO_FILE: dict[str, Callable[[Path], None]] = {
    "a named pipe": DAMAGE["a pipe"],
    "a folder": DAMAGE["a folder"],
    "a device": DAMAGE["a device"],
    "a link that leads nowhere": DAMAGE["a link to nowhere"],
}  # what lies in a file's place, as it is said of it


def spoiled(value: Any, draw: random.Random) -> Any:
    """A copy with one value, wherever it lies, exchanged for a nasty one, or one name or entry gone."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return draw.choice(NASTY)
    holder, at = draw.choice(places)
    if draw.random() < 0.2:
        del holder[at]
    else:
        holder[at] = draw.choice(NASTY)
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, at) for at, _ in inner] + [place for _, child in inner for place in _places(child)]
