"""The display matrix that comes with a frame, whatever else comes with it.

PyAV names what ffmpeg attaches to a frame, and raises for kinds that its list lacks: EXIF, a view of several, those of
an ffmpeg to come. A frame that had one could not be asked for its matrix either. Kinds without a name get a number.
"""

import av
import numpy as np
from av.sidedata.sidedata import Type


def _numbered(kinds: type[Type], number: object) -> Type:
    kind = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{number}", number
    return kinds._value2member_map_.setdefault(number, kind)  # pyrefly: ignore[bad-return]  # the same each time


Type._missing_ = classmethod(_numbered)  # pyrefly: ignore[bad-assignment]  # the enumeration's own way to take others


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """int64 (3, 3): a stored (x, y) is shown at x' = a x + c y, y' = b x + d y with rows (a, b, _), (c, d, _), in units
    of 1/65536. None where nothing turns the frame.

    It may be the container's (phones) or stand in the image itself: the decoders of JPEG and PNG make one of an EXIF
    orientation, and ffmpeg and its players turn a video's frames by it as they do by the container's.
    """
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # pyrefly: ignore[no-matching-overload]  # a Mapping by key
    return None if matrix is None else np.frombuffer(matrix, np.int32).reshape(3, 3).astype(np.int64)
