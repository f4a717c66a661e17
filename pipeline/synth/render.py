"""A scene becomes frames: a cluttered background seen by a slightly moving camera, and the objects painted over it.

Backgrounds have natural statistics (amplitude falling as 1 / frequency), broad gradients, and shapes that are no
objects. The truth comes from the same painting: a box is tight around the pixels of its object that can be seen in
the clip's central frame.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import fft

from pipeline.synth.looks import Sprite, paint, rotation
from pipeline.synth.scene import FPS, FRAMES, MOMENT, Scene, Thing, position

CAMERA_REACH = 8  # pixels of background beyond each edge of the frame
VISIBLE_ALPHA = 128
_PLACE = 113  # last word of seeds, so that places differ from clips


@dataclass(frozen=True)
class Sight:
    """What can be seen of one object at the moment: its box as shares of the frame, None when nothing, and how much."""

    box: tuple[float, float, float, float] | None
    visible_share: float  # of the object's own pixels


def frames(scene: Scene) -> np.ndarray:
    """All frames, uint8 (FRAMES, height, width, 3) RGB."""
    return np.stack([np.asarray(frame) for frame in _paint_frames(scene, [k / FPS for k in range(FRAMES)])])


def central_frame(scene: Scene) -> Image.Image:
    """The frame at the clip's moment."""
    return _paint_frames(scene, [MOMENT])[0]


def _paint_frames(scene: Scene, times: list[float]) -> list[Image.Image]:
    rng = np.random.default_rng(scene.background_seed)
    ground = background(scene.width + 2 * CAMERA_REACH, scene.height + 2 * CAMERA_REACH, rng, scene.place)
    swing, pace = rng.uniform(0, CAMERA_REACH, 2), rng.uniform(0.5, 2, 2)
    painted = [(thing, paint(thing.look, thing.scale)) for thing in scene.things if thing.on_screen]
    images = []
    for time in times:
        left, top = np.rint(CAMERA_REACH + swing * np.sin(pace * time)).astype(int).tolist()
        frame = ground.crop((left, top, left + scene.width, top + scene.height))
        for thing, sprite in painted:
            patch, corner = _pose(thing, sprite, time)
            frame.paste(patch, corner, patch)
        images.append(frame)
    return images


def sights(scene: Scene) -> list[Sight]:
    """What can be seen of every thing of the scene in its central frame, in the scene's order."""
    seen: list[Sight] = []
    hidden = np.zeros((scene.height, scene.width), bool)
    for thing in reversed(scene.things):  # the last one painted hides the others
        if not thing.on_screen:
            seen.append(Sight(None, 0.0))
            continue
        patch, corner = _pose(thing, paint(thing.look, thing.scale), MOMENT)
        own = np.asarray(patch.getchannel("A")) >= VISIBLE_ALPHA
        cover = Image.new("1", (scene.width, scene.height))
        cover.paste(Image.fromarray(own), corner)
        visible = np.asarray(cover) & ~hidden
        hidden |= np.asarray(cover)
        seen.append(Sight(tight_box(visible), float(visible.sum() / max(own.sum(), 1))))
    return seen[::-1]


def tight_box(visible: np.ndarray) -> tuple[float, float, float, float] | None:
    """The box around the True pixels of bool (height, width) as shares of the frame; None when there are none."""
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    if not len(rows):
        return None
    height, width = visible.shape
    return (
        round(int(columns[0]) / width, 6),
        round(int(rows[0]) / height, 6),
        round((int(columns[-1]) + 1) / width, 6),
        round((int(rows[-1]) + 1) / height, 6),
    )


