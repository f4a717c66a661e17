"""From the samples of an image file to the colours that a viewer sees on an ordinary screen, as the file says of them.

Of what a PNG may say the first counts that is there: cICP (the words of video, as ffmpeg writes them), a profile, sRGB,
gAMA with cHRM. What a video's tags mean is the same in an image: see `colours`.
"""

import io
from collections.abc import Sequence
from typing import IO

import av
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from pipeline.media.colours import (
    BT709,
    DEEP_RGB,
    HLG,
    PQ,
    PRIMARIES,
    TRANSFERS,
    in_bt709,
    light_of,
    seen,
    to_bt709,
)

DEEPEST_GREY = 0xFFFF
SCREEN_GAMMA, USUAL_GAMMA = 2.2, 0.05  # of an ordinary screen; what differs by less is that of one, as libpng has it
USUAL_PRIMARIES = 0.1  # in the matrix to those of BT.709: so far apart are ordinary screens, and older television
MOST_CHUNKS = 1000


def of_ordinary_light(image: Image.Image) -> Image.Image:
    """An image that was opened and not yet decoded, or what is seen of it where a PNG's cICP says that its light or its
    primaries are those of high dynamic range, BT.2020 or Display P3. To decode it raises OSError, SyntaxError or
    ValueError where it is damaged."""
    if not isinstance(image, PngImagePlugin.PngImageFile) or image.fp is None:
        return image
    handle = image.fp
    primaries, transfer = _cicp(handle)
    light = light_of(TRANSFERS.get(transfer), PRIMARIES.get(primaries))
    if light is None and primaries != BT709:  # nothing said, or what only its other words tell
        return image
    has_alpha = image.has_transparency_data and not image.mode.startswith("I")
    image.load()  # a damaged one ends here
    if light is None or (light not in (PQ, HLG) and image.mode.startswith("I")):
        image.info.pop("icc_profile", None)
        image.info["srgb"] = 0
        return image
    samples = _deep(handle) if light in (PQ, HLG) else np.asarray(image.convert("RGB"))
    shown = Image.fromarray(seen(samples, light))
    if has_alpha:
        shown.putalpha(image.convert("RGBA").getchannel("A"))
    shown.info |= {name: image.info[name] for name in ("exif",) if name in image.info}
    return shown


def _cicp(handle: IO[bytes]) -> tuple[int, int]:
    """The numbers of primaries and transfer in ISO/IEC 23091-2; 2 where nothing is said. Pillow overlooks the chunk."""
    stood = handle.tell()
    handle.seek(8)
    try:
        for _ in range(MOST_CHUNKS):
            head = handle.read(8)
            if head[4:] == b"cICP":
                primaries, transfer, *_ = handle.read(4)
                return primaries, transfer
            if len(head) < 8 or head[4:] == b"IDAT":
                break
            handle.seek(int.from_bytes(head[:4]) + 4, 1)
        return 2, 2
    finally:
        handle.seek(stood)


def _deep(handle: IO[bytes]) -> np.ndarray:
    """uint16 (H, W, 3) of a PNG: Pillow makes 8 bits of colours of 16, too few for the dark of high dynamic range."""
    handle.seek(0)
    try:
        with av.open(handle, "r", format="png_pipe", options={"protocol_whitelist": "none"}) as container:
            container.streams.video[0].thread_count = 1
            return next(container.decode(video=0)).reformat(format=DEEP_RGB).to_ndarray()
    except (av.FFmpegError, StopIteration) as error:
        raise ValueError(f"no decoder reads its deep colours: {error}") from error


def in_colour(image: Image.Image) -> Image.Image:
    """RGBA where something of it may be transparent, else RGB. Pillow itself takes all greys of 16 bits for white."""
    if image.mode.startswith("I"):
        return _of_deep_grey(image)
    if image.mode == "F":
        raise ValueError("its samples are fractions, and nothing says which is white")
    if image.has_transparency_data:
        return _in_srgb(image.convert("RGBA"))
    return _in_srgb(image).convert("RGB")


def _of_deep_grey(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, in 16 or in 32."""
    samples = np.asarray(image).astype(np.int64)
    if samples.min() < 0 or samples.max() > DEEPEST_GREY:
        raise ValueError("its samples have more than 16 bits, and nothing says which is white")
    exponent = 1.0 if "srgb" in image.info or "icc_profile" in image.info else _exponent(image)
    grey = Image.fromarray(np.round(255 * (samples / DEEPEST_GREY) ** exponent).astype(np.uint8))
    if (clear := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(samples == clear, 0, 255).astype(np.uint8)))
    return grey.convert("RGB" if clear is None else "RGBA")


def _in_srgb(image: Image.Image) -> Image.Image:
    """In the colours of a screen, where the file says by a profile that its own are others: a camera's, those
    of print. A profile that is none says nothing."""
    profile = image.info.get("icc_profile")
    if image.mode == "1":
        return image
    if not profile:
        return image if "srgb" in image.info else _of_usual_primaries(_of_usual_gamma(image))
    image = image.convert("RGB") if image.mode in ("P", "PA") else image
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(own):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        shown = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return shown or image


def _of_usual_gamma(image: Image.Image) -> Image.Image:
    """As a screen needs the samples, where a PNG without sRGB says by gAMA that its own are of another gamma."""
    exponent = _exponent(image)
    if exponent == 1:
        return image
    image = image.convert("RGB") if image.mode in ("P", "PA") else image
    brighter = [round(255 * (sample / 255) ** exponent) for sample in range(256)]
    tables = [list(range(256)) if band == "A" else brighter for band in image.getbands()]
    return image.point([value for table in tables for value in table])


def _exponent(image: Image.Image) -> float:
    gamma = image.info.get("gamma") or 0.0
    is_usual = gamma <= 0 or abs(gamma * SCREEN_GAMMA - 1) < USUAL_GAMMA
    return 1.0 if is_usual else 1 / (gamma * SCREEN_GAMMA)


def _of_usual_primaries(image: Image.Image) -> Image.Image:
    """As a screen needs the samples, where a PNG says by cHRM that its red, green and blue are others."""
    said = image.info.get("chromaticity")
    matrix = None if said is None or image.mode in ("L", "LA") else _matrix(said)
    if matrix is None or np.abs(matrix - np.eye(3)).max() < USUAL_PRIMARIES:
        return image
    shown = Image.fromarray(in_bt709(np.asarray(image.convert("RGB")), matrix))
    if image.has_transparency_data:
        shown.putalpha(image.convert("RGBA").getchannel("A"))
    return shown


def _matrix(said: Sequence[float]) -> np.ndarray | None:
    """From the primaries of cHRM to those of BT.709; None where they are none, which says nothing."""
    white, *primaries = ((said[place], said[place + 1]) for place in range(0, 8, 2))
    try:
        matrix = to_bt709(primaries, white)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    return matrix if np.isfinite(matrix).all() else None
