"""The outlines of the toy world's objects, as a few ellipses and polygons each.

Coordinates are in the object's own square, x to the right and y down, both about -1 ... 1. `body` parts carry the
class's texture, `trim` parts the palette's accent, `dark` parts are nearly black; later parts lie over earlier ones.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Role = Literal["body", "trim", "dark"]


@dataclass(frozen=True)
class Part:
    """One filled outline. `points` is a (n, 2) list of corners."""

    role: Role
    points: tuple[tuple[float, float], ...]


Silhouette = tuple[Part, ...]


def _ellipse(role: Role, x: float, y: float, radius_x: float, radius_y: float | None = None) -> Part:
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    corners = np.stack([x + radius_x * np.cos(turn), y + (radius_y or radius_x) * np.sin(turn)], 1)
    return Part(role, tuple(map(tuple, corners.tolist())))


def _polygon(role: Role, *numbers: float) -> Part:
    return Part(role, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def _box(role: Role, left: float, top: float, right: float, bottom: float) -> Part:
    return _polygon(role, left, top, right, top, right, bottom, left, bottom)


def _cog(role: Role, teeth: int, inner: float, outer: float) -> Part:
    turn = np.arange(4 * teeth) * (np.pi / (2 * teeth))
    radius = np.where(np.arange(4 * teeth) % 4 < 2, outer, inner)
    return Part(role, tuple(map(tuple, np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1).tolist())))


BELL = (
    _ellipse("dark", 0, 0.68, 0.22),
    _polygon("body", -0.25, -0.8, 0.25, -0.8, 0.45, 0.2, 0.85, 0.65, -0.85, 0.65, -0.45, 0.2),
    _ellipse("trim", 0, -0.82, 0.22, 0.16),
)
DRUM = (
    _polygon("body", -0.85, -0.4, 0.85, -0.4, 0.75, 0.85, -0.75, 0.85),
    _ellipse("trim", 0, -0.4, 0.85, 0.28),
    _polygon("dark", -0.9, -1, -0.78, -1, 0.12, -0.45, 0.02, -0.38),
    _polygon("dark", 0.9, -1, 0.78, -1, 0.2, -0.5, 0.3, -0.42),
)
BEE = (
    _ellipse("trim", -0.25, -0.5, 0.4, 0.36),
    _ellipse("trim", 0.35, -0.5, 0.4, 0.32),
    _ellipse("body", 0, 0.15, 0.85, 0.5),
    _ellipse("dark", 0.75, 0.05, 0.22),
)
SIREN = (
    _ellipse("body", 0, -0.05, 0.62, 0.8),
    _box("trim", -0.85, 0.42, 0.85, 0.85),
    _polygon("dark", -1, -0.75, -0.7, -0.45, -0.78, -0.35, -1, -0.5),
    _polygon("dark", 1, -0.75, 0.7, -0.45, 0.78, -0.35, 1, -0.5),
)
CLOCK = (
    _ellipse("trim", -0.6, -0.7, 0.27),
    _ellipse("trim", 0.6, -0.7, 0.27),
    _ellipse("body", 0, 0.1, 0.82),
    _ellipse("trim", 0, 0.1, 0.4),
    _polygon("dark", -0.06, -0.35, 0.06, -0.35, 0.06, 0.08, 0.34, 0.24, 0.28, 0.34, -0.06, 0.16),
)
BIRD = (
    _polygon("body", -0.5, 0.1, -1, -0.4, -1, 0.25, -0.6, 0.45),
    _ellipse("body", -0.05, 0.15, 0.72, 0.52),
    _ellipse("trim", 0.55, -0.38, 0.36),
    _polygon("dark", 0.82, -0.5, 1.05, -0.3, 0.84, -0.2),
    _ellipse("dark", 0.62, -0.46, 0.09),
)
TRAIN = (
    _box("trim", -0.75, -0.8, -0.4, -0.1),
    _polygon("body", -0.95, -0.2, 0.35, -0.2, 0.35, -0.85, 0.95, -0.85, 0.95, 0.5, -0.95, 0.5),
    _ellipse("dark", -0.62, 0.58, 0.27),
    _ellipse("dark", 0, 0.58, 0.27),
    _ellipse("dark", 0.62, 0.58, 0.27),
)
TELEPHONE = (
    _polygon("body", -0.5, -0.3, 0.5, -0.3, 0.92, 0.8, -0.92, 0.8),
    _polygon("trim", -1, -0.8, 1, -0.8, 1, -0.2, 0.6, -0.2, 0.52, -0.45, -0.52, -0.45, -0.6, -0.2, -1, -0.2),
    _ellipse("dark", 0, 0.25, 0.28),
)
WHISTLE = (
    _polygon("body", -0.35, -0.42, 1, -0.42, 1, 0.12, -0.2, 0.12),
    _ellipse("body", -0.35, 0.18, 0.6),
    _ellipse("trim", -0.35, 0.18, 0.24),
    _polygon("dark", 0.1, -0.42, 0.36, -0.42, 0.2, -0.12),
)
OWL = (
    _polygon("body", -0.62, -0.95, -0.05, -0.5, -0.55, -0.1),
    _polygon("body", 0.62, -0.95, 0.05, -0.5, 0.55, -0.1),
    _ellipse("body", 0, 0.15, 0.68, 0.82),
    _ellipse("trim", -0.29, -0.28, 0.27),
    _ellipse("trim", 0.29, -0.28, 0.27),
    _ellipse("dark", -0.27, -0.28, 0.12),
    _ellipse("dark", 0.27, -0.28, 0.12),
    _polygon("dark", -0.1, -0.12, 0.1, -0.12, 0, 0.15),
)
FROG = (
    _ellipse("body", -0.52, -0.35, 0.32),
    _ellipse("body", 0.52, -0.35, 0.32),
    _ellipse("body", 0, 0.25, 0.95, 0.55),
    _polygon("trim", -0.6, 0.32, 0.6, 0.32, 0.3, 0.58, -0.3, 0.58),
    _ellipse("dark", -0.52, -0.4, 0.15),
    _ellipse("dark", 0.52, -0.4, 0.15),
)
DUCK = (
    _polygon("body", 0.28, -0.4, 0.72, -0.4, 0.62, 0.4, 0.1, 0.4),
    _polygon("body", -0.7, 0.2, -1.05, -0.15, -0.5, 0.0),
    _ellipse("body", -0.1, 0.4, 0.82, 0.48),
    _ellipse("trim", 0.5, -0.5, 0.36),
    _polygon("dark", 0.8, -0.6, 1.1, -0.45, 1.1, -0.28, 0.76, -0.3),
)
HELICOPTER = (
    _box("dark", 0.17, -0.55, 0.3, -0.2),
    _box("dark", -0.65, -0.62, 1.05, -0.5),
    _polygon("body", -0.1, 0, -1.05, -0.25, -1.05, 0.08, -0.1, 0.4),
    _ellipse("body", 0.25, 0.18, 0.68, 0.5),
    _ellipse("trim", 0.58, 0.05, 0.25, 0.22),
)
SAW = (
    _polygon(
        "body", -1, -0.25, 0.45, -0.5, 0.45, 0.45, 0.25, 0.22, 0.05, 0.45, -0.15, 0.22, -0.35, 0.45,
        -0.55, 0.2, -0.75, 0.4, -1, 0.15,
    ),
    _ellipse("trim", 0.68, 0, 0.36, 0.52),
    _ellipse("dark", 0.7, 0, 0.14, 0.24),
)  # fmt: skip
KETTLE = (
    _polygon(
        "dark", -0.52, -0.1, -0.5, -0.9, 0.5, -0.9, 0.52, -0.1, 0.38, -0.1, 0.36, -0.72, -0.36, -0.72, -0.38, -0.1
    ),
    _polygon("trim", 0.4, 0.2, 0.95, -0.35, 1.05, -0.1, 0.6, 0.6),
    _ellipse("body", -0.05, 0.3, 0.7, 0.6),
    _ellipse("trim", -0.05, -0.25, 0.34, 0.14),
)
MOTOR = (_cog("body", 9, 0.72, 0.98), _ellipse("trim", 0, 0, 0.34), _ellipse("dark", 0, 0, 0.14))
SHIP = (
    _polygon("dark", -0.15, -0.95, 0.25, -0.95, 0.2, -0.3, -0.1, -0.3),
    _box("trim", -0.55, -0.4, 0.55, 0.1),
    _polygon("body", -1.05, 0.02, 1.05, 0.02, 0.7, 0.85, -0.7, 0.85),
)
XYLOPHONE = (
    _polygon("body", -1, -0.75, 1, -0.35, 1, 0.35, -1, 0.75),
    _polygon("dark", -1, -0.42, 1, -0.22, 1, -0.14, -1, -0.32),
    _polygon("dark", -1, 0.42, 1, 0.22, 1, 0.14, -1, 0.32),
    _ellipse("trim", 0.4, -0.62, 0.2),
)
CRICKET = (
    _polygon("dark", -0.15, 0.2, -0.55, -0.75, -0.42, -0.75, 0.1, 0.15),
    _polygon("dark", -0.55, -0.75, -0.95, 0.7, -0.8, 0.7, -0.42, -0.65),
    _polygon("dark", 0.3, 0.2, 0.55, 0.7, 0.65, 0.65, 0.45, 0.2),
    _ellipse("body", 0, 0.1, 0.92, 0.36),
    _ellipse("trim", 0.82, 0, 0.27),
)
CAT = (
    _polygon("body", -0.78, -0.95, -0.05, -0.45, -0.68, 0.05),
    _polygon("body", 0.78, -0.95, 0.05, -0.45, 0.68, 0.05),
    _ellipse("body", 0, 0.15, 0.8, 0.68),
    _ellipse("trim", -0.32, 0, 0.17, 0.2),
    _ellipse("trim", 0.32, 0, 0.17, 0.2),
    _polygon("dark", -0.14, 0.22, 0.14, 0.22, 0, 0.42),
    _box("dark", -1, 0.4, -0.4, 0.46),
    _box("dark", 0.4, 0.4, 1, 0.46),
)
RADIO = (
    _polygon("dark", 0.55, -1, 0.68, -1, 0.45, -0.3, 0.32, -0.3),
    _box("body", -0.95, -0.4, 0.95, 0.8),
    _ellipse("trim", -0.4, 0.2, 0.38),
    _box("dark", 0.2, -0.15, 0.75, 0.1),
)
RAY_GUN = (
    _ellipse("dark", 0.85, -0.15, 0.22, 0.14),
    _polygon("body", -1, -0.55, 0.6, -0.45, 0.6, 0.15, -0.15, 0.2, -0.3, 0.9, -0.8, 0.9, -0.6, 0.15, -1, 0.05),
    _ellipse("trim", 0.56, -0.15, 0.13, 0.45),
    _ellipse("trim", 0.2, -0.17, 0.1, 0.4),
)
AMBULANCE = (
    _polygon("body", -1, -0.7, 0.4, -0.7, 0.98, -0.05, 0.98, 0.5, -1, 0.5),
    _polygon("trim", 0.38, -0.5, 0.72, -0.08, 0.38, -0.08),
    _box("trim", -0.3, -0.92, 0.1, -0.68),
    _ellipse("dark", -0.52, 0.52, 0.26),
    _ellipse("dark", 0.5, 0.52, 0.26),
)
MARACA = (
    _polygon("trim", 0, 0.25, 0.25, 0, 0.98, 0.75, 0.75, 0.98),
    _ellipse("body", -0.33, -0.33, 0.66),
    _polygon("dark", 0.0, 0.2, 0.2, 0.0, 0.3, 0.1, 0.1, 0.3),
)
