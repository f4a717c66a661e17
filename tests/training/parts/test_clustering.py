"""Soft k-means in a network, k-means over a training set, and pseudo-labels that outlive a checkpoint."""

import pytest
import torch
from torch import nn

from manifests.errors import InputError
from training.parts.clustering import PseudoLabels, cluster_means, kmeans, soft_kmeans


def blobs(seed: int = 0) -> torch.Tensor:
    """20 points about (0, 0) and 10 about (9, 9)."""
    noise = 0.1 * torch.randn(30, 2, generator=torch.Generator().manual_seed(seed))
    return noise + torch.tensor([[0.0, 0.0]] * 20 + [[9.0, 9.0]] * 10)


def test_one_soft_cluster_is_the_mean() -> None:
    found = soft_kmeans(blobs()[None], clusters=1, rounds=4, sharpness=30.0)
    assert torch.allclose(found.centres[0, 0], blobs().mean(dim=0), atol=1e-5)
    assert torch.allclose(found.assignments, torch.ones(1, 1, 30))


def test_two_blobs_are_found_in_one_round() -> None:
    points = blobs()[torch.arange(29, -1, -1)]  # so that the two first centres lie in different blobs
    found = soft_kmeans(points[None], clusters=2, rounds=1, sharpness=30.0)
    assert torch.allclose(found.centres[0], torch.stack([points[:10].mean(dim=0), points[10:].mean(dim=0)]), atol=1e-3)
    assert torch.equal(found.assignments[0].argmax(dim=0), (torch.arange(30) >= 10).long())
    assert torch.allclose(found.assignments.sum(dim=1), torch.ones(1, 30))


def test_soft_clusters_against_a_loop() -> None:
    points = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(1))
    found = soft_kmeans(points, clusters=3, rounds=4, sharpness=2.0)
    for bag in range(2):
        centres = [points[bag, index] for index in (0, 4, 8)]
        for _ in range(4):
            far = torch.stack([torch.stack([(c - u).norm().clamp(min=1e-5) for u in points[bag]]) for c in centres])
            given = torch.softmax(-2.0 * far, dim=0)
            centres = [(w[:, None] * points[bag]).sum(dim=0) / w.sum() for w in given]
        assert torch.allclose(found.centres[bag], torch.stack(centres), atol=1e-4)
        assert torch.allclose(found.assignments[bag], given, atol=1e-4)


def test_equal_features_give_finite_gradients() -> None:
    points = torch.ones(2, 9, 4, requires_grad=True)
    found = soft_kmeans(points, clusters=2, rounds=4, sharpness=30.0)
    (found.centres.sum() + found.assignments.square().sum()).backward()
    assert torch.isfinite(points.grad).all()


def test_kmeans_parts_blobs_the_same_way_for_a_seed() -> None:
    labels = kmeans(blobs(), 2, seed=3)
    assert torch.equal(labels, kmeans(blobs(), 2, seed=3))
    assert len(set(labels[:20].tolist())) == len(set(labels[20:].tolist())) == 1
    assert labels[0] != labels[-1]
    means = cluster_means(blobs(), labels, 2)
    assert torch.allclose(means[labels[0]], blobs()[:20].mean(dim=0), atol=1e-5)


def test_no_cluster_stays_empty_and_equal_points_do_no_harm() -> None:
    assert set(kmeans(blobs(), 7, seed=0).tolist()) == set(range(7))
    assert len(kmeans(torch.ones(5, 2), 3, seed=0)) == 5


def test_more_clusters_than_there_are_things_to_make_them_of_are_refused() -> None:
    assert sorted(kmeans(blobs()[:10], 10, seed=0).tolist()) == list(range(10))
    with pytest.raises(InputError, match=r"the number of clusters is 15, and there are only 10 points"):
        kmeans(blobs()[:10], 15, seed=0)
    assert soft_kmeans(blobs()[None], 30, 1, 30.0).centres.shape == (1, 30, 2)
    with pytest.raises(InputError, match=r"method\.image_clusters is 31, and there are only 30 cells.*Lower it to 30"):
        soft_kmeans(blobs()[None], 31, 1, 30.0, "method.image_clusters")


OURS, THEIRS = "ab" * 32, "cd" * 32  # checksums of clips' keys


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pseudo_labels = PseudoLabels()


def test_labels_are_stored_with_the_weights_whatever_their_number() -> None:
    one, other = Holder(), Holder()
    one.pseudo_labels.renew(4, torch.tensor([7, 2, 5]), OURS, torch.tensor([0, 1, 2]))
    other.load_state_dict(one.state_dict())
    assert int(other.pseudo_labels.epoch) == 4
    assert other.pseudo_labels.of(torch.tensor([5, 7, 2, 2])).tolist() == [2, 0, 1, 1]
    other.load_state_dict(Holder().state_dict())
    assert other.pseudo_labels.of(torch.tensor([5, 7])).tolist() == [0, 0]


def test_a_row_without_a_label_is_refused() -> None:
    labels = PseudoLabels()
    labels.renew(0, torch.tensor([2, 5, 7]), OURS, torch.tensor([1, 0, 1]))
    for row in (0, 3, 9):
        with pytest.raises(InputError, match="some clips have no label"):
            labels.of(torch.tensor([2, row]))


def test_labels_know_whose_they_are_and_can_be_forgotten() -> None:
    one, other, rows = Holder().pseudo_labels, Holder().pseudo_labels, torch.tensor([2, 5, 7])
    one.renew(0, rows, OURS, torch.tensor([1, 0, 1]))
    other.load_state_dict(one.state_dict())
    for labels in (one, other):
        assert labels.are_of(rows, OURS)
        assert not labels.are_of(rows, THEIRS)
        assert not labels.are_of(rows + 1, OURS)
    other.forget()
    assert not other.are_of(rows, OURS)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in PseudoLabels().state_dict().items())


def test_labels_of_an_earlier_version_are_known_by_their_rows_until_somebody_says_whose_they_are() -> None:
    one, other, rows = Holder(), Holder(), torch.tensor([2, 5, 7])
    one.pseudo_labels.renew(0, rows, OURS, torch.tensor([1, 0, 1]))
    earlier = {name: value for name, value in one.state_dict().items() if not name.endswith("digest")}
    other.pseudo_labels.renew(0, rows + 1, THEIRS, torch.tensor([1, 0, 1]))
    other.load_state_dict(earlier)
    assert other.pseudo_labels.are_of(rows, OURS)
    assert not other.pseudo_labels.are_of(rows + 1, OURS)
    for said in (THEIRS, OURS):  # the second comes too late
        other.pseudo_labels.known_from(said)
        assert not other.pseudo_labels.are_of(rows, OURS)
    one.pseudo_labels.known_from(THEIRS)
    assert one.pseudo_labels.are_of(rows, OURS)
