"""Pretrained encoders for mining neighbours: a clip's image or sound as one vector, all behind one interface.

`index embed` opens two of them by name. Networks need torch, which is imported with their module and not before;
`index build-knn`, whose search must not meet torch, opens the weight-free descriptor only.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.shards.store import ShardStore

DESCRIPTOR, STORED = "descriptor", "embeddings"
MODULES = {
    "image": {
        DESCRIPTOR: "index.descriptors",
        **{f"resnet{depth}": "index.encoders.resnet" for depth in (18, 34, 50, 101, 152)},
        "efficientnet_lite0": "index.encoders.efficientnet_lite",
        "pretrained": "index.encoders.pretrained",
        "clip": "index.encoders.huggingface",
        STORED: "index.encoders.stored",
    },
    "audio": {
        DESCRIPTOR: "index.descriptors",
        "yamnet": "index.encoders.yamnet",
        "vggsound": "index.encoders.vggsound",
        "wav2clip": "index.encoders.wav2clip",
        "clap": "index.encoders.huggingface",
        STORED: "index.encoders.stored",
    },
}


class Encoder(Protocol):
    """One modality's encoder; `version` tells it and its weights apart from all others, and stands in meta.json."""

    version: str

    def check(self, store: "ShardStore", row: int) -> None:
        """Read what one clip needs; InputError when the shards lack it."""
        ...

    def vectors(self, store: "ShardStore", rows: Sequence[int], advance: Callable[[int], None]) -> "np.ndarray":
        """Clips at `rows` -> float32 (N, D) unit rows; `advance` is called with the number of clips done."""
        ...


def open_encoder(modality: str, name: str, weights: Path | None = None, device: str | None = None) -> Encoder:
    """An encoder for "image" or "audio" by name. `device`: "cpu" or "cuda" for networks, None for what there is.

    InputError for an unknown name, listing the known ones, and for weights that are missing, foreign or not wanted.
    """
    known = MODULES[modality]
    if name not in known:
        meant = did_you_mean(name, known)
        raise InputError(f"there is no {modality} encoder {name!r}.{meant} The known ones are {', '.join(known)}.")
    return import_module(known[name]).open_encoder(modality, name, weights, device)
