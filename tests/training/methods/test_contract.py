"""The contract, run over every method the package finds: a new file is tested the moment it exists."""

import pytest
import torch
from every import for_every

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.encoders.kept import asked
from training.methods import method_config, method_module, method_names, method_page
from training.methods.contract import HasSourceMaps


def encoders_of(width: int) -> Encoders:
    image = Encoder(blocks=(1, 1, 1), width=width, weights="none")
    return Encoders(image=image, audio=Encoder(blocks=(1, 1, 1), width=width, input_pool=(4, 3)))


TINY, WIDE = encoders_of(16), encoders_of(64)  # wide enough to learn eight clips by heart
BATCH, SIZE, BINS, FRAMES = 8, 64, 129, 150

VARIANTS = [(name, {}) for name in method_names()] + [
    ("ezvsl", {"positives": ["own", "image", "audio", "both"]}),
    ("ezvsl", {"matching": "mean"}),
    ("ezvsl", {"matching": "pooled"}),
    ("lvs", {"formula": "as_paper"}),
    ("lvs", {"tri_map": False}),
    ("hardpos", {"temperature": None}),
    ("slavc", {"audio_to_image": "image"}),
    ("slavc", {"evaluate_teacher": True}),
    ("ezvsl", {"positives": ["own", "both"], "exclude": ["image", "audio", "source"]}),
    ("hardpos", {"combine": "sum_of_logs"}),
    ("alignment", {"localization": "softmask"}),
    ("alignment", {"direction": "symmetric"}),
    ("alignment", {"semantic": False, "exclude": ["image", "audio", "source"]}),
    ("alignment", {"multiview": False, "semantic": False, "feature_alignment": False}),
    ("sspl", {"predictive_coding": False}),
    ("ssltie", {"scale_applied": "once", "stop_gradient": True}),
    ("avol", {"mismatches": "all"}),
    ("dsol", {"passes": 0}),
    ("proposal", {"selection": "all", "attention": "cosine", "weighting": "softmax"}),
    ("proposal", {"attention": "channels", "selection": "mean", "stop_gradient": True, "sources": 2}),
    ("proposal", {"frames": 3, "rate": 4.0}),
    ("coarse_to_fine", {"stage": 2}),
    ("coarse_to_fine", {"labels": "clusters", "classes": 3}),
    ("attention10k", {"variant": "dsol", "mismatches": "all"}),
    ("avel", {"attention": "cells", "cells": 16}),
    ("avel", {"segments": 3}),
    ("heartheflow", {"flow": "maxpool"}),
    ("lcbm", {"shared": False}),
    ("lcbm", {"frames": 3}),
    ("pixelplayer", {"images": 3}),
    ("avobject", {"others": False, "synchronise": False, "smoothing": False}),
    ("dmc", {"objective": "ranking", "image_clusters": 3, "audio_clusters": 3, "margin": 1.0}),
]
CONSTANT = {"centred_disc", "whole_image"}  # the same map whatever the seed
UNTRAINED = {*CONSTANT, "object_prior", "random_map"}  # nothing to learn, hence no loss, and maps of their own size
TRAINED = [variant for variant in VARIANTS if variant[0] not in UNTRAINED]
MASKING = [  # those that know masked negatives
    (name, options)
    for name, options in TRAINED
    if "exclude" in options or "exclusions" in method_module(name).Method.needs
]
APART = [variant for variant in VARIANTS if hasattr(method_module(variant[0]).Method, "source_maps")]
PHASES = {"dsol": 3}  # epochs until every part has been trained; the others train all in each
LATER_STAGES = {"dsol_mixtures"}  # which begin with the dictionary of an earlier one
LATE = {"pixelplayer"}  # images say nothing before parts of sounds do: tried on mixtures in test_learning.py
SMALLER = {  # slow on a CPU as they are
    "pixelplayer": {"components": 8, "width": 8, "levels": 4},
    "avobject": {"images": 5, "rate": 4.0, "shifts": 2, "dimension": 32, "scale": 10.0},
}
EASIER = {  # 25 steps are few against a dropout of 0.9, and slow through a projector of 2048 channels
    "slavc": {"image_dropout": 0.0},
    "fnac": {"image_dropout": 0.0},
    "sspl": {"projection": 256, "bottleneck": 64},
    "dsol": {"clusters": 3},
}


class Eight:
    """The eight clips of `make_batch` as all that is trained on."""

    rows, sha256 = torch.arange(BATCH), "0" * 64

    def __init__(self, method: torch.nn.Module) -> None:
        self.method = method

    @torch.no_grad()
    def each(self, of) -> torch.Tensor:
        self.method.eval()
        found = of(make_batch()).float()
        self.method.train()
        return found


