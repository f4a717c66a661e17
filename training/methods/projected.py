"""What EZ-VSL and FNAC share: two trunks, each with one head into a common space where maps are cosines in [-1, 1].

Not a method but the network both stand on; they differ in their losses, and in the dropout before the heads.
"""

from torch import Tensor, nn

from training.config import Encoders
from training.encoders.dropout import Dropout
from training.encoders.resnet import initialise
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Prediction
from training.similarity import max_response, paired_maps, unit


class ProjectedMethod(BaseMethod):
    """Trunks, dropout, a 1 x 1 convolution and a linear layer to `dimension`, unit length; a subclass adds its loss."""

    def __init__(
        self,
        config: object,
        encoders: Encoders,
        dimension: int,
        image_dropout: float = 0.0,
        audio_dropout: float = 0.0,
    ) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        self.image_dropout, self.audio_dropout = Dropout(image_dropout), Dropout(audio_dropout)
        self.image_head = nn.Conv2d(self.image_trunk.dimension, dimension, 1)
        self.audio_head = nn.Linear(self.audio_trunk.dimension, dimension)
        initialise(self.image_head)
        initialise(self.audio_head)

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> unit features (B, D, h, w)."""
        return unit(self.image_head(self.image_dropout(self.image_trunk(image))))

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> unit vectors (B, D)."""
        return unit(self.audio_head(self.audio_dropout(self.audio_trunk(audio))))

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, auditory = self.visual(image), self.auditory(audio)
        maps = paired_maps(visual, auditory)
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), auditory)
