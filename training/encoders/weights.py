"""Where a trunk's first weights come from: torchvision's ImageNet release, a file, or the family's initialisation.

Files are safetensors written by `training pretrain` (architecture and class names in the metadata) or torchvision
state dicts saved with torch; neither can run code when loaded.
"""

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from index.encoders.efficientnet_lite import EfficientNetLite0, read_classifier
from index.encoders.imagenet import IMAGENET
from index.encoders.pretrained import read_weight_file
from index.encoders.residual import Trunk
from index.encoders.resnet import fetched
from index.encoders.weight_file import require_numbers
from manifests.errors import InputError
from training.config import Encoder
from training.encoders.pretrained_layouts import EfficientNetTrunk, YamnetTrunk
from training.encoders.projection import ProjectedTrunk
from training.encoders.resnet import AudioTrunk, ImageTrunk, freeze, initialise
from training.encoders.vgg import Vgg16
from training.encoders.vggish import Vggish

_Trunk = TypeVar("_Trunk", bound=nn.Module)
AnyImageTrunk = ImageTrunk | Vgg16 | EfficientNetTrunk | ProjectedTrunk
AnyAudioTrunk = AudioTrunk | Vggish | YamnetTrunk | ProjectedTrunk
OTHERWISE = "set encoders.{}.weights to a file of `training pretrain` or to none"  # of image or audio
STRIDES = {1: 16, 2: 32}  # of EfficientNet-Lite0, by `last_stride`
RESNET18, RESNET34 = (2, 2, 2, 2), (3, 4, 6, 3)
IMAGE_LAYOUTS, AUDIO_LAYOUTS = ("resnet", "vgg16", "efficientnet_lite0"), ("resnet", "vggish", "yamnet")


def build_image_trunk(encoder: Encoder) -> AnyImageTrunk:
    """An image trunk with its first weights in place, frozen if the config says so. InputError for a sound's layout."""
    if encoder.layout not in IMAGE_LAYOUTS:
        raise InputError(
            f"encoders.image.layout is {encoder.layout}, a trunk for sounds; use {', '.join(IMAGE_LAYOUTS)}."
        )
    if encoder.layout == "efficientnet_lite0":
        return _prepared(EfficientNetTrunk(STRIDES[encoder.last_stride]), encoder, "image")
    return _prepared(Vgg16() if encoder.layout == "vgg16" else ImageTrunk(encoder), encoder, "image")


def build_audio_trunk(encoder: Encoder) -> AnyAudioTrunk:
    """A sound trunk with its first weights in place, frozen if the config says so. InputError for an image's layout."""
    if encoder.layout not in AUDIO_LAYOUTS:
        raise InputError(
            f"encoders.audio.layout is {encoder.layout}, a trunk for images; use {', '.join(AUDIO_LAYOUTS)}."
        )
    if encoder.layout == "yamnet":
        return _prepared(YamnetTrunk(), encoder, "audio")
    return _prepared(Vggish() if encoder.layout == "vggish" else AudioTrunk(encoder), encoder, "audio")


def compile_trunks(method: nn.Module) -> None:
    """Let torch.compile fuse the trunks of a method, in place: names of weights stay, losses are computed as before.

    On GPUs their kernels are recorded once and replayed as CUDA graphs; whoever takes steps calls
    `torch.compiler.cudagraph_mark_step_begin` at the beginning of each.
    """
    for trunk in trunks_of(method):
        if isinstance(trunk, Trunk):
            trunk.features = torch.compile(trunk.features, mode="reduce-overhead", dynamic=False)
        else:
            trunk.compile(mode="reduce-overhead", dynamic=False)


def trunks_of(method: nn.Module) -> list[nn.Module]:
    """The trunks of a method and of its teachers."""
    kinds = Trunk | Vgg16 | Vggish | EfficientNetLite0 | YamnetTrunk
    return [part for part in method.modules() if isinstance(part, kinds)]


def _prepared(trunk: _Trunk, encoder: Encoder, of: str) -> _Trunk | ProjectedTrunk:
    initialise(trunk)
    if encoder.weights != "none":
        load_into(trunk, first_weights(encoder, OTHERWISE.format(of)), encoder.weights)
    if encoder.frozen:
        freeze(trunk)
    return trunk if encoder.projection is None else ProjectedTrunk(trunk, encoder.projection)


def first_weights(encoder: Encoder, otherwise: str) -> dict[str, Tensor]:
    """Tensors by the names of the encoder's layout. InputError as `read_weights`."""
    if encoder.layout == "efficientnet_lite0":
        return read_classifier(encoder.weights)
    if encoder.weights == IMAGENET and encoder.layout != "resnet":
        return imagenet_vgg16(encoder.layout, otherwise).state_dict()
    return read_weights(encoder.weights, encoder.blocks, otherwise)


def load_into(trunk: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Copy weights into a trunk; raises InputError naming what is missing or has another shape."""
    mine = trunk.state_dict()
    missing = sorted(name for name in mine if name not in state and not name.endswith("num_batches_tracked"))
    if missing:
        raise InputError(
            f"weights {source} lack {len(missing)} of the trunk's {len(mine)} tensors, first {missing[0]}: they were "
            "made for another architecture. Give the encoder the same `blocks` the weights were trained with."
        )
    own = {name: state[name] for name in mine if name in state}
    wrong = [name for name in own if mine[name].shape != state[name].shape]
    if wrong:
        shapes = f"{tuple(state[wrong[0]].shape)} there, {tuple(mine[wrong[0]].shape)} here"
        raise InputError(f"weights {source} do not fit the trunk: {wrong[0]} is {shapes}.")
    require_numbers(source, own)
    trunk.load_state_dict(mine | own)


def read_weights(source: str, blocks: tuple[int, ...], otherwise: str = OTHERWISE.format("image")) -> dict[str, Tensor]:
    """Tensors by torchvision name: of ImageNet for the ResNet with these blocks, or of a file.

    InputError when they cannot be had; `otherwise` says what to do without them.
    """
    if source != IMAGENET:
        return read_weight_file(Path(source), otherwise)[0]
    return imagenet_classifier(blocks, otherwise).state_dict()


def imagenet_classifier(blocks: tuple[int, ...], otherwise: str) -> nn.Module:
    """torchvision's ImageNet-1k ResNet with its classifier; fetched once by torchvision into its cache."""
    from torchvision.models import ResNet18_Weights, ResNet34_Weights, resnet18, resnet34

    known = {RESNET18: (resnet18, ResNet18_Weights), RESNET34: (resnet34, ResNet34_Weights)}
    if blocks not in known:
        raise InputError(
            f"ImageNet weights exist for blocks {list(RESNET18)} and {list(RESNET34)}, not for {list(blocks)}: "
            f"{otherwise}."
        )
    build, weights = known[blocks]
    return fetched(build, weights.IMAGENET1K_V1, otherwise)


def imagenet_vgg16(layout: str, otherwise: str) -> nn.Module:
    """torchvision's ImageNet-1k VGG-16; InputError for a layout that has no ImageNet weights."""
    from torchvision.models import VGG16_Weights, vgg16

    if layout != "vgg16":
        raise InputError(f"there are no ImageNet weights for layout {layout}; give its weights as a file, or none.")
    return fetched(vgg16, VGG16_Weights.IMAGENET1K_V1, otherwise)
