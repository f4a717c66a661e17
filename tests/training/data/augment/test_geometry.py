"""Geometry of images and of the maps that belong to them, against torchvision and closed forms."""

import pytest
import torch
from smooth_images import SIZE, images
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from training.data.augment.geometry import Geometry

SILENCE = -16.0  # of a made-up front end


def still(**changes) -> Geometry:
    return Geometry(**({"angles": torch.zeros(3), "warp_scale": 1.0, "canvas_scale": 1.0, "mirrored": False} | changes))


def test_geometry_that_does_nothing_is_the_identity_on_images_and_maps() -> None:
    image, maps = images(3), torch.randn(3, 7, 7)
    assert torch.equal(still().on_images(image), image)
    assert torch.equal(still().on_maps(maps, (SIZE, SIZE), (7, 7)), maps)


def test_geometry_mirrors_and_turns_by_right_angles() -> None:
    image = images(3)
    assert torch.equal(still(mirrored=True).on_images(image), image.flip(-1))
    quarter = still(angles=torch.tensor([90.0, 0.0, -90.0])).on_images(image)
    assert torch.allclose(quarter[0], image[0].rot90(1, dims=(1, 2)), atol=1e-4)
    assert torch.allclose(quarter[1], image[1], atol=1e-4)
    assert torch.allclose(quarter[2], image[2].rot90(-1, dims=(1, 2)), atol=1e-4)


def test_geometry_turns_each_image_as_torchvision_does() -> None:
    image, angles = images(3), torch.tensor([17.0, -30.0, 5.0])
    turned = still(angles=angles).on_images(image)
    for number, angle in enumerate(angles.tolist()):
        expected = reference.rotate(image[number], angle, InterpolationMode.BILINEAR)
        inner = slice(2, -2)  # at the border of the fill torchvision masks instead of blending with zeros
        difference = (turned[number] - expected)[:, inner, inner].abs()
        assert float(difference.mean()) < 2e-3
    tall = torch.nn.functional.interpolate(image, (SIZE, 2 * SIZE))
    expected = reference.rotate(tall[0], 17.0, InterpolationMode.BILINEAR)
    assert float((still(angles=angles).on_images(tall)[0] - expected).abs().mean()) < 4e-3


def test_geometry_is_as_exact_under_autocast() -> None:
    image, geometry = images(3), still(angles=torch.tensor([17.0, -30.0, 5.0]), warp_scale=0.5)
    expected = geometry.on_images(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(geometry.on_images(image), expected)


def test_scale_applied_twice_ends_at_a_quarter_and_once_at_a_half() -> None:
    white = torch.ones(3, 1, 64, 64)
    twice = still(warp_scale=0.5, canvas_scale=0.5).on_images(white)
    once = still(canvas_scale=0.5).on_images(white)
    assert twice.shape == once.shape == (3, 1, 32, 32)
    assert float(once.mean()) == 1.0
    assert float(twice.mean()) == pytest.approx(0.25, abs=0.02)
    assert float(twice[0, 0, 12:20, 12:20].min()) == 1.0
    assert float(twice[0, 0, :6].max()) == 0.0


def test_a_map_moves_with_the_image_it_belongs_to() -> None:
    """A blob on a map and the same blob on the image end in the same place (as released, neither is smoothed)."""
    geometry = still(angles=torch.tensor([25.0, -10.0, 0.0]), warp_scale=0.5, canvas_scale=0.5, mirrored=True)
    y, x = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    maps = torch.exp(-((y - 3) ** 2 + (x - 4) ** 2) / 12).expand(3, -1, -1)
    image = torch.nn.functional.interpolate(maps.unsqueeze(1), (224, 224), mode="bilinear")
    moved = geometry.on_images(image).squeeze(1)
    moved = torch.nn.functional.avg_pool2d(moved.unsqueeze(1), 16).squeeze(1)
    mine = geometry.on_maps(maps, (224, 224), (7, 7))
    assert mine.shape == (3, 7, 7)
    assert torch.equal(mine.flatten(1).argmax(dim=1), moved.flatten(1).argmax(dim=1))


def test_drawn_geometry_follows_the_published_ranges() -> None:
    torch.manual_seed(0)
    drawn = [Geometry.draw(4, degrees=30) for _ in range(400)]
    angles = torch.stack([geometry.angles for geometry in drawn])
    assert torch.equal(angles, angles.round())
    assert (float(angles.min()), float(angles.max())) == (-30.0, 30.0)
    assert sum(g.canvas_scale == 0.5 for g in drawn) == pytest.approx(200, abs=50)
    assert sum(g.mirrored for g in drawn) == pytest.approx(200, abs=50)
    assert all(g.warp_scale == g.canvas_scale for g in drawn)
    assert all(Geometry.draw(4, degrees=30, twice=False).warp_scale == 1.0 for _ in range(10))


@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_of_an_image_at_least_one_pixel_is_left(scale: float) -> None:
    changed = Geometry.draw(2, degrees=0, scale=scale, scale_chance=1.0).on_images(torch.rand(2, 3, 8, 6))
    assert changed.shape == ((2, 3, 1, 1) if scale < 1 else (2, 3, 8, 6))
