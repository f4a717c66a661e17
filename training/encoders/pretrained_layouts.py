"""The pretrained encoders of `index embed` as trunks of a method: EfficientNet-Lite0 for images, YAMNet for sounds."""

from torch import Tensor

from index.encoders.efficientnet_lite import EfficientNetLite0
from index.encoders.yamnet import Yamnet, patches
from training.encoders.kept import hands_on_features
from training.encoders.vggish import LOG_POWER_SCALE


class EfficientNetTrunk(EfficientNetLite0):
    """(B, 3, H, W) normalised -> (B, 320, H / 32, W / 32) at stride 32, (B, 112, H / 16, W / 16) at 16; either sign."""

    @hands_on_features
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)


class YamnetTrunk(Yamnet):
    """(B, 1, 64, T), YAMNet's own bands divided by 12 like every front end -> (B, 1024), not negative.

    `data.audio_mean` and `audio_deviation` stay at their defaults, which this undoes. InputError for the spectrogram of
    another front end: nothing is made up for the bands that it lacks.
    """

    @hands_on_features
    def forward(self, audio: Tensor) -> Tensor:
        return super().forward(audio.squeeze(1) * LOG_POWER_SCALE)

    @hands_on_features
    def cells(self, audio: Tensor) -> Tensor:
        """(B, 1, 64, T) -> (B, 1024, 1, P): the patches as the cells of a sound."""
        heard = patches(audio.squeeze(1) * LOG_POWER_SCALE)
        vectors = self.features(heard.flatten(0, 1)).mean(dim=(2, 3)).unflatten(0, heard.shape[:2])
        return vectors.transpose(1, 2).unsqueeze(2)
