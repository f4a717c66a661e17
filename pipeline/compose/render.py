"""A composed scene becomes frames: cut-outs pasted before a photograph, or before a drawn background.

The truth comes from the same pasting: what of an object can be seen in the clip's central frame, pixel by pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from pipeline.compose.pieces import Scene, Thing
from pipeline.synth.render import VISIBLE_ALPHA, Sight, background, tight_box
from pipeline.synth.scene import FPS, FRAMES, MOMENT

MASK_SIDE = 224
CLOSEST = 0.7  # a background is shown whole, or a part of it of so much of its sides
EDGE_LOW, EDGE_HIGH = 64, 224  # transparency below is none, above is full: cut-outs keep less of their halos
Activity = Callable[[int, float], float]  # how strongly an object, by its place in the scene, sounds at a second


@dataclass(frozen=True)
class Painted:
    """The central frame and its background alone, uint8 (H, W, 3), what can be seen of each thing, and the pixels that
    sound, bool (MASK_SIDE, MASK_SIDE)."""

    frame: np.ndarray
    ground: np.ndarray
    sights: list[Sight]
    mask: np.ndarray


class Painter:
    """Paints one scene from the arrays that `material` keeps in `folder`."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self._scene = scene
        self._ground = _ground(scene, folder)
        self._objects = [_object(thing, folder) if thing.on_screen else None for thing in scene.things]

    def central(self) -> Painted:
        """The frame at the moment, and the truth of it."""
        frame, covers = self._painted(MOMENT, lambda number, time: 0.0)
        hidden = np.zeros((self._scene.height, self._scene.width), bool)
        sounding = np.zeros_like(hidden)
        sights: list[Sight] = []
        for thing, (cover, pixels) in reversed(list(zip(self._scene.things, covers, strict=True))):
            visible = cover & ~hidden
            hidden |= cover
            sounding |= visible & thing.sounding
            sights.append(Sight(tight_box(visible), float(visible.sum() / max(pixels, 1))))
        mask = Image.fromarray(sounding).resize((MASK_SIDE, MASK_SIDE), Image.Resampling.NEAREST)
        return Painted(np.asarray(frame), np.asarray(self._ground), sights[::-1], np.asarray(mask))

    def frames(self, activity: Activity) -> np.ndarray:
        """uint8 (FRAMES, H, W, 3): objects move, and grow a little while they sound."""
        lively = [activity(number, MOMENT) for number in range(len(self._scene.things))]

        def growth(number: int, time: float) -> float:
            return activity(number, time) - lively[number]

        return np.stack([np.asarray(self._painted(step / FPS, growth)[0]) for step in range(FRAMES)])

    def _painted(self, time: float, growth: Activity) -> tuple[Image.Image, list[tuple[np.ndarray, int]]]:
        """A frame; of each thing where it covers the frame, bool (H, W), and how many pixels it has in all."""
        frame, covers = self._ground.copy(), []
        for number, (thing, image) in enumerate(zip(self._scene.things, self._objects, strict=True)):
            if image is None:
                covers.append((np.zeros((frame.height, frame.width), bool), 0))
                continue
            patch, corner = _posed(thing, image, time, growth(number, time))
            frame.paste(patch, corner, patch)
            own = np.asarray(patch.getchannel("A")) >= VISIBLE_ALPHA
            cover = Image.new("1", frame.size)
            cover.paste(Image.fromarray(own), corner)
            covers.append((np.asarray(cover), int(own.sum())))
        return frame, covers


def _ground(scene: Scene, folder: Path) -> Image.Image:
    rng = np.random.default_rng(scene.paint_seed)
    if scene.background is None:
        return background(scene.width, scene.height, rng, place=scene.place)
    photograph = Image.fromarray(np.load(folder / f"{scene.background}.npy"))
    scale = min(photograph.width / scene.width, photograph.height / scene.height) * rng.uniform(CLOSEST, 1)
    width, height = scale * scene.width, scale * scene.height
    left, top = rng.uniform(0, 1, 2) * [photograph.width - width, photograph.height - height]
    part = (left, top, left + width, top + height)
    shown = photograph.resize((scene.width, scene.height), Image.Resampling.BILINEAR, part, reducing_gap=2.0)
    return shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else shown


def _object(thing: Thing, folder: Path) -> Image.Image:
    pixels = np.array(np.load(folder / f"{thing.image}.npy"))
    steeper = (pixels[..., 3].astype(np.float32) - EDGE_LOW) * (255 / (EDGE_HIGH - EDGE_LOW))
    pixels[..., 3] = np.clip(steeper, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if thing.mirrored else image
    lit = ImageEnhance.Brightness(image.convert("RGB")).enhance(thing.brightness)
    lit.putalpha(image.getchannel("A"))
    return lit


def _posed(thing: Thing, image: Image.Image, time: float, growth: float) -> tuple[Image.Image, tuple[int, int]]:
    """The object as it is at `time`: an RGBA patch and the frame pixel of its left-top corner."""
    left, top, width, height = thing.box
    larger = 1 + thing.motion.throb * growth
    across, down = thing.motion.shift(time).tolist()
    size = (max(1, round(width * larger)), max(1, round(height * larger)))
    corner = (round(left + across - (size[0] - width) / 2), round(top + down - (size[1] - height) / 2))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0), corner