def _pose(thing: Thing, sprite: Sprite, time: float) -> tuple[Image.Image, tuple[int, int]]:
    """The sprite turned and sized as it is at `time`: an RGBA patch and the frame pixel of its left-top corner."""
    origin, angle, size = position(thing, time)
    forward = rotation(angle) * size
    width, height = sprite.image.size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) - np.array(sprite.origin)
    reached = corners @ forward.T + origin
    low = np.floor(reached.min(0)).astype(int)
    reach = np.ceil(reached.max(0)).astype(int) - low
    back = np.linalg.inv(forward)
    offset = back @ (low - origin) + np.array(sprite.origin)
    affine = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    patch = sprite.image.transform(tuple(reach.tolist()), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return patch, (int(low[0]), int(low[1]))


def background(width: int, height: int, rng: np.random.Generator, place: int | None = None) -> Image.Image:
    """A place without objects: two or more broad colours, shapes of no meaning, and a natural texture over all.

    Backgrounds of one `place` have their colours in common, in the same parts of the image; None: in no other.
    """
    of_place = rng if place is None else np.random.default_rng([place, _PLACE])
    tones = _tones(of_place)
    canvas = _ground(width, height, tones, of_place)
    _clutter(canvas, tones, rng)
    pixels = np.asarray(canvas, np.float32) + _natural_texture(width, height, rng)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _tones(rng: np.random.Generator) -> np.ndarray:
    """Six colours of one place, float (6, 3): a common brightness and tint, and variation around it."""
    grey, tint = rng.uniform(60, 190), rng.normal(0, 14, 3)
    return np.clip(grey + tint + rng.normal(0, 38, (6, 1)) + rng.normal(0, 16, (6, 3)), 5, 250)


def _ground(width: int, height: int, tones: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A wall and a floor, or a smooth field of a few colours."""
    if rng.random() < 0.4:
        canvas = Image.new("RGB", (width, height), _rgb(tones[0]))
        horizon = int(rng.uniform(0.4, 0.85) * height)
        ImageDraw.Draw(canvas).rectangle((0, horizon, width, height), fill=_rgb(tones[1]))
        return canvas
    across, down = rng.integers(2, 5, 2).tolist()
    field = tones[rng.integers(len(tones), size=(down, across))].astype(np.uint8)
    return Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC)


def _clutter(canvas: Image.Image, tones: np.ndarray, rng: np.random.Generator) -> None:
    """Boxes, blobs, shards and sticks without texture of their own, drawn into `canvas`."""
    draw = ImageDraw.Draw(canvas)
    reach = np.array(canvas.size)
    for _ in range(rng.integers(4, 18)):
        middle, radius = rng.uniform(0, 1, 2) * reach, np.exp(rng.uniform(np.log(3), np.log(32)))
        colour = _rgb(np.clip(tones[rng.integers(len(tones))] + rng.normal(0, 30, 3), 0, 255))
        turn = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        around = middle + radius * np.stack([np.cos(turn), rng.uniform(0.3, 1.2) * np.sin(turn)], 1)
        match rng.integers(4):
            case 0:
                draw.polygon([tuple(point) for point in around.tolist()], fill=colour)
            case 1:
                draw.ellipse((*(middle - radius).tolist(), *(middle + radius).tolist()), fill=colour)
            case 2:
                corner = middle + rng.uniform(0.2, 1) * radius
                draw.rectangle((*(middle - radius).tolist(), *corner.tolist()), fill=colour)
            case _:
                draw.line([tuple(point) for point in around[:2].tolist()], fill=colour, width=int(rng.integers(1, 5)))


def _rgb(tone: np.ndarray) -> tuple[int, int, int]:
    return (int(tone[0]), int(tone[1]), int(tone[2]))


def _natural_texture(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with the amplitude spectrum of natural images, 1 / frequency: float32 (height, width, 3) around 0."""
    rows, columns = fft.next_fast_len(height), fft.next_fast_len(width, real=True)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :]).astype(np.float32)
    frequency[0, 0] = np.inf
    parts = rng.standard_normal((2, rows, columns // 2 + 1), np.float32)
    noise = fft.irfft2((parts[0] + 1j * parts[1]) / frequency ** np.float32(rng.uniform(0.9, 1.3)), (rows, columns))
    noise = noise[:height, :width] / noise.std() * rng.uniform(6, 26)
    return noise[..., None] * rng.uniform(0.8, 1.1, 3).astype(np.float32)
