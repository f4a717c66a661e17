"""What a method needs of a clip beside image and audio, read from the companion tars and brought to the image's view.

A method names it in `needs`; what was not ingested is refused before the first step, with the flag that makes it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from manifests.annotations import Box
from manifests.views import ViewName, window
from pipeline.shards.store import ShardStore
from training.data.regions import in_view, usable

KINDS = frozenset({"proposals"})


class Beside:
    """Reads what of `needs` lies in companions."""

    def __init__(self, store: ShardStore, needs: frozenset[str]) -> None:
        self.store, self.kinds = store, needs & KINDS

    def check(self, row: int) -> None:
        """InputError where a companion that is needed was not made."""
        for kind in self.kinds:
            getattr(self.store.companions, kind)(row)

    def cut(self, row: int, part: Box, flipped: bool) -> dict[str, Tensor]:
        """Of the clip in a row, whose image shows `part` of the frame (fractions), perhaps mirrored."""
        if "proposals" not in self.kinds:
            return {}
        boxes = in_view(np.asarray(self.store.companions.proposals(row), np.float64), part, flipped)
        return {"proposals": torch.from_numpy(usable(boxes).astype(np.float32))}

    def shown(self, row: int, view: ViewName, size: int) -> dict[str, Tensor]:
        """Of the clip in a row as a test shows it to a model of this image size."""
        height, width = (self.store.table[side][row].as_py() for side in ("height", "width"))
        return self.cut(row, window(view, height, width, size).part, False)


def collated(clips: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Of single clips one batch, (B, longest, ...), filled up with 0."""
    names = clips[0] if clips else {}
    return {name: pad_sequence([clip[name] for clip in clips], batch_first=True) for name in names}


def collate_into(batch: dict[str, Any], clips: Sequence[dict[str, Any]]) -> None:
    """Put what lies beside the clips of a batch into it."""
    batch |= collated([clip["beside"] for clip in clips if "beside" in clip])
