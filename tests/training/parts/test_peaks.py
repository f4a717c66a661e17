"""Peaks of hand-made maps: which lie apart, which of equal ones is taken, and what of a map belongs to each."""

import pytest
import torch

from training.parts.peaks import NONE, parts, peaks


def made(heights: dict[tuple[int, int], float], height: int = 5, width: int = 8) -> torch.Tensor:
    """(1, h, w) with these heights at rows and columns, falling off by 0.01 a cell from the highest one."""
    (top, left), _ = max(heights.items(), key=lambda each: each[1])
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width).view(1, -1)
    found = -0.01 * ((rows - top).abs() + (columns - left).abs()).float()
    for (row, column), value in heights.items():
        found[row, column] = value
    return found.unsqueeze(0)


def places(found: torch.Tensor, width: int = 8) -> list[tuple[int, int] | None]:
    return [None if cell == NONE else divmod(cell, width) for cell in found.tolist()]


def test_peaks_come_by_height_and_what_is_missing_is_none() -> None:
    found = peaks(made({(1, 6): 2.0, (3, 1): 3.0}), 4, radius=0.2)
    assert places(found[0]) == [(3, 1), (1, 6), None, None]
    assert places(peaks(made({(1, 6): 2.0, (3, 1): 3.0}), 1, radius=0.2)[0]) == [(3, 1)]


@pytest.mark.parametrize(("radius", "kept"), [(0.5, True), (0.6, False), (0.7, False)])
def test_a_peak_no_further_than_the_radius_is_suppressed(radius: float, kept: bool) -> None:
    """(1, 3) lies one down and two right of (0, 1): three of five rows, where a straight line is 2.2."""
    found = places(peaks(made({(0, 1): 3.0, (1, 3): 2.0, (4, 7): 1.0}), 3, radius)[0])
    assert found == ([(0, 1), (1, 3), (4, 7)] if kept else [(0, 1), (4, 7), None])


def test_what_a_suppressed_peak_would_have_suppressed_stays() -> None:
    found = peaks(made({(2, 0): 3.0, (2, 3): 2.0, (2, 6): 1.0}), 3, radius=0.6)
    assert places(found[0]) == [(2, 0), (2, 6), None]


def test_a_slope_beside_a_peak_is_no_peak() -> None:
    """Without looking at neighbours the best cell beyond the radius would be one."""
    assert places(peaks(made({(2, 4): 1.0}), 3, radius=0.2)[0]) == [(2, 4), None, None]


def test_of_equal_peaks_the_first_is_taken_and_a_flat_map_is_all_peaks() -> None:
    assert places(peaks(made({(2, 6): 1.0, (2, 4): 1.0}), 2, radius=0.4)[0]) == [(2, 4), None]
    flat = torch.zeros(1, 2, 4)
    assert places(peaks(flat, 3, radius=0.5)[0], 4) == [(0, 0), (0, 2), (1, 1)]
    assert places(peaks(flat, 9, radius=0.0)[0], 4) == [divmod(cell, 4) for cell in range(8)] + [None]


def test_maps_of_a_batch_have_peaks_of_their_own_at_borders_and_below_zero() -> None:
    both = torch.cat([made({(0, 0): 2.0, (4, 7): 1.0}) - 5, made({(4, 0): 2.0})])
    found = peaks(both, 2, radius=0.2)
    assert [places(own) for own in found] == [[(0, 0), (4, 7)], [(4, 0), None]]


def test_a_cell_belongs_to_the_nearest_peak_and_between_two_to_the_higher() -> None:
    maps = torch.tensor([[[1.0, 2.0, 9.0, 4.0, 5.0, 6.0, 8.0]]])
    found = parts(maps, peaks(maps, 3, radius=1.0))
    assert found[0, 0, 0].tolist() == [1, 2, 9, 4, 5, 0, 0]  # the fifth cell is two from either
    assert found[0, 1, 0].tolist() == [0, 0, 0, 0, 0, 6, 8]
    assert not found[0, 2].any()
    assert torch.equal(found.sum(dim=1), maps)


def test_the_only_peak_has_the_whole_map() -> None:
    maps = made({(2, 4): 1.0})
    found = parts(maps, peaks(maps, 2, radius=0.2))
    assert torch.equal(found[:, 0], maps)
    assert not found[:, 1].any()
