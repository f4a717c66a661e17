"""Encoders of the project's own making: files of `training pretrain`, and vectors that lie in a folder already."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock, ResNet

from index.embeddings import Embeddings
from index.encoders import open_encoder
from index.encoders.imagenet import whole_frame
from manifests.errors import InputError
from pipeline.shards.store import ShardStore


@pytest.fixture
def store(make_shards: Callable[..., Path]) -> ShardStore:
    return ShardStore.open(make_shards(splits=["train"] * 3))


def pretrained(path: Path, **facts: object) -> ResNet:
    """A file as `training pretrain` writes it, of torchvision's own network."""
    torch.manual_seed(0)
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5).eval()
    told = {"blocks": [1, 1, 1, 1], "width": 64, "labels": list("abcde")} | facts
    save_file(model.state_dict(), path, {name: json.dumps(value) for name, value in told.items() if value is not None})
    return model


@pytest.mark.parametrize(("told", "side"), [(64, 64), (None, 224)])
def test_a_pretrained_file_sees_what_its_classifier_saw(
    store: ShardStore, tmp_path: Path, told: int | None, side: int
) -> None:
    model = pretrained(tmp_path / "own.safetensors", image_size=told)
    encoder = open_encoder("image", "pretrained", tmp_path / "own.safetensors", "cpu")
    found = encoder.vectors(store, range(3), lambda _: None)
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = model(torch.from_numpy(np.stack([whole_frame(store, row, side) for row in range(3)])))
    np.testing.assert_allclose(found, F.normalize(expected, dim=1), atol=1e-5)
    assert encoder.version.startswith("pretrained-")


def test_files_that_no_pretraining_wrote(tmp_path: Path) -> None:
    pretrained(tmp_path / "mute.safetensors", blocks=None)
    with pytest.raises(InputError, match="does not say which trunk it holds"):
        open_encoder("image", "pretrained", tmp_path / "mute.safetensors")
    pretrained(tmp_path / "other.safetensors", blocks=[2, 1])
    with pytest.raises(InputError, match=r"is not a file of `training pretrain`: .* missing"):
        open_encoder("image", "pretrained", tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="needs --image-weights: a file of `training pretrain`"):
        open_encoder("image", "pretrained")


def test_one_modality_takes_the_vectors_of_another_folder(
    make_shards: Callable[..., Path], run: Callable[..., str], tmp_path: Path
) -> None:
    make_shards(splits=["train"] * 4 + ["test"])
    run("embed", "--out", "first", "--split", "train")
    printed = run("embed", "--image-encoder", "embeddings", "--image-weights", "first", "--out", "second")
    first, second = Embeddings.open(tmp_path / "first"), Embeddings.open(tmp_path / "second")
    assert "descriptor-v1 [" in printed
    np.testing.assert_array_equal(first.image, second.image)
    with pytest.raises(InputError, match=r"first has no vector of 1 of the 1 clips, first clip00004.*--list"):
        run("embed", "--split", "test", "--audio-encoder", "embeddings", "--audio-weights", "first", "--out", "third")
    make_shards("others", splits=["train"] * 3, seed=1)
    with pytest.raises(InputError, match="was made from other shards"):
        run("embed", "--shards", "others", "--image-encoder", "embeddings", "--image-weights", "first", "--out", "x")
    with pytest.raises(InputError, match="needs --image-weights: a folder of embeddings"):
        open_encoder("image", "embeddings")
