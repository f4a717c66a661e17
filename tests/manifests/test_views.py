"""How frames are shown in a test: the window against torchvision's own, and truth in the window's coordinates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from manifests.annotations import WHOLE, Annotation, TestSet
from manifests.masks import load_mask
from manifests.pixels import SIZE
from manifests.test_sets import MaskSet, MusicFrame, MusicSet, Truth
from manifests.views import inside, of_frame, window
from training.data.views import shown
from training.evaluation.truth import box_flags, pixel_box, weight_map

SHAPES = [(240, 320), (320, 240), (256, 455), (256, 341), (100, 100), (301, 256), (90, 160)]


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("size", [224, 112, 33])
def test_the_crop_is_that_of_the_released_loaders(height: int, width: int, size: int) -> None:
    """LVS's, SSL-TIE's and SSPL's transform is Resize(size, BICUBIC), CenterCrop(size) of a PIL image."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([120 + 100 * np.sin(columns / 17), 250 * rows / height, 250 * columns / width], axis=2)
    frame = smooth.astype(np.uint8)
    theirs = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)])(Image.fromarray(frame))
    ours = shown(torch.from_numpy(frame).permute(2, 0, 1), size, "centre_crop").permute(1, 2, 0).numpy()
    assert ours.shape == (size, size, 3)
    assert np.abs(ours.astype(int) - np.asarray(theirs).astype(int)).max() <= 2


def test_a_squashed_frame_is_shown_whole() -> None:
    assert window("squash", 240, 320, 224).part == WHOLE
    frame = torch.arange(3 * 20 * 90, dtype=torch.int64).remainder(256).to(torch.uint8).view(3, 20, 90)
    assert shown(frame, 16, "squash").shape == (3, 16, 16)


def test_a_box_in_the_coordinates_of_the_crop() -> None:
    """A frame of 320 x 240 becomes 298 x 224, of which the columns 37 to 261 are shown."""
    part = window("centre_crop", 240, 320, 224).part
    assert part == (37 / 298, 0.0, 261 / 298, 1.0)
    columns = [(0.0, 0), (37 / 298, 0), (0.5, 112), (100 / 298, 63), (261 / 298, 224), (1.0, 224)]
    for x, pixel in columns:
        assert pixel_box((x, 0.25, 1, 0.5), shown=part)[0] == pixel
        assert pixel_box((0, 0.25, x, 0.5), shown=part) == (0, 56, pixel, 112)
    assert of_frame(0.5, 0.5, part) == (0.5, 0.5)
    x, y, *_ = inside((*of_frame(0.2, 0.9, part), 1, 1), part)
    assert (x, y) == pytest.approx((0.2, 0.9))


def test_every_pixel_of_the_crop_has_its_own_column() -> None:
    """No border on a pixel's edge falls into the pixel before by the last bit of a division."""
    for height, width in SHAPES:
        made = window("centre_crop", height, width, 224)
        if made.part == WHOLE:  # a square: truncation as in the released evaluators, borders on edges included
            continue
        for pixel in range(224):
            x, y = (made.left + pixel) / made.width, (made.top + pixel) / made.height
            assert pixel_box((x, y, 1.0, 1.0), shown=made.part)[:2] == (pixel, pixel)


def annotation(*boxes: tuple[float, float, float, float]) -> Annotation:
    return Annotation("a", None, boxes, shown=window("centre_crop", 240, 320, 224).part)


def test_boxes_are_cut_at_the_border_and_kept_when_nothing_is_left() -> None:
    left_of_it, across, within = (0.0, 0.0, 0.1, 1.0), (0.0, 0.0, 0.5, 0.5), (0.4, 0.4, 0.6, 0.6)
    assert weight_map(annotation(left_of_it)).sum() == 0
    assert weight_map(annotation(across)).sum() == 112 * 112
    assert weight_map(annotation(across))[:112, :112].all()
    assert box_flags(annotation(left_of_it)) == box_flags(annotation(across, within)) == ["outside_view"]
    assert box_flags(annotation(within)) == []
    sentinel = (0.2, 0.2, -2.88e16, -2.88e16)  # a dirty box says nothing of the view
    assert box_flags(annotation(sentinel)) == ["degenerate_box", "outside_box"]
    assert weight_map(annotation((-0.5, 0.0, 1.5, 1.0))).all()


def test_without_a_view_nothing_moves() -> None:
    boxes = tuple(map(tuple, np.random.default_rng(0).uniform(-0.2, 1.2, (500, 4)).tolist()))
    for box in boxes:
        assert pixel_box(box) == tuple(int(224 * min(max(value, 0.0), 1.0)) for value in box)


def test_masks_are_cut_like_the_image(tmp_path: Path) -> None:
    mask = np.zeros((240, 320), np.uint8)
    mask[60:120, 100:200] = 255
    Image.fromarray(mask).save(tmp_path / "a.png")
    part = window("centre_crop", 240, 320, 224).part
    ours = load_mask(tmp_path / "a.png", SIZE, shown=part)
    box = weight_map(annotation((100 / 320, 60 / 240, 200 / 320, 120 / 240))).astype(bool)
    assert (ours != box).mean() < 0.01
    square = mask[:, 40:280]  # the same up to the rounding of 298.67 columns to 298
    theirs = np.asarray(Image.fromarray(square).resize((224, 224), Image.Resampling.NEAREST)) > 0
    assert (ours != theirs).mean() < 0.01
    assert np.array_equal(load_mask(tmp_path / "a.png", SIZE), load_mask(tmp_path / "a.png", SIZE, shown=WHOLE))


def test_a_truth_is_seen_as_its_model_saw_it(tmp_path: Path) -> None:
    part, box = window("centre_crop", 240, 320, 224).part, (0.0, 0.0, 0.1, 1.0)
    plain = Annotation("a", None, (box,))
    masks = MaskSet("s4", {"a": tmp_path / "a.png"}, "s4", "0" * 64)
    music = MusicSet("music", (MusicFrame("a", {"cello": (box,)}),), "music", "0" * 64)
    truth = Truth("music", TestSet("set", (plain, replace(plain, key="b")), "set", "0" * 64), None, masks, music)
    assert truth.seen_as("squash", {"a": part}) is truth
    seen = truth.seen_as("centre_crop", {"a": part})
    assert [one.shown for one in seen.test_set.annotations] == [part, WHOLE]
    assert seen.music is not None
    assert seen.masks is not None
    assert (seen.view, seen.music.frames[0].shown, dict(seen.masks.shown)) == ("centre_crop", part, {"a": part})
    assert seen.test_set.sha256 == truth.test_set.sha256
