"""VGG-16 as an image trunk: torchvision's convolutions up to conv5_3, before its ReLU and before the last pool.

SSPL's image trunk (frozen, ImageNet weights). Unlike the residual trunks' its features have either sign, so cosines
lie in [-1, 1]. Parameter names are torchvision's, so its weights load as they are.
"""

from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from training.encoders.kept import hands_on_features

CONV5_3 = 29  # layers of torchvision's `features` up to and including conv5_3


class Vgg16(nn.Module):
    """(B, 3, H, W) -> (B, 512, H / 16, W / 16), signed; 224 x 224 pixels give 14 x 14 cells."""

    dimension = 512

    def __init__(self) -> None:
        super().__init__()
        self.features = make_layers(cfgs["D"])[:CONV5_3]

    @hands_on_features
    def forward(self, image: Tensor) -> Tensor:
        return self.features(image)
