"""What the LVS family shares: two trunks, no heads, cosines of their post-ReLU features (hence between 0 and 1).

Not a method but the ground four of them stand on (LVS, vanilla LVS, HardPos, SSL-TIE), which differ in their losses.
"""

from torch import Tensor

from training.config import Encoders
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Prediction
from training.similarity import max_response, paired_maps, unit


class HeadlessMethod(BaseMethod):
    """Trunks straight into cosines; a subclass adds its loss."""

    def __init__(self, config: object, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> features (B, C, h, w), not negative and not normalised."""
        return self.image_trunk(image)

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> unit vectors (B, C)."""
        return unit(self.audio_trunk(audio))

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, auditory = self.visual(image), self.auditory(audio)
        maps = paired_maps(unit(visual), auditory)
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), auditory)
