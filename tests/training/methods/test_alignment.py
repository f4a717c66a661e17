"""Cross-modal alignment against a plain implementation of its nine pairs, and its ablation rows."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.alignment import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CHANNELS, CELLS = 5, 128, 3
KINDS = {"own": (0, 1), "augmented": (2, 3), "neighbours": (4, 5)}


class Fixed(Method):
    """The method with its trunks replaced by given features, passed through the batch."""

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio


def fixed(**options) -> Fixed:
    torch.manual_seed(0)
    return Fixed(Config(**options), TINY)


def batch(seed: int = 0) -> dict:
    """Not negative, as post-ReLU features are; every kind different."""
    generator = torch.Generator().manual_seed(seed)
    fields = {}
    for kind in KINDS:
        fields[kind] = {
            "image": torch.rand(BATCH, CHANNELS, CELLS, CELLS, generator=generator) ** 4,
            "audio": torch.rand(BATCH, CHANNELS, generator=generator) ** 4,
        }
    return {**fields.pop("own"), **fields}


def plain_response(cosines: list[float], localization: str) -> float:
    if localization == "mean":
        return sum(cosines) / len(cosines)
    weights = [1 / (1 + math.exp(-(c - 0.65) / 0.03)) for c in cosines]
    return sum(w * c for w, c in zip(weights, cosines, strict=True)) / sum(weights)


def plain_similarity(image: torch.Tensor, auditory: torch.Tensor, localization: str) -> float:
    cosines = [
        float(torch.cosine_similarity(image[:, y, x], auditory, dim=0)) for y in range(CELLS) for x in range(CELLS)
    ]
    return plain_response(cosines, localization)


def plain_contrast(similarity: list[list[float]], temperature: float = 0.07) -> float:
    """-log softmax of the diagonal, image-anchored, averaged."""
    losses = []
    for i, row in enumerate(similarity):
        exponents = [math.exp(value / temperature) for value in row]
        losses.append(-math.log(exponents[i] / sum(exponents)))
    return sum(losses) / len(losses)


def plain_losses(method: Method, content: dict, kinds: list[str], localization: str) -> tuple[float, float]:
    fields = [content if kind == "own" else content[kind] for kind in kinds]
    localization_loss = alignment_loss = 0.0
    for image in (field["image"] for field in fields):
        for auditory in (field["audio"] for field in fields):
            localization_loss += plain_contrast(
                [[plain_similarity(image[i], auditory[j], localization) for j in range(BATCH)] for i in range(BATCH)]
            )
            if method.config.feature_alignment:
                seen = [method.image_projection(image[i].mean(dim=(1, 2))) for i in range(BATCH)]
                heard = [method.audio_projection(auditory[j]) for j in range(BATCH)]
                alignment_loss += plain_contrast(
                    [[float(torch.cosine_similarity(v, a, dim=0).detach()) for a in heard] for v in seen]
                )
    return localization_loss, alignment_loss


@pytest.mark.parametrize("localization", ["mean", "softmask"])
def test_loss_equals_the_printed_sum_over_nine_pairs(localization: str) -> None:
    method, content = fixed(localization=localization), batch()
    losses = method.loss(content)
    expected = plain_losses(method, content, ["own", "augmented", "neighbours"], localization)
    assert float(losses["localization"]) == pytest.approx(expected[0], rel=1e-4)
    assert losses["alignment"].item() == pytest.approx(expected[1], rel=1e-4)
    assert losses["total"].item() == pytest.approx(sum(expected), rel=1e-4)


@pytest.mark.parametrize("semantic", [True, False])
@pytest.mark.parametrize("multiview", [True, False])
@pytest.mark.parametrize("feature_alignment", [True, False])
def test_every_row_of_the_ablation_table(semantic: bool, multiview: bool, feature_alignment: bool) -> None:
    method = fixed(semantic=semantic, multiview=multiview, feature_alignment=feature_alignment)
    kinds = ["own"] + ["augmented"] * multiview + ["neighbours"] * semantic
    content = {"image": batch()["image"], "audio": batch()["audio"], **{k: batch()[k] for k in kinds[1:]}}
    losses = method.loss(content)
    expected = plain_losses(method, content, kinds, "mean")
    assert losses["total"].item() == pytest.approx(sum(expected), rel=1e-4)
    assert ("alignment" in losses) == feature_alignment
    assert method.needs == frozenset(kinds[1:])
    assert method.augmented_policies == ("simclr", "time_shift")


def identical() -> dict:
    """Every clip the same, in every kind."""
    one = batch()
    same = {"image": one["image"][:1].expand(BATCH, -1, -1, -1), "audio": one["audio"][:1].expand(BATCH, -1)}
    return {**same, "augmented": same, "neighbours": same}


@pytest.mark.parametrize("options", [{}, {"localization": "softmask"}, {"direction": "symmetric"}])
def test_identical_clips_give_a_logarithm_of_the_batch_per_pair_and_term(options: dict) -> None:
    losses = fixed(**options).loss(identical())
    assert losses["localization"].item() == pytest.approx(9 * math.log(BATCH), rel=1e-5)
    assert losses["alignment"].item() == pytest.approx(9 * math.log(BATCH), rel=1e-5)


def test_symmetric_is_the_mean_of_both_directions() -> None:
    content = batch()
    options = {"semantic": False, "multiview": False, "feature_alignment": False}
    visual, auditory = content["image"], content["audio"]
    table = [[plain_similarity(visual[i], auditory[j], "mean") for j in range(BATCH)] for i in range(BATCH)]
    transposed = [list(column) for column in zip(*table, strict=True)]
    expected = (plain_contrast(table) + plain_contrast(transposed)) / 2
    assert float(fixed(**options, direction="symmetric").loss(content)["total"]) == pytest.approx(expected, rel=1e-4)
    assert plain_contrast(table) != pytest.approx(plain_contrast(transposed), rel=1e-3)


def test_excluded_clips_are_no_negatives_in_either_direction() -> None:
    near = torch.zeros(BATCH, BATCH, dtype=torch.bool)
    near[0, 1:4] = True
    nothing = torch.zeros_like(near)
    content = identical() | {"exclusions": {"image": near, "audio": nothing, "source": nothing}}
    options = {"semantic": False, "multiview": False, "feature_alignment": False, "exclude": ("image", "source")}
    expected = (math.log(BATCH - 3) + (BATCH - 1) * math.log(BATCH)) / BATCH
    for direction in ("image", "symmetric"):
        method = fixed(**options, direction=direction)
        assert float(method.loss(content)["total"]) == pytest.approx(expected, rel=1e-5)
        assert method.needs == {"exclusions"}


def test_recomputed_soft_masks_have_the_gradient_of_kept_ones() -> None:
    content = batch()
    gradients = []
    for localization in ("localization_similarity", "_soft_masked"):
        visual = torch.nn.functional.normalize(content["image"], dim=1).requires_grad_()
        auditory = torch.nn.functional.normalize(content["audio"], dim=1)
        getattr(fixed(localization="softmask"), localization)(visual, auditory).square().sum().backward()
        gradients.append(visual.grad)
    assert torch.equal(*gradients)


def test_prediction_is_the_cosine_map_of_unprojected_features_and_embeddings_are_projected() -> None:
    method, content = fixed(dimension=16), batch()
    with torch.no_grad():
        prediction = method(content["image"], content["audio"])
        image, auditory = content["image"][2], content["audio"][2]
        for y in range(CELLS):
            for x in range(CELLS):
                expected = torch.cosine_similarity(image[:, y, x], auditory, dim=0)
                assert float(prediction.map[2, y, x]) == pytest.approx(float(expected), abs=1e-5)
        assert prediction.image_embedding.shape == prediction.audio_embedding.shape == (BATCH, 16)
        projected = method.image_projection(image.mean(dim=(1, 2)))
        assert torch.allclose(prediction.image_embedding[2], projected / projected.norm(), atol=1e-5)
    assert float(prediction.map.min()) >= 0  # post-ReLU features: cosines in [0, 1]


def test_paper_size_maps_are_fourteen_by_fourteen() -> None:
    paper = Encoders(image=Encoder(last_stride=1, weights="none"), audio=Encoder(last_stride=1))
    prediction = Method(Config(), paper).eval()(torch.zeros(1, 3, 224, 224), torch.zeros(1, 1, 257, 300))
    assert prediction.map.shape == (1, 14, 14)
    assert prediction.image_embedding.shape == (1, 512)


def test_no_map_of_all_pairs_is_kept_for_the_gradient() -> None:
    """At B = 128 a pair's maps are 128 x 128 x 14 x 14 (13 MB): nine pairs, several tensors each."""
    assert maps_kept("localization_similarity", localization="mean") == 0
    assert maps_kept("localization_similarity", localization="softmask") == 0
    assert maps_kept("_soft_masked", localization="softmask") > 0  # what it would be without recomputing


def maps_kept(similarity: str, **options) -> int:
    """Tensors as large as all pairs' maps that autograd holds after a forward pass."""
    size, kept = 24, []

    def record(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    visual = torch.rand(size, CHANNELS, CELLS, CELLS, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        getattr(fixed(**options), similarity)(visual, torch.rand(size, CHANNELS))
    return kept.count(size * size * CELLS * CELLS)
