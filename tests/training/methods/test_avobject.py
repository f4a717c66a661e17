"""AVObject: its steps in time, its loss read plainly, what a shift changes, and its weights."""

import math
import sys

import pytest
import torch
from pydantic import ValidationError

from index.encoders.efficientnet_lite import Classifier
from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.encoders.burst import SPAN, build_burst_trunk, spread
from training.encoders.weights import build_image_trunk
from training.methods.avobject import Config, Method, smoothed
from training.methods.contract import Prediction

SMALL = Encoder(blocks=(1, 1), width=16, weights="none")
TINY = Encoders(image=SMALL, audio=SMALL)
BATCH, SIDE, IMAGES = 3, 32, 9


def build(**options) -> Method:
    torch.manual_seed(0)
    return Method(Config(**{"dimension": 16, "shifts": 3, "scale": 4.0} | options), TINY).eval()


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(BATCH, 3, SIDE, SIDE, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 300, generator=generator),
        "burst": torch.randn(BATCH, IMAGES, 3, SIDE, SIDE, generator=generator),
        "source": torch.tensor([0, 1, 1]),
    }


def test_n_images_and_4_n_columns_are_n_less_4_steps() -> None:
    """100 columns a second are four an image at 25 a second; the sound of n - 4 steps is that of n images."""
    method, batch = build(), make_batch()
    with torch.no_grad():
        assert method.seen(batch["burst"]).shape[:2] == (BATCH, IMAGES - 4)
        middle = batch["audio"].clone()
        first = 150 - 4 * IMAGES // 2
        middle[..., :first], middle[..., first + 4 * IMAGES :] = 7.0, -7.0
        own, cut = (method.heard(audio, IMAGES - 4, 0) for audio in (batch["audio"], middle))
        assert own.shape == (BATCH, IMAGES - 4, 16)
        assert torch.equal(own, cut)
        assert not torch.equal(method.heard(middle, IMAGES - 2, 0), method.heard(batch["audio"], IMAGES - 2, 0))


def test_images_and_sounds_that_shift_together_agree_as_before() -> None:
    method, batch = build(shifts=2), make_batch()
    with torch.no_grad():
        visual, auditory = method.seen(batch["burst"]), method.heard(batch["audio"], 5, 2)
        every = method.shifted(visual, auditory)
        later = torch.cat([auditory[:, :1] * 0, auditory], dim=1)
        assert torch.allclose(method.shifted(visual, later)[:, 1:], every)  # one image later is one shift later
        rolled = batch["audio"].roll(4, dims=-1)  # four columns: one image
        moved = method.heard(rolled, 5, 2)
        assert torch.allclose(moved[:, 1:], auditory[:, :-1], atol=1e-6)


@pytest.mark.parametrize("others", [True, False])
def test_loss_is_that_of_a_plain_reading(others: bool) -> None:
    method, batch = build(nearest=2, others=others), make_batch()
    with torch.no_grad():
        total = method.loss(batch)["total"].item()
        v, a = method.seen(batch["burst"]), method.heard(batch["audio"], 5, 3)

    def agreement(i: int, j: int, delta: int) -> float:
        steps = [max((v[i, t].flatten(1).T @ a[j, t + 3 + delta]).tolist()) for t in range(5)]
        return 4.0 * sum(steps) / 5

    costs = []
    for i in range(BATCH):
        logits = [agreement(i, i, 0), *(agreement(i, i, delta) for delta in (-3, -2, 2, 3))]
        if others:  # clips 1 and 2 are of one video
            logits += [agreement(i, j, 0) for j in range(BATCH) if {i, j} != {1, 2} and i != j]
        costs.append(math.log(sum(math.exp(one) for one in logits)) - logits[0])
    assert total == pytest.approx(sum(costs) / BATCH, rel=1e-4)


def test_a_model_that_tells_nothing_apart_pays_the_logarithm_of_what_there_is() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        method.scale.zero_()
        batch["source"] = torch.arange(BATCH)
        assert method.loss(batch)["total"].item() == pytest.approx(math.log(1 + 6 + 2), rel=1e-5)


def test_prediction_is_at_the_shift_that_agrees_best() -> None:
    batch = make_batch()
    apart, fixed = build(synchronise=True, smoothing=False), build(synchronise=False, smoothing=False)
    with torch.no_grad():
        visual, auditory = apart.seen(batch["burst"]), apart.heard(batch["audio"], 5, 3)
        best = apart.shifted(visual, auditory).argmax(dim=1)
        found, still = apart.predict(batch), fixed.predict(batch)
        for number in range(BATCH):
            wanted = 4.0 * torch.einsum("dhw,d->hw", visual[number, 2], auditory[number, 2 + best[number]])
            own = 4.0 * torch.einsum("dhw,d->hw", visual[number, 2], auditory[number, 5])
            assert torch.allclose(found.map[number], wanted, atol=1e-5)
            assert torch.allclose(still.map[number], own, atol=1e-5)
            assert found.score[number].item() == pytest.approx(wanted.max().item(), rel=1e-4)


