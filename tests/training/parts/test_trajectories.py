"""Paths of what is seen: maps that move with it, what leaves the image, and what OpenCV sees move."""

import pytest
import torch

from training.data.views import normalise_image
from training.parts.trajectories import along, movements

CELLS = 6


def moving(right: float, down: float, count: int) -> list[torch.Tensor]:
    """So many fields of one movement, in cells."""
    return [torch.tensor([right, down]).view(1, 2, 1, 1).expand(1, 2, 3, 5) / CELLS] * count


def spot(*places: tuple[int, int]) -> torch.Tensor:
    """Maps (1, N, 6, 6), 0 but for a 1 at one row and column of each."""
    maps = torch.zeros(1, len(places), CELLS, CELLS)
    for step, (row, column) in enumerate(places):
        maps[0, step, row, column] = 1.0
    return maps


def test_where_nothing_moves_the_mean_of_every_cell_is_left() -> None:
    maps = torch.rand(2, 5, 4, 7, generator=torch.Generator().manual_seed(0))
    still = [torch.zeros(2, 2, 8, 8)] * 2
    assert torch.allclose(along(maps, still, still), maps.mean(dim=1), atol=1e-6)
    assert torch.equal(along(maps[:, :1], [], []), maps[:, 0])


def test_a_map_that_moves_with_what_is_seen_stays_as_high_as_it_is() -> None:
    """One cell right and half a cell down an image: seen from the middle one, back and forth."""
    maps = spot((2, 1), (2, 2), (2, 3), (2, 4), (2, 5))
    found = along(maps, moving(1, 0, 2), moving(-1, 0, 2))[0]
    assert found[2, 3].item() == pytest.approx(1.0, abs=1e-5)
    assert found.sum().item() == pytest.approx(1.0, abs=1e-4)
    between = along(spot((2, 3), (2, 3), (2, 3)), moving(0, 0.5, 1), moving(0, -0.5, 1))[0]
    assert between[2, 3].item() == pytest.approx((1 + 0.5 + 0.5) / 3, abs=1e-5)
    assert between[[1, 3], 3].tolist() == pytest.approx([0.5 / 3] * 2, abs=1e-5)


def test_where_a_path_leaves_the_image_what_there_is_is_averaged() -> None:
    maps = torch.cat([torch.full((1, 1, CELLS, CELLS), value) for value in (9.0, 1.0, 5.0)], dim=1)
    found = along(maps, moving(2, 0, 1), moving(0, -7, 1))[0]
    assert torch.allclose(found[:, :4], torch.tensor(3.0))  # the own image and the later one
    assert torch.allclose(found[:, 4:], torch.tensor(1.0))


def test_movements_are_those_of_the_images() -> None:
    """A texture that moves 3 pixels right and 2 up an image."""
    pytest.importorskip("cv2", reason="the proposals extra is not installed")
    noise = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    texture = torch.nn.functional.interpolate(noise, size=(96, 96), mode="bicubic").clamp(0, 1).mul(255)[0]
    images = torch.stack([texture.roll((-2 * step, 3 * step), dims=(1, 2)) for step in range(5)])
    later, earlier = movements(normalise_image(images.to(torch.uint8))[None])
    assert [len(later), len(earlier)] == [2, 2]
    for sign, fields in ((1, later), (-1, earlier)):
        for field in fields:
            assert field.shape == (1, 2, 24, 24)
            inside = field[0, :, 6:-6, 6:-6].mean(dim=(1, 2)) * 96
            assert inside.tolist() == pytest.approx([3 * sign, -2 * sign], abs=0.3)
