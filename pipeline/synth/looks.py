"""How one object of a class looks in one clip: the random choices, its outline in pixels, and its textured sprite.

A look is drawn once per object; the scene sizes and places it by its outline alone, rendering then paints the sprite.
The texture's period grows with the square root of the object's size: a large object shows more of its texture, not a
blurred enlargement of it.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pipeline.synth.classes import SOUND_CLASSES, Palette, palettes_of

SUPERSAMPLING = 2
ROLES = ("body", "trim", "dark")
NEARLY_BLACK = np.array([28, 26, 30], np.float32)
SHORTEST_PERIOD, LONGEST_PERIOD = 6.5, 18.0  # pixels of the frame


@dataclass(frozen=True)
class Look:
    """The random choices for one object. Angles in radians; the rest are factors around 1 or offsets around 0."""

    number: int  # place in SOUND_CLASSES
    palette: Palette
    mirrored: bool
    angle: float  # at rest
    stretch: float  # width over height, times that of the drawn silhouette
    taper: float
    bend: float
    texture_scale: float
    texture_angle: float
    polarity: bool  # light and dark exchanged
    rim: bool
    texture_seed: int

    def outline(self) -> list[np.ndarray]:
        """Corners (n, 2) of every part of the silhouette, deformed, upright, about -1 ... 1."""
        return [self._deform(np.asarray(part.points)) for part in SOUND_CLASSES[self.number].silhouette]

    def _deform(self, points: np.ndarray) -> np.ndarray:
        x, y = points[:, 0], points[:, 1]
        x = x * (1 + self.taper * y) + self.bend * (y**2 - 0.3)
        x = -x if self.mirrored else x
        return np.stack([x * np.sqrt(self.stretch), y / np.sqrt(self.stretch)], 1)

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Left-top and right-bottom corner (2,) of the outline at its resting angle, at scale 1."""
        turned = np.concatenate(self.outline()) @ rotation(self.angle).T
        return turned.min(0), turned.max(0)


def rotation(angle: float) -> np.ndarray:
    """The (2, 2) matrix that turns (x, y) columns by `angle`."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def draw_look(number: int, rng: np.random.Generator) -> Look:
    """Draw the look of an object of class `number`."""
    choices = palettes_of(number)
    return Look(
        number=number,
        palette=_varied(choices[rng.integers(len(choices))], rng),
        mirrored=bool(rng.random() < 0.5),
        angle=float(np.clip(rng.normal(0, 0.22), -0.6, 0.6)),
        stretch=float(np.exp2(rng.normal(0, 0.18))),
        taper=float(rng.uniform(-0.18, 0.18)),
        bend=float(rng.uniform(-0.18, 0.18)),
        texture_scale=float(rng.uniform(0.85, 1.25)),
        texture_angle=float(rng.normal(0, 0.12)),
        polarity=bool(rng.random() < 0.25),
        rim=bool(rng.random() < 0.4),
        texture_seed=int(rng.integers(2**32)),
    )


def _varied(palette: Palette, rng: np.random.Generator) -> Palette:
    """The same palette in another light: all colours brighter or darker together, each a little off its hue."""
    light = rng.uniform(0.82, 1.08)
    colours = np.array([palette.light, palette.dark, palette.accent]) * light + rng.normal(0, 9, (3, 3))
    return Palette(*(tuple(row) for row in np.clip(colours, 0, 255).astype(int).tolist()))


@dataclass(frozen=True)
class Sprite:
    """A painted object: RGBA image (upright, at its size in the frame) and where its origin lies in it, pixels."""

    image: Image.Image
    origin: tuple[float, float]


def paint(look: Look, scale: float) -> Sprite:
    """Paint a look at `scale` pixels per unit of its outline."""
    corners = [part * scale for part in look.outline()]
    low = np.floor(np.concatenate(corners).min(0)) - 2
    width, height = (np.ceil(np.concatenate(corners).max(0)) + 2 - low).astype(int).tolist()
    shares = _role_shares(look, [part - low for part in corners], width, height)
    rng = np.random.default_rng(look.texture_seed)
    colour = _texture(look, width, height, low, rng)
    trim = np.asarray(look.palette.accent, np.float32)
    body, trimmed, dark = shares[..., None]
    covered = body + trimmed + dark
    mixed = (body * colour + trimmed * trim + dark * NEARLY_BLACK) / np.maximum(covered, 0.1)
    colour = np.where(covered > 0, mixed, NEARLY_BLACK) * _light(width, height, rng)
    image = np.dstack([np.clip(colour, 0, 255), 255 * covered]).round().astype(np.uint8)
    return Sprite(Image.fromarray(image), (float(-low[0]), float(-low[1])))


def _role_shares(look: Look, corners: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """How much of every pixel each role covers: float32 (roles, height, width), sums to at most 1."""
    canvas = Image.new("L", (SUPERSAMPLING * width, SUPERSAMPLING * height))
    draw = ImageDraw.Draw(canvas)
    for part, points in zip(SOUND_CLASSES[look.number].silhouette, corners, strict=True):
        role = ROLES.index(part.role) + 1
        draw.polygon([tuple(point) for point in (SUPERSAMPLING * points).tolist()], fill=role)
        if look.rim:
            edge = [tuple(point) for point in (SUPERSAMPLING * points).tolist()]
            draw.line([*edge, edge[0]], fill=len(ROLES), width=SUPERSAMPLING)
    fine = np.asarray(canvas).reshape(height, SUPERSAMPLING, width, SUPERSAMPLING)
    return np.stack([(fine == role + 1).mean((1, 3), dtype=np.float32) for role in range(len(ROLES))])


def _texture(look: Look, width: int, height: int, low: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The class's pattern in the look's two colours, float32 (height, width, 3); the plane's origin is the object's."""
    period = np.clip(9.0 * look.texture_scale * (np.sqrt(width * height) / 45) ** 0.5, SHORTEST_PERIOD, LONGEST_PERIOD)
    across = (np.arange(width, dtype=np.float32) + np.float32(low[0])) / np.float32(period)
    down = (np.arange(height, dtype=np.float32) + np.float32(low[1])) / np.float32(period)
    x, y = np.meshgrid(across, down)
    cos, sin = np.float32(np.cos(look.texture_angle)), np.float32(np.sin(look.texture_angle))
    share = SOUND_CLASSES[look.number].pattern(cos * x - sin * y, sin * x + cos * y, rng)
    share = np.asarray(1 - share if look.polarity else share, np.float32)[..., None]
    light, dark = np.asarray(look.palette.light, np.float32), np.asarray(look.palette.dark, np.float32)
    return dark + share * (light - dark)


def _light(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Light falling from one side: a factor per pixel, float32 (height, width, 1)."""
    slant = rng.uniform(-0.22, 0.22, 2).astype(np.float32)
    across, down = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    return (1 + slant[0] * across[None, :] + slant[1] * down[:, None])[..., None]