def test_an_image_alone_is_one_that_stands_still() -> None:
    method, batch = build(synchronise=False), make_batch()
    still = batch["image"][:, None].expand(-1, IMAGES, -1, -1, -1)
    with torch.no_grad():
        alone, shown = method(batch["image"], batch["audio"]), method.predict(batch | {"burst": still})
        assert torch.allclose(alone.score, shown.score, atol=1e-5)
        # more steps average more sounds
        assert torch.allclose(method.predict(batch | {"burst": still[:, :SPAN]}).map, alone.map, atol=1e-6)


def test_smoothing_averages_steps_and_neighbours() -> None:
    flat = torch.ones(1, 7, 2, 3)
    assert torch.allclose(smoothed(flat, 3), torch.ones(1, 2, 3))  # the border is no zero
    one = torch.zeros(1, 7, 2, 3)
    one[0, 1, 0, 1] = 15.0  # within the five in the middle
    one[0, 0] = one[0, 6] = 99.0
    assert torch.allclose(smoothed(one, 3)[0], torch.tensor([[1.5, 1.0, 1.5], [0.0, 0.0, 0.0]]))


def test_five_equal_images_are_seen_as_one_is(tmp_path) -> None:
    torch.manual_seed(1)
    still = build_image_trunk(SMALL).eval()
    file = tmp_path / "weights.pth"
    torch.save(still.state_dict(), file)
    trunk = build_burst_trunk(SMALL.model_copy(update={"weights": str(file)})).eval()
    image = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        seen = trunk(image[:, None].expand(-1, 6, -1, -1, -1))
        assert seen.shape[:2] == (2, 2)
        assert torch.allclose(seen[:, 0], still(image), atol=1e-4)
    assert spread(torch.ones(4, 3, 7, 7)).sum() == pytest.approx(4 * 3 * 49)
    with pytest.raises(InputError, match=r"layout resnet or efficientnet_lite0, and .* is vgg16"):
        build_burst_trunk(Encoder(layout="vgg16"))


@pytest.mark.parametrize("last_stride", [1, 2])
def test_five_equal_images_are_seen_as_one_is_by_efficientnet(tmp_path, last_stride: int) -> None:
    torch.manual_seed(1)
    classifier = Classifier()
    for layer in (each for each in classifier.modules() if isinstance(each, torch.nn.Conv2d)):
        torch.nn.init.kaiming_normal_(layer.weight)  # with torch's own first weights the signal vanishes on the way
    torch.save(classifier.state_dict(), tmp_path / "weights.pth")
    encoder = Encoder(layout="efficientnet_lite0", weights=str(tmp_path / "weights.pth"), last_stride=last_stride)
    still, trunk = build_image_trunk(encoder).eval(), build_burst_trunk(encoder).eval()
    image = torch.randn(2, 3, 60, 64)
    with torch.no_grad():
        seen = trunk(image[:, None].expand(-1, 6, -1, -1, -1))
        assert seen.shape[:2] == (2, 2)
        assert seen.std() > 0.1
        assert torch.allclose(seen[:, 1], still(image), rtol=1e-3, atol=1e-3)
        changed = image[:, None].repeat(1, 5, 1, 1, 1)
        changed[:, 4] += 1
        assert not torch.allclose(trunk(changed)[:, 0], still(image), atol=1e-2)


def test_what_the_sound_does_not_reach_is_refused() -> None:
    beyond = {"rate": 8.0, "shifts": 7, "sound_seconds": 1.0}
    for wrong in ({"images": 8}, {"rate": 8.0}, {"shifts": 0, "others": False}, {"sound_seconds": 3.5}, beyond):
        with pytest.raises(ValidationError):
            Config(**wrong)
    Config(rate=8.0, shifts=7)
    Config(**beyond | {"shifts": 6})


def test_a_step_hears_as_many_seconds_as_it_is_given() -> None:
    """A second around the moment: 100 of 300 columns; steps beside it as many columns later as before."""
    method, audio = build(images=5, shifts=2, sound_seconds=1.0), make_batch()["audio"]
    changed = audio.clone()
    changed[..., :100], changed[..., 200:] = 7.0, -7.0
    with torch.no_grad():
        assert torch.equal(method.heard(audio, 1, 0), method.heard(changed, 1, 0))
        changed[..., 198:] = -7.0
        assert not torch.equal(method.heard(audio, 1, 0), method.heard(changed, 1, 0))
        moved = method.heard(audio.roll(4, dims=-1), 1, 2)
        assert torch.allclose(moved[:, 1:], method.heard(audio, 1, 2)[:, :-1], atol=1e-6)


