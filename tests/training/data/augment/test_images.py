"""Batched augmentation of images against torchvision image by image, and against closed forms."""

import math
from typing import get_args

import pytest
import torch
from smooth_images import SIZE, images, per_image, uint8
from torchvision.transforms import v2 as torchvision_transforms
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from manifests.errors import InputError
from training.config import AudioPolicyName, ColourName, Data, ImagePolicyName
from training.data.augment import (
    AUDIO_POLICIES,
    COLOURS,
    IMAGE_POLICIES,
    audio_view,
    colour_jitter,
    image_view,
)
from training.data.augment.images import (
    brightness,
    contrast,
    draw_crops,
    gaussian_blur,
    hue,
    resized_crop,
    saturation,
)

SILENCE = -16.0  # of a made-up front end


@pytest.mark.parametrize(
    ("mine", "theirs", "values"),
    [
        (brightness, reference.adjust_brightness, [0.2, 0.7, 1.0, 1.3, 1.8, 0.0]),
        (contrast, reference.adjust_contrast, [0.2, 0.7, 1.0, 1.3, 1.8, 0.0]),
        (saturation, reference.adjust_saturation, [0.2, 0.7, 1.0, 1.3, 1.8, 0.0]),
        (hue, reference.adjust_hue, [-0.5, -0.2, 0.0, 0.1, 0.2, 0.49]),
    ],
)
def test_colours_equal_torchvision_s_for_each_image(mine, theirs, values) -> None:
    image = images()
    changed = mine(image, per_image(values)).clamp(0, 1)
    for number, value in enumerate(values):
        assert torch.allclose(changed[number], theirs(image[number], value), atol=1e-3)  # their luma is 0.2989


def test_a_third_of_the_circle_turns_red_into_green_into_blue() -> None:
    red, green, blue = torch.eye(3).view(3, 1, 3, 1, 1)
    third = per_image([1 / 3])
    assert torch.allclose(hue(red, third), green, atol=1e-6)
    assert torch.allclose(hue(green, third), blue, atol=1e-6)
    grey = torch.full((1, 3, 1, 1), 0.4)
    assert torch.equal(hue(grey, third), grey)


@pytest.mark.parametrize("sigma", [0.1, 0.8, 2.0])
def test_blur_equals_torchvision_s(sigma: float) -> None:
    image = images(3)
    blurred = gaussian_blur(image, torch.full((3,), sigma), reach=8)
    assert torch.allclose(blurred, reference.gaussian_blur(image, [17, 17], [sigma, sigma]), atol=1e-5)


def test_each_image_has_its_own_blur() -> None:
    image, sigma = images(3), torch.tensor([0.1, 1.0, 2.0])
    together = gaussian_blur(image, sigma, reach=8)
    for number in range(3):
        alone = gaussian_blur(image[number : number + 1], sigma[number : number + 1], reach=8)
        assert torch.allclose(together[number : number + 1], alone, atol=1e-6)
    assert torch.allclose(together[0], image[0], atol=1e-6)


def test_crops_equal_torchvision_s_resized_crop() -> None:
    image = images(4)
    boxes = torch.tensor([[0, 0, 48, 48], [5, 9, 20, 31], [40, 1, 8, 47], [12, 12, 1, 3]]).float()
    flips = torch.tensor([False, True, False, True])
    views = resized_crop(image, boxes, flips)
    for number, box in enumerate(boxes.int().tolist()):
        expected = reference.resized_crop(
            image[number], *box, [SIZE, SIZE], InterpolationMode.BILINEAR, antialias=False
        )
        expected = expected.flip(-1) if flips[number] else expected
        assert torch.allclose(views[number], expected, atol=2e-5)


def test_drawn_crops_lie_inside_and_have_torchvision_s_distribution() -> None:
    torch.manual_seed(0)
    boxes = draw_crops(1500, 224, 224, (0.08, 1.0), (3 / 4, 4 / 3))
    top, left, height, width = boxes.unbind(dim=1)
    assert torch.equal(boxes, boxes.floor())
    assert (boxes >= 0).all()
    assert (top + height <= 224).all()
    assert (left + width <= 224).all()
    image = torch.zeros(3, 224, 224)
    drawn = [torchvision_transforms.RandomResizedCrop(224).make_params([image]) for _ in range(1500)]
    for name, mine in {"top": top, "left": left, "height": height, "width": width}.items():
        theirs = torch.tensor([float(d[name]) for d in drawn])
        difference = float(mine.mean() - theirs.mean())
        assert abs(difference) < 5 * math.sqrt(float(mine.var() + theirs.var()) / 1500), name
        assert float(mine.std()) == pytest.approx(float(theirs.std()), rel=0.1), name


