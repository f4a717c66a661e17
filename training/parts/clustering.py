"""Clusters: a differentiable soft k-means inside a network, and k-means over a whole training set's features.

Shared by methods whose objects or classes have no labels; knows none of them.
"""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

from manifests.errors import InputError
from training.similarity import distances, einsum, in_float32

SMALLEST = 1e-5  # distance, as released
ROUNDS = 100  # of k-means at most


class SoftClusters(NamedTuple):
    """Of N bags of P features of C channels: centres (N, K, C) and assignments (N, K, P), which sum to 1 over K."""

    centres: Tensor
    assignments: Tensor


def guarded_distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean, from 1e-5 upward: (..., K, C), (..., P, C) -> (..., K, P)."""
    return distances(one, other).clamp(min=SMALLEST)


def check_clusters(option: str, wanted: int, there: int, things: str) -> None:
    """InputError where an option wants more clusters than there are things to make them of."""
    if wanted > there:
        raise InputError(
            f"{option} is {wanted:,}, and there are only {there:,} {things} to make clusters of. Lower it to {there:,} "
            f"or less, or give more {things}."
        )


def soft_kmeans(
    features: Tensor, clusters: int, rounds: int, sharpness: float, option: str = "the number of clusters"
) -> SoftClusters:
    """DMC's clustering layer: (N, P, C) -> centres and assignments, with gradients through all rounds, float32.

    Centres begin at cells evenly spaced by index; each round assigns by softmax(-sharpness * distance) over the centres
    and moves every centre to the mean of what it was given. One cluster is the mean of all. InputError, which names the
    option that says how many, for more clusters than cells.
    """
    check_clusters(option, clusters, features.shape[1], "cells")
    with in_float32(features):
        cells = features.float()
        step = cells.shape[1] // clusters
        centres = cells[:, : step * clusters : step]
        assignments = torch.empty(0)
        for _ in range(rounds):
            assignments = (-sharpness * guarded_distances(centres, cells)).softmax(dim=1)
            mass = assignments.sum(dim=2, keepdim=True).clamp(min=SMALLEST)
            centres = assignments @ cells / mass
        return SoftClusters(centres, assignments)


def kmeans(points: Tensor, clusters: int, seed: int) -> Tensor:
    """Labels (N,) int64 of points (N, C) by Lloyd's rounds from k-means++ centres; the same for a seed.

    A cluster that loses all its points takes the point farthest from its own centre. InputError for more clusters than
    points.
    """
    check_clusters("the number of clusters", clusters, len(points), "points")
    generator = torch.Generator().manual_seed(seed)
    centres = _spread(points, clusters, generator)
    labels = _nearest(points, centres)[1]
    for _ in range(ROUNDS):
        centres = _means(points, labels, centres)
        before, labels = labels, _nearest(points, centres)[1]
        if torch.equal(before, labels):
            break
    return labels


def _spread(points: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """k-means++: each next centre is a point drawn by its squared distance from the nearest so far."""
    chosen = [int(torch.randint(len(points), (), generator=generator))]
    nearest = torch.full((len(points),), torch.inf)
    for _ in range(1, clusters):
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(dim=1))
        weights = nearest if nearest.any() else torch.ones_like(nearest)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
    return points[chosen]


def _nearest(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance (N,) and number (N,) of each point's nearest centre."""
    products = einsum("nc,kc->nk", points, centres)
    squares = points.square().sum(dim=1, keepdim=True) - 2 * products + centres.square().sum(dim=1)
    return squares.min(dim=1)


def _means(points: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    moved = cluster_means(points, labels, len(centres))
    empty = torch.bincount(labels, minlength=len(centres)) == 0
    if empty.any():
        far = _nearest(points, centres)[0].argsort(descending=True)[: int(empty.sum())]
        moved[empty] = points[far]
    return moved


def cluster_means(points: Tensor, labels: Tensor, clusters: int) -> Tensor:
    """Mean of the points of each label: (N, C), (N,) -> (K, C); 0 for a label that no point has."""
    sums = torch.zeros(clusters, points.shape[1]).index_add_(0, labels, points)
    return sums / torch.bincount(labels, minlength=clusters).clamp(min=1).unsqueeze(1)


class PseudoLabels(nn.Module):
    """A label for every training clip, made anew before an epoch, kept with the method's weights so that a resumed run
    goes on with the same ones. `epoch` is the one they were last made for, -1 before the first.

    A row is another clip in other shards: `digest` says whose labels they are, by the checksum of the clips' keys in
    the order of their rows that `data.json` has of every run.
    """

    epoch: Tensor  # () int64
    digest: Tensor  # (32,) uint8; 0 throughout before there are any, and in files of versions that did not store it
    rows: Tensor  # (N,) int64, ascending
    labels: Tensor  # (N,) int64

    def __init__(self) -> None:
        super().__init__()
        unknown = torch.zeros(hashlib.sha256().digest_size, dtype=torch.uint8)
        for name, value in (("epoch", torch.tensor(-1)), ("digest", unknown), ("rows", _none()), ("labels", _none())):
            self.register_buffer(name, value)

    def renew(self, epoch: int, rows: Tensor, sha256: str, labels: Tensor) -> None:
        """Take over the labels of the clips of these rows, whose keys have this checksum."""
        order = rows.argsort()
        device = self.epoch.device
        self.epoch.fill_(epoch)
        self.digest.copy_(_bytes(sha256))
        self.rows, self.labels = rows[order].to(device), labels[order].to(device)

    def forget(self) -> None:
        """As before the first ones."""
        device = self.epoch.device
        self.epoch.fill_(-1)
        self.digest.zero_()
        self.rows, self.labels = _none().to(device), _none().to(device)

    def known_from(self, sha256: str) -> None:
        """Say whose labels they are, where their file does not: that of an earlier version."""
        if len(self.rows) and not self.digest.any():
            self.digest.copy_(_bytes(sha256))

    def are_of(self, rows: Tensor, sha256: str) -> bool:
        """Whether they are the labels of these clips; by the rows alone where it is not known whose they are."""
        same = not self.digest.any() or torch.equal(self.digest.cpu(), _bytes(sha256))
        return same and torch.equal(self.rows.cpu(), rows)

    def of(self, rows: Tensor) -> Tensor:
        """Labels of the clips of a batch, (B,) -> (B,) int64; 0 before there are any.

        InputError for a row that has none.
        """
        if not len(self.rows):
            return torch.zeros_like(rows)
        places = torch.searchsorted(self.rows, rows).clamp(max=len(self.rows) - 1)
        if not torch.equal(self.rows[places], rows):
            raise InputError(
                "some clips have no label: the labels that are kept with the weights were made of other training "
                "clips. Delete the run's folder, and start it again."
            )
        return self.labels[places]

    # pyrefly: ignore[bad-override]  # the rest of what torch gives passes through
    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """As many labels as were stored; whose they are, earlier versions did not store."""
        if prefix + "rows" in state_dict:
            state_dict.setdefault(prefix + "digest", torch.zeros_like(self.digest))
        for name in ("rows", "labels"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.epoch.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)  # pyrefly: ignore[bad-argument-type]


def _none() -> Tensor:
    return torch.empty(0, dtype=torch.int64)


def _bytes(sha256: str) -> Tensor:
    return torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8)