def build(name: str, options: dict, seed: int = 0, encoders: Encoders = TINY):
    torch.manual_seed(seed)
    method = method_module(name).Method(method_config(name, SMALLER.get(name, {}) | options), encoders)
    if name in LATER_STAGES:
        method.dictionary.normal_()
    return method


def make_batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
    audio = torch.randn(BATCH, 1, BINS, FRAMES, generator=generator)
    neighbours = {
        "image": image + 0.1 * torch.randn(image.shape, generator=generator),
        "audio": audio + 0.1 * torch.randn(audio.shape, generator=generator),
    }
    nothing = torch.zeros(BATCH, BATCH, dtype=torch.bool)
    return {
        "key": [f"clip{i}" for i in range(BATCH)],
        "row": torch.arange(BATCH),
        "source": torch.arange(BATCH),
        "label": torch.arange(BATCH) % 7,
        "image": image,
        "audio": audio,
        "neighbours": neighbours,
        "proposals": torch.tensor([[[0.1 * k, 0.05 * k, 0.1 * k + 0.4, 0.05 * k + 0.5] for k in range(6)]] * BATCH),
        "flow": torch.randn(BATCH, 2, 14, 14, generator=generator),
        "burst": image[:, None] + 0.1 * torch.randn(BATCH, 5, 3, SIZE, SIZE, generator=generator),
        "waveform": 0.5 * torch.sin(0.1 * 1.5 ** torch.arange(BATCH)[:, None] * torch.arange(4200)),
        "augmented": {"image": image.flip(-1), "audio": audio.roll(7, dims=-1)},
        "exclusions": {"image": nothing, "audio": nothing, "source": nothing},
    }


def one_clip(batch: dict) -> dict:
    alone = {name: one_clip(value) if isinstance(value, dict) else value[:1] for name, value in batch.items()}
    return alone | {"exclusions": {name: mask[:1, :1] for name, mask in batch.get("exclusions", {}).items()}}


@pytest.fixture(params=VARIANTS, ids=lambda variant: f"{variant[0]}-{variant[1] or 'default'}")
def variant(request):
    return request.param


@pytest.fixture(params=TRAINED, ids=lambda variant: f"{variant[0]}-{variant[1] or 'default'}")
def trained(request):
    return request.param


def test_features_take_the_place_of_what_only_trunks_see(trained) -> None:
    """What `training.loop.kept_features` gives a method in place of images and sounds."""
    name, options = trained
    frozen = Encoders(**{kind: getattr(TINY, kind).model_copy(update={"frozen": True}) for kind in ("image", "audio")})
    method = build(name, options, encoders=frozen).train()
    if "augmented" in method.needs:
        return
    method.before_epoch(3, Eight(method))
    trunks = next(part for part in method.modules() if hasattr(part, "image_trunk"))

    def kept(fields: dict) -> dict:
        entries = {"image": "forward", "audio": method.audio_entry}
        of = {kind: asked(getattr(trunks, f"{kind}_trunk"), entries[kind]) for kind in sorted(method.only_for_trunks)}
        made = {kind: trunk(fields[kind]) for kind, trunk in of.items()}
        return fields | made

    batch = make_batch()
    losses = []
    for given in (batch, kept(batch) | {"neighbours": kept(batch["neighbours"])}):
        torch.manual_seed(1)
        losses.append({term: value.item() for term, value in method.loss(given).items()})
    assert losses[0] == losses[1]


def test_prediction_shapes_and_ranges(variant) -> None:
    method, batch = build(*variant).eval(), make_batch()
    with torch.no_grad():
        prediction = method(batch["image"], batch["audio"])
    side = prediction.map.shape[1] if variant[0] in UNTRAINED else SIZE // 16
    assert prediction.map.shape == (BATCH, side, side)
    assert prediction.score.shape == (BATCH,)
    assert prediction.image_embedding.shape == prediction.audio_embedding.shape
    for embedding in (prediction.image_embedding, prediction.audio_embedding):
        assert torch.allclose(embedding.norm(dim=1), torch.ones(BATCH), atol=1e-5)
    assert torch.isfinite(prediction.map).all()


