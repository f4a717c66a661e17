"""Pretraining on folders of images: what is done ahead of a step changes nothing and hides nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from manifests.errors import InputError
from training import pretrain as pretraining
from training.pretrain import checked_options, pretrain

TRUNK = {"blocks": [1, 1], "width": 8, "weights": "none"}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for label in ("bell", "owl"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(14):
            pixels = random.integers(0, 256, (24, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{number}.png")
    return tmp_path / "images"


def test_batches_made_ahead_give_the_weights_of_batches_made_in_turn(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = checked_options(encoder=TRUNK, image_size=16, epochs=2, batch_size=8, seed=3)
    ahead = pretrain(images, tmp_path / "ahead.safetensors", options)
    monkeypatch.setattr(pretraining, "_made_ahead", iter)
    assert pretrain(images, tmp_path / "turn.safetensors", options) == ahead
    assert (tmp_path / "turn.safetensors").read_bytes() == (tmp_path / "ahead.safetensors").read_bytes()


def test_an_image_that_cannot_be_read_is_named(images: Path, tmp_path: Path) -> None:
    for path in images.glob("owl/*.png"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"owl/\d+\.png"):
        pretrain(images, tmp_path / "out.safetensors", checked_options(encoder=TRUNK, image_size=16, batch_size=8))
    assert not (tmp_path / "out.safetensors").exists()


def test_images_are_upright_and_greys_of_16_bits_stay_grey(tmp_path: Path) -> None:
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    turned = Image.Exif()
    turned[0x0112] = 6
    for kind in ("png", "tif"):
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / f"a.{kind}", exif=turned)
        found = np.asarray(pretraining._read(str(tmp_path / f"a.{kind}")))
        assert (found == np.rot90(grey, -1)[..., None]).all()
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(InputError, match=r"b\.tif .*fractions.*sound image"):
        pretraining._read(str(tmp_path / "b.tif"))
