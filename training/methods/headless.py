"""What the LVS family shares: two trunks, no heads, cosines of their post-ReLU features (hence between 0 and 1,
unless a subclass adds to them).

Not a method but the ground six of them stand on (LVS, vanilla LVS, HardPos, SSL-TIE, Hear the Flow, cross-modal
alignment), which differ in their losses. Two of these share one more thing, the loss that LVS released.
"""

from typing import NamedTuple

from torch import Tensor

from training.config import Encoders
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.losses import contrast, without_diagonal
from training.methods.contract import BaseMethod, Prediction
from training.similarity import (
    max_response,
    own_maps,
    paired_maps,
    soft_masked_response,
    tri_map_responses,
    unit,
)


class TriMap(NamedTuple):
    """Thresholds above and below which a cell is of the object and of the background, how soft they are, and the
    temperature of the softmax."""

    positive: float
    negative: float
    softness: float
    temperature: float


class HeadlessMethod(BaseMethod):
    """Trunks straight into cosines; a subclass adds its loss."""

    def __init__(self, config: object, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> features (B, C, h, w), not negative and not normalised unless a subclass says so."""
        return self.image_trunk(image)

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> (B, C), unit vectors unless a subclass needs their length."""
        return unit(self.audio_trunk(audio))

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, auditory = self.visual(image), self.auditory(audio)
        maps = paired_maps(unit(visual), auditory)
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), auditory)


def tri_map_contrast(maps: Tensor, given: TriMap) -> Tensor:
    """LVS's loss as released: each image's sounding cells against other sounds and its own background, of maps of every
    image with every sound (B, B, h, w) -> scalar. Where all cells are alike it is ln(B + 1)."""
    foreground, background = tri_map_responses(own_maps(maps), given.positive, given.negative, given.softness)
    others = without_diagonal(soft_masked_response(maps, given.positive, given.softness))
    return contrast(*(group / given.temperature for group in (foreground, others, background)))
