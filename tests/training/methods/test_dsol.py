"""DSOL's first stage: a plain forward and loss, objects that are named, and epochs that take turns."""

import math

import pytest
import torch

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.methods.dsol import Config, Method, grown

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH = 6


class Clips:
    """A batch as all that is trained on."""

    rows, sha256 = torch.arange(10, 10 + BATCH), "ab" * 32

    def __init__(self, method: Method, batch: dict) -> None:
        self.method, self.batch, self.looks = method, batch, 0

    @torch.no_grad()
    def each(self, of) -> torch.Tensor:
        self.looks += 1
        self.method.eval()
        found = of(self.batch)
        self.method.train()
        return found


def build(**options: object) -> Method:
    torch.manual_seed(0)
    return Method(Config(**{"dimension": 16, "clusters": 2} | options), TINY)


def make_batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(BATCH, 3, 64, 64, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "row": Clips.rows,
        "source": torch.arange(BATCH),
    }


def plain_maps(method: Method, batch: dict) -> torch.Tensor:
    """(B, B, h, w) sigmoid maps from the weights alone."""
    weights, seen = method.state_dict(), method.image_trunk(batch["image"])
    hidden = torch.einsum("dc,nchw->ndhw", weights["image_head.0.weight"][:, :, 0, 0], seen)
    hidden = (hidden + weights["image_head.0.bias"].view(1, -1, 1, 1)).clamp(min=0)
    cells = torch.einsum("dc,nchw->ndhw", weights["image_head.2.weight"][:, :, 0, 0], hidden)
    cells = cells + weights["image_head.2.bias"].view(1, -1, 1, 1)
    heard = method.audio_trunk(batch["audio"]) @ weights["audio_head.0.weight"].T + weights["audio_head.0.bias"]
    sounds = heard.clamp(min=0) @ weights["audio_head.2.weight"].T + weights["audio_head.2.bias"]
    maps = torch.zeros(BATCH, BATCH, *cells.shape[2:])
    for n in range(BATCH):
        for m in range(BATCH):
            product = (cells[n] * sounds[m].view(-1, 1, 1)).sum(dim=0)
            cosine = product / cells[n].norm(dim=0) / sounds[m].norm()
            maps[n, m] = 1 / (1 + torch.exp(-weights["scale"] * cosine))
    return maps


def test_forward_and_localization_loss_are_those_of_a_plain_reading() -> None:
    method, batch = build(mismatches="all").eval(), make_batch()
    with torch.no_grad():
        maps, prediction, losses = plain_maps(method, batch), None, method.loss(batch)
        prediction = method(batch["image"], batch["audio"])
    best = maps.amax(dim=(2, 3))
    own = -sum(math.log(best[n, n]) for n in range(BATCH)) / BATCH
    pairs = [(n, m) for n in range(BATCH) for m in range(BATCH) if n != m]
    foreign = -sum(math.log(1 - best[n, m]) for n, m in pairs) / len(pairs)
    assert losses["localization"].item() == pytest.approx((own + foreign) / 2, rel=1e-4)
    assert losses["total"].item() == losses["localization"].item()
    for n in range(BATCH):
        assert torch.allclose(prediction.map[n], maps[n, n], atol=1e-5)
        assert prediction.score[n].item() == pytest.approx(best[n, n].item(), abs=1e-5)


def test_the_first_scale_lets_the_map_reach_from_almost_0_to_almost_1() -> None:
    method = build()
    ends = torch.sigmoid(method.logits(torch.tensor([-1.0, 1.0]))).tolist()
    assert ends == pytest.approx([0.0067, 0.9933], abs=1e-4)


def test_exactly_one_cell_of_a_matching_pair_learns_where_it_sounds() -> None:
    method = build()
    visual = torch.nn.functional.normalize(torch.randn(3, 16, 5, 5), dim=1).requires_grad_()
    sounds = torch.nn.functional.normalize(torch.randn(3, 16), dim=1)
    method.correspondence_loss(visual, sounds, {"source": torch.zeros(3)}, "all").backward()  # of one video: all match
    touched = visual.grad.abs().sum(dim=1).flatten(1) > 0
    best = torch.einsum("ncx,nc->nx", visual.detach().flatten(2), sounds).argmax(dim=1)
    assert torch.equal(touched, torch.nn.functional.one_hot(best, 25).bool())


def test_an_inner_cell_grows_to_five_and_one_at_the_border_stays_alone() -> None:
    mask = torch.zeros(3, 5, 6, dtype=torch.bool)
    mask[0, 2, 2] = mask[1, 0, 3] = mask[2, 1, 4] = True
    found = grown(mask)
    assert found.flatten(1).sum(dim=1).tolist() == [5, 1, 5]
    assert found[2, [1, 0, 2, 1, 1], [4, 4, 4, 3, 5]].all()


