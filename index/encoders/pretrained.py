"""The files of `training pretrain` as encoders of images: a small residual trunk, pooled as its classifier pools it.

A file holds tensors under torchvision's names, and as metadata its architecture, labels and the side of the images it
was trained on. Whole frames are shown at that side, as in its training.
"""

from pathlib import Path

from torch import Tensor, nn

from index.encoders.imagenet import whole_frame
from index.encoders.network import Network, fingerprint, needed
from index.encoders.residual import Trunk
from index.encoders.tensor_file import read_tensors as read_sealed
from index.encoders.torch_device import pick_device
from index.encoders.weight_file import Layout, fitted, read_tensors, renamed, without_holder
from manifests.errors import InputError
from manifests.files.given import is_there, opened, understood
from manifests.files.plain_data import parse_json

USUAL_SIDE = 224  # of files that do not say
LAYOUT = Layout(
    "a file of `training pretrain`", "Give what `training pretrain --out FILE` wrote.", None, (("", ""),), (r"fc\.",)
)


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """As many entries as the trunk's last stage has channels, not negative."""
    path = needed(name, modality, weights, "a file of `training pretrain`")
    tensors, facts = read_weight_file(path)
    side, target = int(str(facts.get("image_size", USUAL_SIDE))), pick_device(device)
    trunk = _trunk(tensors, facts, path).eval().requires_grad_(False).to(target)

    def embed(image: Tensor) -> Tensor:
        return trunk(image).mean(dim=(2, 3))

    version = f"pretrained-{fingerprint(path)}"
    return Network(version, target, lambda store, row: (whole_frame(store, row, side),), embed)


def _trunk(tensors: dict[str, Tensor], facts: dict[str, object], path: Path) -> nn.Module:
    blocks, width = facts.get("blocks"), facts.get("width")
    if not isinstance(blocks, list) or not isinstance(width, int):
        raise InputError(f"{path} does not say which trunk it holds (blocks, width). {LAYOUT.advice}")
    trunk = Trunk(3, blocks, width)
    trunk.load_state_dict(fitted(renamed(tensors, path, LAYOUT), trunk.state_dict(), path, LAYOUT))
    return trunk


def read_weight_file(
    path: Path, otherwise: str = "give a file of `training pretrain`"
) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and metadata of a safetensors file, or the tensors of a torch state dict (metadata empty), without the
    names of what held the model.

    InputError when there is none: `otherwise` says what else to do, which differs by who asks.
    """
    if not is_there(path):
        raise InputError(f"no weights at {path}: correct the path, or {otherwise}.")
    if path.suffix != ".safetensors":
        return dict(without_holder(read_tensors(path))), {}
    with understood(path, "is not a readable safetensors file", "Make it again."), opened(path):  # no pipe, no device
        tensors, metadata = read_sealed(path)
        return dict(without_holder(tensors)), {name: parse_json(value) for name, value in metadata.items()}
