"""Material made ready: every file decoded once, checked, cut to what is needed and kept as a plain array.

Objects become RGBA cut tight around their pixels, recordings mono sound without the silence around it, backgrounds RGB.
Composing then reads arrays only. A file that cannot be used is told by `Unusable`, with its reason.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from manifests.errors import InputError, WorkFailed
from manifests.files.given import TooLarge, opened, read_bytes
from manifests.files.images import open_image
from manifests.machine import is_machines_fault
from manifests.masks import load_mask
from pipeline.compose.files import Unusable
from pipeline.compose.object_images import ObjectImage, Outline
from pipeline.media.still import AudioFile, read_pixels, rgb_on_white, rgba
from pipeline.shards.codecs import FULL_SCALE, encode_npy
from pipeline.shards.record import Rejected
from pipeline.synth.audio import SAMPLE_RATE
from pipeline.synth.render import VISIBLE_ALPHA

LONGEST_OBJECT, LONGEST_BACKGROUND = 400, 512  # pixels kept of the longer side
SMALLEST_OBJECT = 12  # pixels
LONGEST_SECONDS, SHORTEST_SECONDS = 10.0, 0.1
QUIETEST = 10**-3.5  # root mean square of what still counts as sound: -70 dB of full scale
FLOOR_BELOW_LOUDEST = 10**-1.75  # parts 35 dB below the loudest are the silence around a sound
BLOCK = SAMPLE_RATE // 50
BOX_SHARPNESS = 6  # of the rounded rectangle that a box cuts out: |x|^6 + |y|^6 <= 1
BANDS = 16
PLACE_GRID = 4


@dataclass(frozen=True)
class Ready:
    """A file that was made ready. size: (width, height) of an image, (samples, 0) of a recording.

    `digest` names the file's content. `features`: what it is like: the mean colours of a background in PLACE_GRID times
    PLACE_GRID fields, the mean spectrum of a recording in BANDS bands.
    """

    digest: str
    size: tuple[int, int]
    features: tuple[float, ...] = ()


def ready_object(target: Path, item: ObjectImage) -> Ready:
    """Cut an object out and keep it as uint8 (H, W, 4) RGBA under `target`. Raises Unusable."""
    content = _content(item.path)
    seen = _pixels(content, rgba)
    alpha = _alpha(seen, item.outline)
    pixels = np.dstack([seen[..., :3], alpha])
    rows, columns = (np.flatnonzero((alpha >= VISIBLE_ALPHA).any(axis)) for axis in (1, 0))
    if not len(rows):
        raise Unusable("empty_outline", "its transparency, mask or box leaves nothing of the object")
    tight = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if min(tight.shape[:2]) < SMALLEST_OBJECT:
        raise Unusable("too_small", f"its object is {tight.shape[1]} x {tight.shape[0]} pixels")
    small = _reduced(Image.fromarray(tight), LONGEST_OBJECT)
    _keep(target, np.asarray(small))
    return Ready(hashlib.sha256(content).hexdigest(), small.size)


def ready_background(target: Path, path: Path) -> Ready:
    """Keep a background as uint8 (H, W, 3) under `target`. Raises Unusable."""
    content = _content(path)
    small = _reduced(Image.fromarray(_pixels(content, rgb_on_white)), LONGEST_BACKGROUND)
    _keep(target, np.asarray(small))
    fields = np.asarray(small.resize((PLACE_GRID, PLACE_GRID), Image.Resampling.BOX), float) / 255
    return Ready(hashlib.sha256(content).hexdigest(), small.size, tuple(fields.ravel().tolist()))


def ready_recording(target: Path, path: Path) -> Ready:
    """Keep what sounds of a recording as int16 (S,) at SAMPLE_RATE under `target`. Raises Unusable."""
    content = _content(path)
    sound = _sounding(_decoded(content))
    loudness = float(np.sqrt(np.mean(np.square(sound))))
    sound = np.clip(sound * (0.1 / loudness), -1, 1)  # recordings are equally loud, whatever microphones were
    _keep(target, np.round(sound * FULL_SCALE).astype(np.int16))
    return Ready(hashlib.sha256(content).hexdigest(), (len(sound), 0), _spectrum(sound))


def _spectrum(sound: np.ndarray) -> tuple[float, ...]:
    """The logarithm of the mean power in bands that grow with their frequency."""
    blocks = np.resize(sound, (max(1, len(sound) // BLOCK), BLOCK))
    power = np.mean(np.abs(np.fft.rfft(blocks)) ** 2, axis=0)
    edges = np.unique(np.geomspace(2, len(power), BANDS + 1).astype(int))
    return tuple(np.log(np.add.reduceat(power, edges[:-1]) + 1e-6).tolist())


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except FileNotFoundError as error:
        raise Unusable("not_found", "it is not there") from error
    except OSError as error:
        if is_machines_fault(error):
            raise
        raise Unusable("unreadable", f"it cannot be read: {error.strerror or error}") from error
    except TooLarge as error:
        raise Unusable("unreadable", str(error)) from error


def _keep(target: Path, array: np.ndarray) -> None:
    try:
        target.write_bytes(encode_npy(array))
    except OSError as error:
        raise WorkFailed(
            f"the temporary folder {target.parent} cannot be written: {error.strerror}. Free space there, or name "
            "another place in TMPDIR, and repeat the command."
        ) from error


def _pixels(content: bytes, seen: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    try:
        return read_pixels(content, seen)
    except Rejected as error:
        raise _unusable(error) from error


def _unusable(error: Rejected) -> Unusable:
    return Unusable("corrupt" if error.reason == "corrupt" else "unreadable", error.message)


def _reduced(image: Image.Image, longest: int) -> Image.Image:
    scale = longest / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image if scale >= 1 else image.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def _alpha(seen: np.ndarray, outline: Outline) -> np.ndarray:
    """uint8 (H, W): how much each pixel of (H, W, 4) belongs to the object."""
    size = (seen.shape[1], seen.shape[0])
    if outline.mask is not None:
        return _of_mask(outline.mask, outline.index, size)
    if outline.polygons:
        return _of_polygons(outline, size)
    if outline.runs:
        return _of_runs(outline, size)
    if outline.box is not None:
        return _of_box(outline.box, size)
    if seen[..., 3].min() == 255:
        raise Unusable("no_outline", "nothing says where its object is: nothing is transparent, no mask, no box")
    return seen[..., 3]


def _of_mask(path: Path, index: int | None, size: tuple[int, int]) -> np.ndarray:
    try:
        if index is None:
            mask = load_mask(path, None)
        else:
            with opened(path) as file, open_image(file) as image:
                mask = np.asarray(image) == index
    except (InputError, OSError, SyntaxError, ValueError) as error:
        raise Unusable("unreadable", f"its mask {path} cannot be read: {error}") from error
    if mask.shape != (size[1], size[0]):
        raise Unusable("unreadable", f"its mask {path} is of another size than the image")
    return np.where(mask, np.uint8(255), np.uint8(0))


def _of_polygons(outline: Outline, size: tuple[int, int]) -> np.ndarray:
    canvas = Image.new("L", size)
    for points in outline.polygons:
        ImageDraw.Draw(canvas).polygon(points, fill=255)
    return np.asarray(canvas)


def _of_runs(outline: Outline, size: tuple[int, int]) -> np.ndarray:
    if sum(outline.runs) != size[0] * size[1] or min(outline.runs) < 0:
        raise Unusable("unreadable", "its outline is one of an image of another size")
    values = np.resize(np.array([0, 255], np.uint8), len(outline.runs))
    return np.repeat(values, outline.runs).reshape(size[0], size[1]).T


def _of_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """A rectangle with round corners, as the corners of a box are hardly ever the object's."""
    scale = np.tile(size, 2) if max(box) <= 1 else 1
    x1, y1, x2, y2 = np.clip(np.array(box) * scale, 0, np.tile(size, 2)).tolist()
    if not (x1 < x2 and y1 < y2):
        raise Unusable("empty_outline", f"its box {box} holds no pixel of the image")
    x = (np.arange(size[0]) + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
    y = (np.arange(size[1]) + 0.5 - (y1 + y2) / 2) / ((y2 - y1) / 2)
    inside = np.abs(y)[:, None] ** BOX_SHARPNESS + np.abs(x)[None, :] ** BOX_SHARPNESS <= 1
    return np.where(inside, np.uint8(255), np.uint8(0))


def _decoded(content: bytes) -> np.ndarray:
    """float32 (S,), the beginning of a recording. Raises Unusable."""
    try:
        with AudioFile(content) as media:
            media.check_reaches(LONGEST_SECONDS)
            seconds = min(media.facts.duration, LONGEST_SECONDS)
            if seconds < SHORTEST_SECONDS:
                raise Unusable("too_short", f"its sound lasts {seconds:.3f} s")
            samples = media.audio_between(0.0, SAMPLE_RATE, int(seconds * SAMPLE_RATE)).samples
    except Rejected as error:
        raise _unusable(error) from error
    return samples - samples.mean()


def _sounding(sound: np.ndarray) -> np.ndarray:
    """Without the silence before the first and after the last part that is nearly as loud as the loudest."""
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    loudness = np.sqrt(np.mean(np.square(blocks), axis=1))
    if loudness.max() < QUIETEST:
        raise Unusable("silent", "it has no sound")
    active = np.flatnonzero(loudness >= loudness.max() * FLOOR_BELOW_LOUDEST)
    return sound[active[0] * BLOCK : (active[-1] + 1) * BLOCK]