def test_objects_are_features_under_the_grown_mask_averaged_over_all_cells() -> None:
    method, batch = build(mask_threshold=0.5).eval(), make_batch()
    with torch.no_grad():
        found = method.object_features(batch["image"], batch["audio"])
        features, maps = method.image_trunk(batch["image"]), plain_maps(method, batch)
    for n in range(BATCH):
        mask = grown(maps[n, n][None] > 0.5)[0]
        expected = (
            sum(features[n, :, y, x] * mask[y, x] for y in range(mask.shape[0]) for x in range(mask.shape[1]))
            / mask.numel()
        )
        assert torch.allclose(found[n], expected, atol=1e-5)


def test_epochs_take_turns_and_objects_are_named_once_a_round() -> None:
    method, batch = build(passes=2).train(), make_batch()
    clips, turns = Clips(method, batch), []
    for epoch in range(8):
        method.before_epoch(epoch, clips)
        turns.append((method.classifying, clips.looks))
    assert turns == [(False, 0), (False, 0), (True, 1), (True, 1), (False, 1), (True, 2), (True, 2), (False, 2)]


def test_a_resumed_run_goes_on_with_the_objects_it_had() -> None:
    method, batch = build().train(), make_batch()
    method.before_epoch(2, Clips(method, batch))
    resumed, clips = build(), Clips(method, batch)
    resumed.load_state_dict(method.state_dict())
    resumed.train().before_epoch(2, clips)
    assert clips.looks == 0
    torch.manual_seed(1)
    expected = method.loss(batch)
    torch.manual_seed(1)
    assert all(torch.equal(value, expected[name]) for name, value in resumed.loss(batch).items())


def test_what_weights_of_another_run_bring_of_its_clips_is_forgotten() -> None:
    method, batch = build().train(), make_batch()
    method.before_epoch(2, Clips(method, batch))
    begun, clips = build(), Clips(method, batch)
    begun.load_state_dict(method.state_dict())
    begun.train().before_epoch(0, clips)
    assert begun.pseudo_labels.of(batch["row"]).tolist() == [0] * BATCH
    assert not begun.dictionary.any()
    begun.before_epoch(2, clips)
    assert clips.looks == 1
    assert begun.dictionary.any()


def test_labels_of_other_clips_are_no_labels_of_the_same_epoch() -> None:
    method, batch = build().train(), make_batch()
    method.before_epoch(2, Clips(method, batch))
    others = Clips(method, batch)
    others.sha256 = "cd" * 32
    method.before_epoch(2, others)
    assert others.looks == 1


def test_fewer_clips_than_classes_are_refused() -> None:
    clips = Clips(build(), make_batch())
    build(clusters=BATCH).check_clips(clips)
    build(clusters=BATCH + 1, passes=0).check_clips(clips)
    with pytest.raises(InputError, match=r"method\.clusters is 7, and there are only 6 training clips"):
        build(clusters=BATCH + 1).check_clips(clips)


def test_classes_are_learned_from_the_named_objects_alone() -> None:
    method, batch = build().train(), make_batch()
    method.before_epoch(2, Clips(method, batch))
    losses = method.loss(batch)
    assert losses["total"].item() == losses["classes"].item()
    assert losses["classes"].item() == pytest.approx(2 * math.log(2), abs=0.3)  # fresh layers have no opinion
    losses["total"].backward()
    assert method.image_classes.weight.grad.any()
    assert not method.scale.grad.any()
    assert set(method.pseudo_labels.of(batch["row"]).tolist()) == {0, 1}


def test_the_loss_of_classes_is_that_of_a_plain_reading_of_the_code() -> None:
    method, batch = build(clusters=3).train(), make_batch()
    method.before_epoch(2, Clips(method, batch))
    method.eval()
    with torch.no_grad():
        for head in (method.image_classes, method.audio_classes):
            head.weight.normal_()
            head.bias.normal_()
        losses, labels = method.loss(batch), method.pseudo_labels.of(batch["row"])
        seen, heard = method.image_trunk(batch["image"]), method.audio_trunk.cells(batch["audio"])
        cost = 0.0
        for n in range(BATCH):
            pooled = [seen[n].flatten(1).mean(dim=1), heard[n].flatten(1).max(dim=1).values]
            for name, features in zip(("image_classes", "audio_classes"), pooled, strict=True):
                weights = method.state_dict()
                logits = (weights[f"{name}.weight"] @ features + weights[f"{name}.bias"]).tolist()
                cost += (math.log(sum(map(math.exp, logits))) - logits[labels[n]]) / BATCH
    assert losses["classes"].item() == pytest.approx(cost, rel=1e-4)
    assert losses["total"].item() == losses["classes"].item()


def test_the_dictionary_holds_the_mean_object_of_each_class() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        features = method.eval().object_features(batch["image"], batch["audio"])
    method.train().before_epoch(2, Clips(method, batch))
    labels = method.pseudo_labels.of(batch["row"])
    for k in range(2):
        assert torch.allclose(method.dictionary[k], features[labels == k].mean(dim=0), atol=1e-5)
