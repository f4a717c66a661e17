"""What Hugging Face's `datasets` must be told of a shard folder: the features of its tars.

Left alone it guesses them from the first five clips, and takes a list that is empty there (`flags`), or a label that is
unknown, for one that never holds anything; the first clip that has one then ends `load_dataset` with an error.
"""

from typing import Any

from pipeline.shards.joined import Folders, open_shards
from pipeline.shards.record import FACTS, FRAME, SPECTROGRAM

TEXT: dict[str, Any] = {"dtype": "string", "_type": "Value"}
_OF_TYPE: dict[type, str] = {int: "int64", float: "float64", bool: "bool"}


def shard_features(shards: Folders) -> dict[str, Any]:
    """Features of a finished folder's tars, or of several folders', for `datasets.Features.from_dict`.

    InputError as `open_shards`.
    """
    facts = open_shards(shards).facts(0)
    row = {"feature": {"dtype": "float16", "_type": "Value"}, "_type": "Sequence"}
    return {
        FRAME: {"_type": "Image"},
        FACTS: {name: _feature(value) for name, value in facts.items()},
        SPECTROGRAM: {"feature": row, "_type": "Sequence"},
        "__key__": TEXT,
        "__url__": TEXT,
    }


def _feature(value: object) -> dict[str, Any]:
    """Of a fact with this value; what is unknown is a text wherever it is known."""
    if isinstance(value, list):
        return {"feature": TEXT, "_type": "Sequence"}
    return {"dtype": _OF_TYPE.get(type(value), "string"), "_type": "Value"}
