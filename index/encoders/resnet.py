"""torchvision's ImageNet ResNets: pooled features before the classifier, of the image as torchvision evaluates it.

The "supervised" image neighbours of cross-modal alignment (Senocak et al., ICCV 2023; depth not published). He et
al., CVPR 2016. Weights: torchvision's own IMAGENET1K_V1 (fetched once into its cache), or a state dict of the same
names, with or without `fc`.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_builder, get_model_weights

from index.clips import image
from index.encoders.network import Network, fingerprint
from index.encoders.torch_device import pick_device
from index.encoders.weight_file import Layout, fitted, read_renamed
from manifests.errors import InputError
from pipeline.shards.store import ShardStore


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """`name`: resnet18, 34, 50, 101 or 152; vectors have 512 entries up to resnet34 and 2048 from resnet50."""
    released = get_model_weights(name)["IMAGENET1K_V1"]
    if weights is None:
        advice = f"give a local copy with --{modality}-weights"
        model, version = fetched(get_model_builder(name), released, advice), f"{name}-imagenet1k-v1"
        model.fc = nn.Identity()
    else:
        model, version = _from_file(name, weights), f"{name}-{fingerprint(weights)}"
    target, transform = pick_device(device), released.transforms()

    def read(store: ShardStore, row: int) -> tuple[np.ndarray]:
        return (transform(image(store, row)).numpy(),)

    return Network(version, target, read, model.eval().requires_grad_(False).to(target))


def _from_file(name: str, path: Path) -> nn.Module:
    model = get_model(name, weights=None)
    model.fc = nn.Identity()
    layout = Layout(f"a torchvision {name}", "Name the ResNet it is.", None, (("", ""),), (r"fc\.",))
    model.load_state_dict(fitted(read_renamed(path, layout), model.state_dict(), path, layout))
    return model


def fetched(build: Callable[..., nn.Module], weights: WeightsEnum, advice: str) -> nn.Module:
    """A torchvision model with its released weights, from torchvision's cache or fetched into it.

    InputError when neither works: where the file belongs, or else `advice`.
    """
    try:
        return build(weights=weights)
    except (URLError, OSError) as error:
        raise InputError(
            f"torchvision could not fetch the ImageNet weights ({error}). Put {Path(weights.url).name} "
            f"into {Path(torch.hub.get_dir()) / 'checkpoints'}, or {advice}."
        ) from error