@pytest.mark.parametrize(("name", "options"), APART)
def test_sources_of_a_sound_are_the_same_for_every_image(name: str, options: dict) -> None:
    method, batch = build(name, options).eval(), make_batch()
    assert isinstance(method, HasSourceMaps)
    with torch.no_grad():
        maps, heard = method.source_maps(batch | {"audio": batch["audio"][:1].expand_as(batch["audio"])}, 2)
    assert maps.shape == (BATCH, heard.shape[1], SIZE // 16, SIZE // 16)
    assert torch.isfinite(maps).all()
    assert (heard >= 0).all()
    assert (heard > 0).any(dim=1).all()
    for one in heard.T:  # a source that several images show is as loud in each
        assert torch.allclose(one[one > 0], one.amax(), atol=1e-5)


def test_a_method_says_whether_it_gives_boxes(variant) -> None:
    method = build(*variant).eval()
    with torch.no_grad():
        assert (method.predict(make_batch()).boxes is not None) == method.gives_boxes


def test_loss_is_finite_and_reaches_every_trained_parameter(trained) -> None:
    name, options = trained
    method, batch = build(name, EASIER.get(name, {}) | options).train(), make_batch()
    for epoch in range(PHASES.get(name, 1)):
        method.before_epoch(epoch, Eight(method))
        losses = method.loss(batch)
        assert all(torch.isfinite(value).all() and value.ndim == 0 for value in losses.values())
        losses["total"].backward()
        assert all(p.grad is not None for p in method.parameters() if p.requires_grad)  # as several processes expect
    untouched = [n for n, p in method.named_parameters() if p.requires_grad and not p.grad.any()]
    assert not untouched


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(*one, marks=[pytest.mark.slow] if one[1] else []) for one in TRAINED if one[0] not in LATE],
)
def test_overfits_eight_samples(name: str, options: dict) -> None:
    method, batch = build(name, EASIER.get(name, {}) | options, encoders=WIDE).train(), make_batch()
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    first = float(method.loss(batch)["total"].detach())
    for step in range(25):
        optimiser.zero_grad()
        loss = method.loss(batch)["total"]
        loss.backward()
        optimiser.step()
        method.after_step(step)
    assert float(loss.detach()) < first - 0.4 * (abs(first) if abs(first) > 0.1 else 1.0)  # SSPL's goes from 0 to -1


def test_a_method_says_whether_one_clip_teaches_it_anything(trained) -> None:
    """One that does not is refused such batches before the first step."""
    method = build(*trained).train()
    method.before_epoch(0, Eight(method))
    try:
        method.loss(one_clip(make_batch()))["total"].backward()
        learns = any(p.grad is not None and p.grad.any() for p in method.parameters())
    except (InputError, ValueError):  # no mismatched pair, or no statistics of a batch
        learns = False
    assert method.least_clips == (1 if learns else 2)


def test_the_loss_survives_autocast_in_float32(trained) -> None:
    method, batch = build(*trained).train(), make_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = method.loss(batch)
    assert all(value.dtype == torch.float32 for value in losses.values())
    losses["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


@pytest.mark.parametrize(("name", "options"), MASKING)
def test_masked_negatives_cost_nothing(name: str, options: dict) -> None:
    """The more clips are no negatives the less there is to lose; where all are, nothing is, and nothing is NaN."""
    method = build(name, options).train()
    assert "exclusions" in method.needs
    everybody = ~torch.eye(BATCH, dtype=torch.bool)
    some = everybody & (torch.arange(BATCH) < 3)
    totals = []
    for mask in (torch.zeros_like(everybody), some, everybody):
        torch.manual_seed(0)
        for kind in ("image", "audio", "source"):  # each kind by itself
            batch = make_batch()
            batch["exclusions"][kind] = mask
            totals.append(method.loss(batch)["total"])
    values = torch.stack(totals).detach().view(3, 3)
    assert torch.allclose(values, values[:, :1].expand(-1, 3), rtol=1e-4, atol=1e-6)
    assert values[0, 0] > values[1, 0] > values[2, 0]
    assert values[2].abs().max() < 1e-5
    totals[-1].backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def test_same_seed_same_numbers_and_a_state_dict_is_all_there_is(variant) -> None:
    batch = make_batch()
    one, two, other = build(*variant, seed=3).eval(), build(*variant, seed=3).eval(), build(*variant, seed=4).eval()
    with torch.no_grad():
        expected = one(batch["image"], batch["audio"]).map
        assert torch.equal(expected, two(batch["image"], batch["audio"]).map)
        assert (variant[0] in CONSTANT) == torch.equal(expected, other(batch["image"], batch["audio"]).map)
        other.load_state_dict(one.state_dict())
        assert torch.equal(expected, other(batch["image"], batch["audio"]).map)


def test_a_sample_s_map_does_not_depend_on_its_company(variant) -> None:
    method, batch = build(*variant).eval(), make_batch()
    with torch.no_grad():
        together = method(batch["image"], batch["audio"]).map
        alone = method(batch["image"][2:3], batch["audio"][2:3]).map
    assert torch.allclose(together[2:3], alone, atol=1e-5)


@pytest.mark.parametrize("name", sorted(UNTRAINED))
def test_baselines_have_nothing_to_train(name: str) -> None:
    assert not any(parameter.requires_grad for parameter in build(name, {}).parameters())


@for_every(method_names())
def test_every_method_has_a_page_with_citation_and_deviations(name: str) -> None:
    page = method_page(name)
    assert "arXiv:" in page or "doi" in page.lower() or "no citation" in page.lower()
    assert "Mathematics" in page
    assert "Deviations" in page
