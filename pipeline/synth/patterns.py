"""The textures that cover the toy world's objects: each is a small function of the plane, drawn once per object.

A pattern takes coordinates x, y (float32, any shape, unit = one period of the texture) and a generator for phases and
irregularities, and returns the share of the palette's light colour in [0, 1], same shape. Contours are soft over about
a tenth of a period, so that patterns survive the video codec.
"""

from collections.abc import Callable

import numpy as np

Pattern = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
TAU = 2 * np.pi


def _contour(signed: np.ndarray, softness: float = 0.35) -> np.ndarray:
    """0 below the zero contour, 1 above it, linear in between."""
    return np.clip(0.5 + signed / softness, 0, 1)


def _cell(values: np.ndarray) -> np.ndarray:
    """Position inside a unit cell, -0.5 ... 0.5."""
    return values - np.floor(values) - 0.5


def _scatter(column: np.ndarray, row: np.ndarray, salt: float) -> np.ndarray:
    """A pseudo-random number in [0, 1) for every cell of a lattice."""
    mixed = np.sin(column * 12.9898 + row * 78.233 + salt) * 437.585
    return mixed - np.floor(mixed)


def stripes(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(TAU * (y + rng.random())))


def pinstripes(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.cos(TAU * (x * 0.9 + rng.random())) - 0.7)


def checkers(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(np.pi * x + rng.random()) * np.sin(np.pi * y + rng.random()), 0.25)


def harlequin(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return checkers(1.2 * x + 0.7 * y, 1.2 * x - 0.7 * y, rng)


def dots(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shifted = x + 0.5 * (np.floor(y) % 2) + rng.random()
    return _contour(0.3 - np.hypot(_cell(shifted), _cell(y)), 0.12)


def rosettes(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A leopard's coat: open rings on a shifted lattice."""
    x, y = 0.75 * x, 0.75 * y
    shifted = x + 0.5 * (np.floor(y) % 2) + rng.random()
    return _contour(np.abs(np.hypot(_cell(shifted), _cell(y)) - 0.3) - 0.09, 0.1)


def rings(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(TAU * (np.hypot(x, y) + rng.random())))


def spokes(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(rng.integers(7, 10) * np.arctan2(y, x) + TAU * rng.random()))


def spiral(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(TAU * 0.8 * np.hypot(x, y) + 3 * np.arctan2(y, x) + TAU * rng.random()))


def zigzag(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(TAU * (0.8 * y + 1.1 * np.abs(_cell(0.7 * x)) + rng.random())))


def waves(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _contour(np.sin(TAU * (0.8 * x + 0.3 * np.sin(TAU * 0.45 * y + TAU * rng.random()))))


def bricks(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(1.2 * y)
    column = 0.6 * x + 0.5 * (row % 2) + rng.random()
    joint = np.minimum(0.5 - np.abs(_cell(1.2 * y)), 1.6 * (0.5 - np.abs(_cell(column))))
    return _contour(joint - 0.12, 0.12)


def mesh(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thin light lines crossing at right angles."""
    line = np.maximum(np.cos(TAU * 0.8 * x + rng.random()), np.cos(TAU * 0.8 * y + rng.random()))
    return _contour(line - 0.75)


def crosshatch(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return mesh(0.8 * (x + y), 0.8 * (x - y), rng)[...] * (0.55 + 0.45 * (np.sin(TAU * 0.4 * (x + y)) > 0))


def plaid(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    across, along = np.sin(TAU * 0.55 * x + rng.random()), np.sin(TAU * 0.55 * y + rng.random())
    return 0.5 * _contour(across) + 0.5 * _contour(along)


def frames(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Squares inside squares, side by side."""
    across, along = _cell(0.5 * x + rng.random()), _cell(0.5 * y + rng.random())
    return _contour(np.sin(TAU * 2 * np.maximum(np.abs(across), np.abs(along)) + 1.2), 0.6)


def blotches(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cow's hide: level sets of a few waves of random direction."""
    total = np.zeros_like(x)
    for angle, phase in zip(rng.uniform(0, TAU, 7), rng.uniform(0, TAU, 7), strict=True):
        total += np.sin(TAU * 0.38 * (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) + phase)
    return _contour(total, 0.7)


def scales(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(1.3 * y)
    column = 0.8 * x + 0.5 * (row % 2) + rng.random()
    arc = np.hypot(1.1 * _cell(column), _cell(1.3 * y) + 0.5)
    return np.clip(1.15 - arc, 0, 1) * _contour(0.62 - arc, 0.12)


def dashes(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(1.3 * y)
    column = 0.55 * x + 0.37 * row + rng.random()
    return _contour(np.minimum(0.28 - np.abs(_cell(column)), 0.6 * (0.22 - np.abs(_cell(1.3 * y)))), 0.1)


def triangles(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(0.8 * y)
    column = 0.8 * x + 0.5 * (row % 2) + rng.random()
    return _contour(_cell(0.8 * y) + 0.45 - 2 * np.abs(_cell(column)), 0.2)


def confetti(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small squares, each of its own shade."""
    return _scatter(np.floor(1.4 * x), np.floor(1.4 * y), 10 * rng.random()).astype(np.float32)


def crosses(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    across, along = np.abs(_cell(0.8 * x + rng.random())), np.abs(_cell(0.8 * y + rng.random()))
    arms = np.maximum(
        np.minimum(0.12 - across, 0.36 - along),
        np.minimum(0.12 - along, 0.36 - across),
    )
    return _contour(arms, 0.1)


def planks(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Broad bands shaded from one edge to the other, like a louvre."""
    return _cell(0.6 * (x + 0.35 * y) + rng.random()) + 0.5


def plain(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """No texture: a smooth run from dark to light along a slanted line."""
    along = y + rng.uniform(-0.6, 0.6) * x
    low, high = float(along.min()), float(along.max())
    return (along - low) / max(high - low, 1e-6)
