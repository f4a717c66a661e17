"""What a protocol makes of a raw map, for drawing: the enlarged map and the mask that was scored.

The protocol comes from the result file with all its fields, so the page shows the rule that made the number even where
a preset of that name has changed since.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from manifests.annotations import Box
from manifests.errors import InputError
from training.evaluation.boxes import box_mask
from training.evaluation.maps import minmax, upsample
from training.evaluation.postprocess import AUDIO_VISUAL, binarise, prepare
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.boxes import BOXES

Record = TypeVar("Record", bound=MapProtocol)


def as_protocol(fields: Mapping[str, Any], record: type[Record] = MapProtocol) -> Record:
    """The record a result file holds, back as a record; how frames were shown is none of its fields.

    InputError for a field or a rule that this version does not have.
    """
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    known.pop("view", None)
    try:
        return record(**known)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"A result under the protocol {fields.get('name')} cannot be drawn: its fields are not those of this "
            f"version ({error}). Update the program, or evaluate the run again with this one."
        ) from error


def drawn_heat(raw: np.ndarray, fields: Mapping[str, Any]) -> np.ndarray:
    """A raw map (h, w) enlarged by the protocol's rule to (224, 224) and stretched to [0, 1] for its own image."""
    protocol = as_protocol(fields)
    way = "bilinear" if scores_boxes(fields) else protocol.interpolation
    return minmax(upsample(raw[None], way, protocol.align_corners))[0]


def scores_boxes(fields: Mapping[str, Any]) -> bool:
    """Whether a protocol scores predicted boxes, and no map."""
    return fields["name"].partition("+")[0] == BOXES


def scored_mask(raw: np.ndarray, fields: Mapping[str, Any], truth_pixels: int, boxes: Sequence[Box] = ()) -> np.ndarray:
    """bool (224, 224): the pixels the protocol calls sounding, where so many of them are in any box of the truth.

    Under the protocol of boxes the pixels of `boxes`, fractions of what was shown.
    """
    if scores_boxes(fields):
        return box_mask(np.array(boxes, np.float64).reshape(-1, 4)).astype(bool)
    protocol = as_protocol(fields)
    prepared = prepare(raw[None], protocol)[AUDIO_VISUAL].maps
    return binarise(prepared, protocol, np.array([truth_pixels])).masks[0]
