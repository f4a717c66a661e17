"""CoarseToFine: balanced pairs, parts that match, a plain forward and loss of the second stage."""

import math

import pytest
import torch

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.methods.coarse_to_fine import Config, Method, parts_loss

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CLASSES = 4, 3


def build(**options: object) -> Method:
    torch.manual_seed(0)
    return Method(Config(**{"classes": CLASSES, "dimension": 8, "hidden": 16} | options), TINY).eval()


def make_batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(BATCH, 3, 64, 64, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "label": torch.tensor([0, 1, 2, 0]),
        "row": torch.arange(BATCH),
        "source": torch.arange(BATCH),
    }


class Fixed(torch.nn.Module):
    """Logits that do not depend on features: of "they belong together" where the two halves are equal."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, both: torch.Tensor) -> torch.Tensor:
        heard, seen = both.chunk(2, dim=2)
        match = self.strength * (2.0 * (heard == seen).all(dim=2) - 1)
        return torch.stack([-match, match], dim=2)


@pytest.mark.parametrize("clips", [2, 5, 11])
def test_pairs_cost_nothing_when_right_and_ln_2_without_an_opinion(clips: int) -> None:
    method, features = build(), torch.eye(clips)
    for strength, cost in ((50.0, 0.0), (0.0, math.log(2))):
        method.pairs = Fixed(strength)
        found = method._pairs_loss(features, features, torch.arange(clips))
        assert float(found) == pytest.approx(cost, abs=1e-6)


def unit_parts(seed: int) -> torch.Tensor:
    parts = torch.randn(BATCH, CLASSES, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(parts, dim=2)


def test_parts_against_a_loop() -> None:
    heard, seen = unit_parts(0), unit_parts(1)
    there = [torch.rand(BATCH, CLASSES, generator=torch.Generator().manual_seed(n)) > 0.4 for n in (2, 3)]
    matching, others = [], []
    for i in range(BATCH):
        for k in range(CLASSES):
            for j in range(BATCH):
                for m in range(CLASSES):
                    if there[0][i, k] and there[1][j, m]:
                        square = float((heard[i, k] - seen[j, m]).square().sum())
                        if (i, k) == (j, m):
                            matching.append(square)
                        else:
                            others.append(max(0.0, 1.4 - math.sqrt(square)) ** 2)
    expected = sum(matching) / len(matching) + sum(others) / len(others)
    assert float(parts_loss(heard, seen, *there, 1.4)) == pytest.approx(expected, rel=1e-4)


def test_equal_parts_cost_nothing_to_match_and_keep_gradients_finite() -> None:
    heard = unit_parts(0)[:1, :1].requires_grad_()
    there = torch.ones(1, 1, dtype=torch.bool)
    loss = parts_loss(heard, heard.detach(), there, there, 1.4)
    assert 0 <= loss.item() < 1e-6
    loss.backward()
    assert torch.isfinite(heard.grad).all()


def test_without_a_class_that_is_there_the_parts_cost_nothing() -> None:
    heard, nothing = unit_parts(0).requires_grad_(), torch.zeros(BATCH, CLASSES, dtype=torch.bool)
    loss = parts_loss(heard, unit_parts(1), nothing, nothing, 1.4)
    assert loss.item() == 0.0
    loss.backward()
    assert not heard.grad.any()


def test_the_second_stage_is_a_plain_reading_of_the_code() -> None:
    method, batch = build(stage=2), make_batch()
    with torch.no_grad():
        prediction, losses = method(batch["image"], batch["audio"]), method.loss(batch)
        seen, heard = method.image_trunk(batch["image"]), method.audio_trunk.cells(batch["audio"])
        parts: dict[str, list] = {"seen": [], "heard": []}
        chances: dict[str, list] = {"seen": [], "heard": []}
        heads = {
            "seen": (method.image_classes, method.image_parts),
            "heard": (method.audio_classes, method.audio_parts),
        }
        for name, features in (("seen", seen), ("heard", heard)):
            classes, projection = heads[name]
            for one in features:
                cells = one.flatten(1).T
                activation = cells @ classes.weight[:, :, 0, 0].T
                chances[name].append(torch.sigmoid(activation.mean(dim=0)))
                weighed = [
                    (a.clamp(min=0)[:, None] * cells).sum(dim=0) / (a.clamp(min=0).sum() + 1e-10) for a in activation.T
                ]
                projected = [projection(phi) for phi in weighed]
                parts[name].append(torch.stack([e / e.norm().clamp(min=1e-12) for e in projected]))
        for n in range(BATCH):
            chance = chances["heard"][n]
            counted = [k for k in range(CLASSES) if chance[k] > 0.3 or chance[k] == chance.max()]
            cells = method.image_parts(seen[n].flatten(1).T)
            cells = cells / cells.norm(dim=1, keepdim=True)
            expected = sum(chance[k] * (cells @ parts["heard"][n][k]).clamp(min=0) for k in counted)
            expected = expected / sum(chance[k] for k in counted)
            assert torch.allclose(prediction.map[n].flatten(), expected, atol=1e-5)
        wanted = torch.eye(CLASSES)[batch["label"]]
        for name, term in (("seen", "image_classes"), ("heard", "audio_classes")):
            chance = torch.stack(chances[name])
            cost = -(wanted * chance.log() + (1 - wanted) * (1 - chance).log()).mean()
            assert losses[term].item() == pytest.approx(cost.item(), rel=1e-4)
        there = [torch.stack(chances[name]) > 0.3 for name in ("heard", "seen")]
        stacked = [torch.stack(parts[name]) for name in ("heard", "seen")]
        assert losses["parts"].item() == pytest.approx(parts_loss(*stacked, *there, 1.4).item(), rel=1e-4)
    assert losses["total"].item() == pytest.approx(sum(losses[n].item() for n in losses if n != "total"), rel=1e-5)


@pytest.mark.parametrize("stage", [1, 2])
def test_every_class_that_is_heard_is_a_source_and_their_maps_make_the_map(stage: int) -> None:
    method, batch = build(stage=stage), make_batch()
    with torch.no_grad():
        method.audio_classes.weight[1] = -10.0  # never heard: features are positive
        maps, heard = method.source_maps(batch, 2)
        together = method(batch["image"], batch["audio"]).map
    assert (heard[:, 1] == 0).all()
    assert (heard[:, [0, 2]] > 0).any(dim=1).all()
    assert torch.allclose((heard[..., None, None] * maps).sum(dim=1), together, atol=1e-5)


def test_class_activations_of_parts_are_held_still() -> None:
    method, batch = build(stage=2).train(), make_batch()
    method.loss(batch)["parts"].backward()
    assert method.image_parts[0].weight.grad.any()
    assert method.image_classes.weight.grad is None


class Clips:
    """A batch as all that is trained on."""

    rows = torch.arange(BATCH)

    def __init__(self, sha256: str = "ab" * 32) -> None:
        self.sha256, self.looks = sha256, 0

    @torch.no_grad()
    def each(self, of) -> torch.Tensor:
        self.looks += 1
        return of(make_batch())


def begun_with(earlier: Method, **options: object) -> Method:
    method = build(labels="clusters", **options)
    method.load_state_dict(earlier.state_dict(), strict=False)
    return method


def test_clips_without_labels_are_named_once_and_the_later_stage_keeps_the_names() -> None:
    first, clips = build(labels="clusters"), Clips()
    for epoch in range(3):
        first.before_epoch(epoch, clips)
    second = begun_with(first, stage=2)
    second.check_clips(clips)
    second.before_epoch(0, clips)
    assert clips.looks == 1
    assert torch.equal(second._labels(make_batch()), first._labels(make_batch()))
    assert first.needs == frozenset()
    assert build().needs == {"labels"}


def test_names_of_other_clips_in_the_same_rows_are_refused_by_the_later_stage_and_made_anew_by_the_first() -> None:
    first, others = build(labels="clusters"), Clips("cd" * 32)
    first.before_epoch(0, Clips())
    with pytest.raises(InputError, match=r"has named 4 clips, and they are not the 4 training clips of this one"):
        begun_with(first, stage=2).check_clips(others)
    build(labels="clusters", stage=2).check_clips(others)  # without an earlier stage it names them itself
    again = begun_with(first)
    again.check_clips(others)
    again.before_epoch(0, others)
    again.before_epoch(0, others)  # as where a run is resumed within its first epoch
    assert others.looks == 1


def test_fewer_clips_than_clusters_are_refused() -> None:
    build(labels="clusters", classes=BATCH).check_clips(Clips())
    build(classes=BATCH + 1).check_clips(Clips())
    with pytest.raises(InputError, match=r"method\.classes is 5, and there are only 4 training clips"):
        build(labels="clusters", classes=BATCH + 1).check_clips(Clips())