def test_a_crop_that_never_fits_becomes_the_whole_image() -> None:
    boxes = draw_crops(5, 30, 20, (1.0, 1.0), (2.0, 2.0))
    assert torch.equal(boxes, torch.tensor([[0.0, 0.0, 30.0, 20.0]]).expand(5, 4))


@pytest.mark.parametrize("policy", sorted(IMAGE_POLICIES))
def test_image_policies_keep_shape_and_type_and_follow_the_seed(policy: str) -> None:
    pixels = uint8()
    views = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        views.append(image_view(pixels, policy))
    assert views[0].shape == pixels.shape
    assert views[0].dtype == torch.uint8
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2]) == (policy == "none")
    assert torch.equal(pixels, uint8())  # the argument is not written to


def test_how_often_each_part_of_a_policy_happens() -> None:
    """On images of one colour a crop changes nothing, so grey and colour can be counted."""
    torch.manual_seed(0)
    colour = torch.tensor([200, 60, 90], dtype=torch.uint8).view(1, 3, 1, 1).expand(2000, 3, 8, 8)
    views = image_view(colour, "moco")[:, :, 4, 4].float()
    grey = (views.amax(dim=1) - views.amin(dim=1) <= 1).float().mean()
    untouched = (views - colour[:, :, 0, 0].float()).abs().amax(dim=1).le(1).float().mean()
    assert float(grey) == pytest.approx(0.2, abs=0.03)
    assert float(untouched) == pytest.approx(0.8 * 0.2, abs=0.03)


def test_flips_happen_half_of_the_time() -> None:
    torch.manual_seed(0)
    pixels = torch.zeros(1000, 3, 22, 22, dtype=torch.uint8)
    pixels[..., 11:] = 200
    bright_left = image_view(pixels, "crop_flip")[:, 0, 11, 2] > 100
    assert float(bright_left.float().mean()) == pytest.approx(0.5, abs=0.06)


def test_demo_jitter_is_the_identity_at_no_strength_and_bounded_otherwise() -> None:
    torch.manual_seed(0)
    assert torch.equal(colour_jitter(uint8(), 0.0), uint8())
    grey = torch.full((50, 3, 4, 4), 100, dtype=torch.uint8)  # contrast and saturation cannot change it
    jittered = colour_jitter(grey, 0.3).float()
    assert 69 <= float(jittered.min()) < 80
    assert 120 < float(jittered.max()) <= 131


def test_jitter_changes_the_colours_that_are_asked_for() -> None:
    """Brightness and saturation alone (DMC, DSOL) leave the contrast of a grey image: deviation over mean."""
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(90, 160, (40, 1, 8, 8), generator=generator, dtype=torch.uint8).expand(-1, 3, -1, -1)
    without, with_it = (colour_jitter(grey, 0.3, each).float() for each in (["brightness", "saturation"], ["contrast"]))
    contrast = [image.std(dim=(1, 2, 3)) / image.mean(dim=(1, 2, 3)) for image in (grey.float(), without, with_it)]
    assert torch.allclose(contrast[1], contrast[0], rtol=0.02)
    assert float((contrast[2] / contrast[0]).min()) < 0.8


def test_configs_know_exactly_these_policies() -> None:
    assert set(get_args(ColourName)) == set(COLOURS) == set(Data().colours)
    assert list(get_args(ImagePolicyName)) == list(IMAGE_POLICIES)
    assert list(get_args(AudioPolicyName)) == list(AUDIO_POLICIES)


def test_unknown_policies_name_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown image policy 'byol'\. .*simclr"):
        image_view(uint8(), "byol")
    with pytest.raises(InputError, match=r"unknown audio policy 'byol'\. .*time_shift"):
        audio_view(torch.zeros(2, 4, 4), "byol", SILENCE)