def test_sounds_too_short_for_a_trunk_are_refused_with_the_option_that_makes_them_longer() -> None:
    audio = torch.zeros(2, 1, 64, 298)
    for layout in ("yamnet", "vggish"):
        encoders = Encoders(image=SMALL, audio=Encoder(layout=layout, weights="none"))
        method = Method(Config(images=5, rate=8.0, shifts=1, dimension=16), encoders).eval()
        with pytest.raises(InputError, match="sound_seconds: 1"):
            method.heard(audio, 1, 0)
        longer = Method(Config(images=5, rate=8.0, shifts=1, dimension=16, sound_seconds=1.0), encoders).eval()
        with torch.no_grad():
            assert longer.heard(audio, 1, 1).shape == (2, 3, 16)


def test_objects_are_the_best_peaks_each_with_the_cells_that_are_nearest() -> None:
    method = build(n_peaks=2)
    seen = torch.full((2, 4, 8), -1.0)
    seen[0, 1, 1], seen[0, 2, 6], seen[0, 3, 3] = 3.0, 2.0, 1.0
    seen[1, 0, 4] = seen[1, 0, 5] = 3.0  # a quarter of the height apart
    seen[1, 1:] = torch.linspace(-2, -4, 3).view(3, 1)
    method.predict = lambda batch: Prediction(seen, *[torch.zeros(2)] * 3)
    assert method.source_maps({}, 1).maps.shape == (2, 1, 4, 8)
    maps, heard = method.source_maps({}, 3)
    assert maps.shape == (2, 2, 4, 8)
    assert torch.equal(heard, torch.ones(2, 2))
    columns = torch.arange(8).expand(4, 8)
    left = (columns - 1).abs() + (torch.arange(4).view(4, 1) - 1).abs()
    right = (columns - 6).abs() + (torch.arange(4).view(4, 1) - 2).abs()
    assert torch.equal(maps[0, 0], (seen[0] + 4.0) * (left <= right))  # l is at least -4
    assert torch.equal(maps[0, 1], (seen[0] + 4.0) * (left > right))
    one = Method(method.config.model_copy(update={"apart": 3.0}), TINY)
    one.predict, one.scale = method.predict, method.scale
    maps, heard = one.source_maps({}, 2)
    assert torch.equal(heard, torch.tensor([[1.0, 0.0]] * 2))
    assert torch.equal(maps[:, 0], seen + 4.0)
    assert not maps[:, 1].any()


def test_objects_are_those_of_consecutive_images() -> None:
    method, batch = build(n_peaks=64, apart=0.0), make_batch()
    with torch.no_grad():
        maps, heard = method.source_maps(batch, 64)
        shown = method.predict(batch).map
        assert torch.allclose(maps.sum(dim=1), shown + 4.0, atol=1e-5)
        assert not torch.allclose(shown, method(batch["image"], batch["audio"]).map, atol=1e-3)
        for own, there, whole in zip(maps, heard, shown, strict=True):
            found = [float(part.amax()) for part in own[there > 0]]
            assert found == sorted(found, reverse=True)
            assert found[0] == pytest.approx(float(whole.max()) + 4.0, abs=1e-5)


def test_a_traced_map_is_the_mean_along_paths_of_the_smoothed_ones() -> None:
    pytest.importorskip("cv2", reason="the proposals extra is not installed")
    batch, method, plain = make_batch(), build(traced=True), build()
    still = batch | {"burst": batch["image"][:, None].expand(-1, IMAGES, -1, -1, -1)}
    with torch.no_grad():
        visual = method.seen(still["burst"])
        logits = method.logits(visual, method.heard(batch["audio"], 5, 0))
        fixed = Method(method.config.model_copy(update={"synchronise": False}), TINY).eval()
        fixed.load_state_dict(method.state_dict())
        every = torch.stack([smoothed(logits, step) for step in range(5)])
        assert torch.allclose(fixed.predict(still).map, every.mean(dim=0), atol=1e-3)  # nothing moves, or hardly
        moving, here = method.predict(batch), plain.predict(batch)
        assert torch.equal(moving.score, here.score)
        assert not torch.allclose(moving.map, here.map, atol=1e-3)
        assert torch.equal(method(batch["image"], batch["audio"]).map, plain(batch["image"], batch["audio"]).map)


def test_tracing_without_opencv_is_refused_by_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    build()
    with pytest.raises(InputError, match=r"method\.traced needs OpenCV"):
        build(traced=True)
