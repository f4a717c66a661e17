"""Regions of a map: sums by look-up, which sum ranks the whole image first, and boxes that lie apart."""

import pytest
import torch

from training.parts.regions import apart, overlaps, responses, standard_range

SIDE = 20


def maps() -> torch.Tensor:
    return torch.rand(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def regions() -> torch.Tensor:
    """Ten of each image with corners on whole pixels; the first is the whole image."""
    generator = torch.Generator().manual_seed(1)
    low = torch.randint(0, 12, (2, 10, 2), generator=generator)
    high = low + torch.randint(1, 8, (2, 10, 2), generator=generator)
    found = torch.cat([low, high], dim=2).float() / SIDE
    found[:, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    return found


@pytest.mark.parametrize("kind", ["sum", "sum_centred", "mean"])
def test_responses_are_what_counting_pixels_gives(kind: str) -> None:
    found, boxes = responses(maps(), regions(), kind), (regions() * SIDE).round().long()
    for image in range(2):
        values = maps()[image] - (maps()[image].mean() if kind == "sum_centred" else 0)
        for k, (x1, y1, x2, y2) in enumerate(boxes[image].tolist()):
            inside = values[y1:y2, x1:x2]
            assert float(found[image, k]) == pytest.approx(
                float(inside.mean() if kind == "mean" else inside.sum()), abs=1e-4
            )


def test_a_plain_sum_always_ranks_the_whole_image_first_and_a_centred_one_gives_it_nothing() -> None:
    assert (responses(maps(), regions(), "sum").argmax(dim=1) == 0).all()
    centred = responses(maps(), regions(), "sum_centred")
    assert torch.allclose(centred[:, 0], torch.zeros(2), atol=1e-4)
    assert (centred.argmax(dim=1) != 0).all()


def test_a_region_on_the_peak_ranks_first_when_sums_are_centred() -> None:
    peaked = torch.zeros(1, SIDE, SIDE)
    peaked[:, 4:8, 12:16] = 1.0
    boxes = torch.tensor([[[0, 0, 1, 1], [0.6, 0.2, 0.8, 0.4], [0.4, 0.0, 1.0, 0.6], [0.0, 0.5, 0.4, 1.0]]])
    assert responses(peaked, boxes, "sum_centred").argmax() == 1


def test_maps_are_brought_to_one_range_and_flat_ones_stay_finite() -> None:
    found = standard_range(torch.stack([torch.rand(4, 4), torch.full((4, 4), 3.0)]), SIDE)
    assert found.shape == (2, SIDE, SIDE)
    assert float(found[0].amin()) == 0.0
    assert float(found[0].amax()) == pytest.approx(1.0)
    assert not found[1].any()


BOXES = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.1, 0.1, 0.6, 0.6], [0.6, 0.6, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]])


def test_overlaps_are_intersections_over_unions() -> None:
    found = overlaps(BOXES)[0]
    assert float(found[0, 1]) == pytest.approx(0.16 / (0.25 + 0.25 - 0.16))
    assert found[0, 2] == 0.0
    assert torch.allclose(found.diagonal()[:3], torch.ones(3))
    assert not found[3].any()


def test_the_second_box_is_the_best_that_does_not_overlap() -> None:
    found = apart(BOXES, torch.tensor([[0.9, 0.8, 0.1, torch.nan]]), 2)[0]
    assert torch.equal(found[:, :4], BOXES[0, [0, 2]])
    assert found[:, 4].tolist() == pytest.approx([0.9, 0.1])


def test_where_all_overlap_the_least_overlapping_is_taken() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.1, 0.1, 0.6, 0.6], [0.4, 0.4, 0.9, 0.9]]])
    found = apart(boxes, torch.tensor([[0.9, 0.8, 0.1]]), 2)[0]
    assert torch.equal(found[1, :4], boxes[0, 2])


def test_what_is_not_there_is_no_box() -> None:
    found = apart(BOXES, torch.full((1, 4), torch.nan), 2)
    assert found.isnan().all()
    one = apart(BOXES, torch.tensor([[torch.nan, 0.4, torch.nan, torch.nan]]), 2)[0]
    assert float(one[0, 4]) == pytest.approx(0.4)
    assert one[1].isnan().all()


def test_some_overlap_may_be_allowed() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 0.4, 0.4], [0.1, 0.0, 0.5, 0.4], [0.3, 0.0, 0.7, 0.4], [0.6, 0.6, 0.9, 0.9]]])
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.1]])
    assert apart(boxes, scores, 2)[0, 1, 4].item() == pytest.approx(0.1)  # alone without any
    assert apart(boxes, scores, 2, allowed=0.3)[0, 1, 4].item() == pytest.approx(0.7)  # 1/7
    assert apart(boxes, scores, 2, allowed=0.7)[0, 1, 4].item() == pytest.approx(0.8)  # 3/5
