"""Where a trunk's first weights come from: torchvision's ImageNet release, a file, or the family's initialisation.

Files are safetensors written by `training pretrain` (architecture and class names in the metadata) or torchvision
state dicts saved with torch; neither can run code when loaded.
"""

import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from index.encoders.resnet import fetched
from index.encoders.weight_file import read_tensors, require_numbers
from manifests.errors import InputError
from training.config import Encoder
from training.encoders.resnet import AudioTrunk, ImageTrunk, Trunk, freeze, initialise
from training.encoders.vgg import Vgg16
from training.encoders.vggish import Vggish

_Trunk = TypeVar("_Trunk", bound=nn.Module)
OTHERWISE = "set encoders.image.weights to a file of `training pretrain` or to none"
RESNET18, RESNET34 = (2, 2, 2, 2), (3, 4, 6, 3)


def build_image_trunk(encoder: Encoder) -> ImageTrunk | Vgg16:
    """An image trunk with its first weights in place, frozen if the config says so. InputError for layout vggish."""
    if encoder.layout == "vggish":
        raise InputError("encoders.image.layout is vggish, a trunk for sounds; use resnet or vgg16.")
    return _prepared(Vgg16() if encoder.layout == "vgg16" else ImageTrunk(encoder), encoder)


def build_audio_trunk(encoder: Encoder) -> AudioTrunk | Vggish:
    """A sound trunk with its first weights in place, frozen if the config says so. InputError for layout vgg16."""
    if encoder.layout == "vgg16":
        raise InputError("encoders.audio.layout is vgg16, a trunk for images; use resnet or vggish.")
    return _prepared(Vggish() if encoder.layout == "vggish" else AudioTrunk(encoder), encoder)


def compile_trunks(method: nn.Module) -> None:
    """Let torch.compile fuse the trunks of a method, in place: names of weights stay, losses are computed as before.

    On GPUs their kernels are recorded once and replayed as CUDA graphs; whoever takes steps calls
    `torch.compiler.cudagraph_mark_step_begin` at the beginning of each.
    """
    for trunk in trunks_of(method):
        if isinstance(trunk, Trunk):
            trunk.features = torch.compile(trunk.features, mode="reduce-overhead")
        else:
            trunk.compile(mode="reduce-overhead")


def trunks_of(method: nn.Module) -> list[nn.Module]:
    """The trunks of a method and of its teachers."""
    return [part for part in method.modules() if isinstance(part, Trunk | Vgg16 | Vggish)]


def _prepared(trunk: _Trunk, encoder: Encoder) -> _Trunk:
    initialise(trunk)
    if encoder.weights == "imagenet" and encoder.layout != "resnet":
        load_into(trunk, imagenet_vgg16(encoder.layout).state_dict(), encoder.weights)
    elif encoder.weights != "none":
        load_into(trunk, read_weights(encoder.weights, encoder.blocks), encoder.weights)
    if encoder.frozen:
        freeze(trunk)
    return trunk


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


def read_weights(source: str, blocks: tuple[int, ...], otherwise: str = OTHERWISE) -> dict[str, Tensor]:
    """Tensors by torchvision name: of ImageNet for the ResNet with these blocks, or of a file.

    InputError when they cannot be had; `otherwise` says what to do without ImageNet's.
    """
    if source != "imagenet":
        return read_weight_file(Path(source))[0]
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


def imagenet_vgg16(layout: str) -> nn.Module:
    """torchvision's ImageNet-1k VGG-16; InputError for a layout that has no ImageNet weights."""
    from torchvision.models import VGG16_Weights, vgg16

    if layout != "vgg16":
        raise InputError(f"there are no ImageNet weights for layout {layout}; give its weights as a file, or none.")
    return fetched(vgg16, VGG16_Weights.IMAGENET1K_V1, OTHERWISE)


def read_weight_file(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and metadata of a safetensors file, or the tensors of a torch state dict (metadata empty)."""
    if not path.is_file():
        raise InputError(f"no weights at {path}. Give a file, `imagenet` or `none`.")
    if path.suffix != ".safetensors":
        return read_tensors(path), {}
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable safetensors file ({error}); make it again.") from error
    return tensors, {name: json.loads(value) for name, value in metadata.items()}
