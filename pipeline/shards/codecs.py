"""A record's members as bytes and back: images as JPEG, arrays as `.npy` without pickle, waveforms as FLAC.

Equal input gives equal bytes, and no content can run code when it is read.
"""

import io
from functools import lru_cache
from typing import TYPE_CHECKING

from manifests.files import images

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

JPEG_QUALITY = 90
NPY_PREAMBLE = 10  # bytes of magic, version and header length in a .npy of version 1.0
FULL_SCALE = 32767  # of a 16-bit sample


def encode_jpeg(frame: "np.ndarray") -> bytes:
    """uint8 (H, W, 3) RGB -> JPEG bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def decode_image(content: bytes) -> "np.ndarray":
    """JPEG or PNG bytes -> uint8 (H, W, 3) RGB. ValueError or OSError for anything else."""
    import numpy as np

    with open_image(content) as image:
        return np.asarray(image.convert("RGB"))


def open_image(content: bytes) -> "Image.Image":
    """An image, not decoded yet. ValueError when the bytes are none, or claim more pixels than a record has."""
    return images.open_image(io.BytesIO(content))


def encode_npy(array: "np.ndarray") -> bytes:
    """An array as the bytes of a .npy file, without pickle."""
    import numpy as np

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def decode_npy(content: bytes) -> "np.ndarray":
    """`.npy` bytes -> a read-only view of the array in them; pickled objects are refused (ValueError)."""
    import numpy as np

    end = NPY_PREAMBLE + int.from_bytes(content[NPY_PREAMBLE - 2 : NPY_PREAMBLE], "little")
    shape, dtype = _npy_header(content[:end])
    return np.frombuffer(content, dtype, offset=end).reshape(shape)


@lru_cache(64)
def _npy_header(header: bytes) -> "tuple[tuple[int, ...], np.dtype]":
    """Shape and type; spectrograms of one front end share their header, and parsing it takes longer than reading."""
    import numpy as np

    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"expected a .npy of version 1.0, got {version}")
    shape, column_major, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject or column_major:
        raise ValueError(f"expected a plain row-major array, got dtype {dtype}, column_major {column_major}")
    return shape, dtype


def encode_flac(samples: "np.ndarray", rate: int) -> bytes:
    """float32 (T,) mono in [-1, 1] as 16-bit FLAC; louder samples are clipped. Equal input gives equal bytes."""
    import av
    import numpy as np
    from av.codec.context import Flags

    buffer = io.BytesIO()
    whole = np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
    with av.open(buffer, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=rate, layout="mono", format="s16")
        stream.codec_context.flags |= Flags.bitexact
        frame = av.AudioFrame.from_ndarray(whole[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux([*(stream.encode(frame) if len(whole) else ()), *stream.encode(None)])
    return buffer.getvalue()


def decode_flac(content: bytes) -> "np.ndarray":
    """16-bit mono FLAC -> float32 (T,) in [-1, 1]."""
    import av
    import numpy as np

    with av.open(io.BytesIO(content), "r", format="flac") as container:
        pieces = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    whole = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return whole.astype(np.float32) / FULL_SCALE
