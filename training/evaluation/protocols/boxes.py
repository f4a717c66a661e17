"""Predicted boxes as they are: nothing to enlarge, to scale or to threshold (the proposal-based paradigm)."""

from dataclasses import dataclass
from typing import ClassVar

from training.evaluation.protocol import MapProtocol

BOXES = "boxes"


@dataclass(frozen=True)
class BoxProtocol(MapProtocol):
    """The union of a clip's boxes against the truth; confidence is the highest score of a box."""

    choices: ClassVar[tuple[str, ...]] = ("iou_cut",)

    @property
    def asks(self) -> str:
        return BOXES


PROTOCOLS = (
    BoxProtocol(
        BOXES, "Xuan et al., CVPR 2022, section 4: the box itself is the answer (no code public)",
        interpolation="none", scaling="none", stretch=False, rule="fixed", confidence="maximum",
    ),
)  # fmt: skip
