"""Supervised pretraining of the image trunk on folders of labelled images: the stand-in for ImageNet weights.

Every paper of the family starts its image trunk from ImageNet. Where those weights cannot be had, or the trunk is a
smaller one, a short classification of `<folder>/<label>/*.jpg` gives it eyes. The file written here is what
`encoders.image.weights` and `evaluation.object_prior.weights` take: safetensors with torchvision's names, classifier
included, architecture and labels in the metadata.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2 as transforms

from index.encoders.imagenet import DEVIATION, MEAN
from index.encoders.pretrained import read_weight_file
from index.encoders.tensor_file import write_tensors
from manifests.errors import InputError
from manifests.files.given import opened, understood
from manifests.files.images import open_image
from manifests.files.outputs import check_output
from pipeline.console import progress
from pipeline.media.still import rgb_on_white, turned_upright
from training.config import Encoder, Section
from training.encoders.resnet import ImageTrunk, initialise
from training.settings.limits import LARGEST_IMAGE, LARGEST_SEED
from training.settings.mistakes import lines_of

HELD_OUT = 0.1


class Classifier(nn.Module):
    """A trunk, global average pooling and a linear layer, named as in torchvision's ResNet: (B, 3, S, S) -> (B, K).

    The mean makes every cell of an object vote, so features cover objects. (The maximum classifies better after as
    many steps and localizes far worse afterwards: one telling cell is enough for it.)
    """

    def __init__(self, trunk: ImageTrunk, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.fc = nn.Linear(trunk.dimension, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.trunk(image).mean(dim=(2, 3)))

    def torchvision_state(self) -> dict[str, Tensor]:
        """Tensors under the names a torchvision ResNet would give them."""
        return {**self.trunk.state_dict(), "fc.weight": self.fc.weight.detach(), "fc.bias": self.fc.bias.detach()}


class Options(Section):
    """How to pretrain."""

    encoder: Encoder = Encoder()
    image_size: PositiveInt = Field(224, le=LARGEST_IMAGE)
    epochs: PositiveInt = 10
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-3
    seed: int = Field(0, ge=-LARGEST_SEED, le=LARGEST_SEED)


def checked_options(**given: Any) -> Options:
    """Options as the command line gives them. InputError with a line for each mistake."""
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        raise InputError("These options cannot be used:\n" + "\n".join(lines_of(error, Options))) from error


def check_place(images: Path, out: Path) -> None:
    """InputError when `out` is there and is no file of `pretrain`."""
    check_output(out, {"--src": images}, _is_pretrained, "training pretrain")


def _is_pretrained(path: Path) -> bool:
    try:
        return path.is_file() and {"blocks", "width", "labels"} <= read_weight_file(path)[1].keys()
    except InputError:
        return False


def pretrain(images: Path, out: Path, options: Options) -> dict[str, float]:
    """Train on `images/<label>/*`, write `out` (safetensors); returns training loss and held-out accuracy."""
    torch.manual_seed(options.seed)
    train, held_out, labels = _datasets(images, options)
    trunk = ImageTrunk(options.encoder)
    initialise(trunk)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # pyrefly: ignore[no-matching-overload]  # torch's own stub lacks memory_format
    model = Classifier(trunk, len(labels)).to(device, memory_format=torch.channels_last)
    loss = _fit(model, train, options, device)
    accuracy = _accuracy(model, held_out, options.batch_size, device)
    shape = {"blocks": options.encoder.blocks, "width": options.encoder.width, "image_size": options.image_size}
    metadata = {**shape, "labels": labels, "accuracy": accuracy, "pictures": len(train)}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(out, model.torchvision_state(), {name: json.dumps(value) for name, value in metadata.items()})
    return {"loss": loss, "held_out_accuracy": accuracy, "images": len(train), "labels": len(labels)}


def _datasets(images: Path, options: Options) -> tuple[Subset, Subset, list[str]]:
    """Training images (augmented), held-out images (resized), labels."""
    normal = [transforms.ToDtype(torch.float32, scale=True), transforms.Normalize(MEAN, DEVIATION)]
    size = options.image_size
    augmented = transforms.Compose(
        [
            transforms.ToImage(),
            transforms.RandomResizedCrop(size, scale=(0.6, 1.0), antialias=True),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.2, 0.2, 0.2),
            *normal,
        ]
    )
    plain = transforms.Compose([transforms.ToImage(), transforms.Resize([size, size], antialias=True), *normal])
    with understood(images, "is not a folder of labelled images (<label>/<image>.jpg)"):
        views = [ImageFolder(str(images), made_of, loader=_read) for made_of in (augmented, plain)]
    order = torch.randperm(len(views[0]), generator=torch.Generator().manual_seed(options.seed)).tolist()
    kept = max(1, round(HELD_OUT * len(order)))
    if len(order) - kept < options.batch_size:
        raise InputError(
            f"{images} holds {len(order)} images; {kept} of them are held out, and the rest fill no batch of "
            f"{options.batch_size}. Lower --batch-size, or give more images."
        )
    return Subset(views[0], order[kept:]), Subset(views[1], order[:kept]), views[0].classes


def _read(path: str) -> Image.Image:
    """An image as ingest sees it: upright, in RGB. InputError where it is none, or too large."""
    remedy = "Remove it, or put a sound image in its place."
    with understood(path, remedy=remedy), opened(path) as handle, open_image(handle) as image:
        return Image.fromarray(rgb_on_white(turned_upright(image)))


def _fit(model: Classifier, train: Subset, options: Options, device: torch.device) -> float:
    loader = DataLoader(train, options.batch_size, shuffle=True, drop_last=True)
    steps = options.epochs * len(loader)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=max(1, steps))
    loss = torch.zeros(())
    with progress("pretraining the image trunk", steps, "steps") as advance:
        for _ in range(options.epochs):
            for image, label in _made_ahead(loader):
                scores = model(image.to(device, memory_format=torch.channels_last))
                loss = F.cross_entropy(scores, label.to(device))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
                advance(1, f"loss {loss.item():.4g}")
    return loss.item()


def _made_ahead(batches: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
    """The same batches, each made beside the step before it. One thread makes all: random numbers keep their order."""
    remaining = iter(batches)
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, remaining, None)
        while (batch := coming.result()) is not None:
            coming = maker.submit(next, remaining, None)
            yield batch


@torch.no_grad()
def _accuracy(model: Classifier, held_out: Subset, batch_size: int, device: torch.device) -> float:
    model.eval()
    right = sum(
        int((model(image.to(device)).argmax(dim=1).cpu() == label).sum())
        for image, label in DataLoader(held_out, batch_size)
    )
    return right / len(held_out)
