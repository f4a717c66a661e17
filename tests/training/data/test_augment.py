"""Batched augmentation against torchvision and torchaudio image by image, and against closed forms."""

import math
from typing import get_args

import pytest
import torch
import torchaudio
from torchvision.transforms import v2 as torchvision_transforms
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from manifests.errors import InputError
from training.config import AudioPolicyName, ImagePolicyName
from training.data.augment import (
    AUDIO_POLICIES,
    IMAGE_POLICIES,
    audio_view,
    colour_jitter,
    image_view,
)
from training.data.augment.audio import draw_masks, mask_axis, time_shift
from training.data.augment.geometry import Geometry
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

SIZE = 48


def images(count: int = 6, seed: int = 0) -> torch.Tensor:
    """Smooth float images with structure at several scales."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    fine = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    return 0.7 * torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear") + 0.3 * fine


def uint8(count: int = 6) -> torch.Tensor:
    return (images(count) * 255).to(torch.uint8)


def per_image(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


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


def test_configs_know_exactly_these_policies() -> None:
    assert list(get_args(ImagePolicyName)) == list(IMAGE_POLICIES)
    assert list(get_args(AudioPolicyName)) == list(AUDIO_POLICIES)


def test_unknown_policies_name_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown image policy 'byol'; .*simclr"):
        image_view(uint8(), "byol")
    with pytest.raises(InputError, match=r"unknown audio policy 'byol'; .*time_shift"):
        audio_view(torch.zeros(2, 4, 4), "byol", SILENCE)


def audio(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 12, 30, generator=torch.Generator().manual_seed(0)).half()


def test_time_shift_is_a_roll_of_each_audio() -> None:
    spectrogram, shifts = audio(), torch.tensor([0, 1, 7, 29, 15])
    shifted = time_shift(spectrogram, shifts)
    for number, shift in enumerate(shifts.tolist()):
        assert torch.equal(shifted[number], spectrogram[number].roll(-shift, dims=1))


def test_masks_equal_torchaudio_s() -> None:
    spectrogram = audio().float()
    for seed in range(5):
        torch.manual_seed(seed)
        expected = torchaudio.functional.mask_along_axis_iid(spectrogram.unsqueeze(1), 9, -3.0, axis=3)
        torch.manual_seed(seed)
        masked = mask_axis(spectrogram, 2, draw_masks(5, 9, 30), -3.0)
        assert torch.equal(masked, expected.squeeze(1))


@pytest.mark.parametrize("policy", sorted(AUDIO_POLICIES))
def test_audio_policies_keep_shape_and_type_and_follow_the_seed(policy: str) -> None:
    spectrogram = torch.randn(8, 257, 300, generator=torch.Generator().manual_seed(0)).half()
    views = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        views.append(audio_view(spectrogram, policy, SILENCE))
    assert views[0].shape == spectrogram.shape
    assert views[0].dtype == torch.float16
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2]) == (policy == "none")


def test_masks_of_ssl_tie_cover_four_of_five_sounds_with_silence() -> None:
    torch.manual_seed(0)
    masked = audio_view(torch.zeros(250, 257, 300).half(), "masks", SILENCE).float()
    assert set(masked.unique().tolist()) == {0.0, float(torch.tensor(SILENCE).half())}
    covered = masked != 0
    assert float(covered.any(dim=2).any(dim=1).float().mean()) == pytest.approx(0.8, abs=0.09)
    time, frequency = covered.all(dim=1).sum(dim=1), covered.all(dim=2).sum(dim=1)
    assert 65 <= int(time.max()) <= 300 * 180 / 670
    assert 25 <= int(frequency.max()) <= 35


def stripes(policy: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """400 flat sounds of 40 rows and 90 columns under a policy; which rows and which columns of each are hidden."""
    torch.manual_seed(0)
    masked = audio_view(torch.ones(400, 40, 90), policy, SILENCE)
    hidden = masked != 1
    return masked, hidden.all(dim=2), hidden.all(dim=1)


def test_corrected_stripes_lie_along_their_own_axis_and_are_silent() -> None:
    masked, rows, columns = stripes("stripes_corrected")
    hidden = masked != 1
    assert masked[hidden].unique().tolist() == pytest.approx([SILENCE])
    assert torch.equal(hidden, rows.unsqueeze(2) | columns.unsqueeze(1))
    assert rows.sum(dim=1).unique().tolist() == columns.sum(dim=1).unique().tolist() == list(range(10))
    assert rows.any(dim=0).all()
    assert columns.any(dim=0).all()


def test_released_stripes_are_loud_and_start_along_the_other_axis() -> None:
    masked, rows, columns = stripes("stripes_released")
    assert masked[masked != 1].unique().tolist() == [0.0]
    assert float(rows.any(dim=1).float().mean()) == pytest.approx(0.9 * 40 / 90, abs=0.07)  # the others fall outside
    assert float(columns.any(dim=1).float().mean()) == pytest.approx(0.9, abs=0.05)
    assert not columns[:, 40 + 9 :].any()  # the last columns are never reached


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
