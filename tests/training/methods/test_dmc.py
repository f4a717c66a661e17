"""DMC: a plain forward and loss, the first version's loss, and several sounds."""

import pytest
import torch
from pydantic import ValidationError

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.methods.dmc import Config, Method, ranking_loss, squared_distances

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH = 4


def build(**options: object) -> Method:
    torch.manual_seed(0)
    return Method(Config(**{"dimension": 16, "mismatches": "all"} | options), TINY).eval()


def make_batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(BATCH, 3, 64, 64, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "source": torch.arange(BATCH),
    }


def plain_clusters(cells: torch.Tensor, clusters: int, sharpness: float = 30.0) -> tuple[list, torch.Tensor]:
    """Centres (K of (D,)) and assignments (K, P) of cells (P, D)."""
    centres = [cells[len(cells) // clusters * k] for k in range(clusters)]
    for _ in range(4):
        far = torch.stack([torch.stack([(c - u).norm().clamp(min=1e-5) for u in cells]) for c in centres])
        given = torch.softmax(-sharpness * far, dim=0)
        centres = [(w[:, None] * cells).sum(dim=0) / w.sum().clamp(min=1e-5) for w in given]
    return centres, given


def projected(method: Method, batch: dict) -> tuple[list, list]:
    """Cells (P, D) of each image and of each sound, from the weights alone."""
    weights, found = method.state_dict(), []
    for name, features in (
        ("image_head", method.image_trunk(batch["image"])),
        ("audio_head", method.audio_trunk.cells(batch["audio"])),
    ):
        matrix, bias = weights[f"{name}.weight"][:, :, 0, 0], weights[f"{name}.bias"]
        found.append([one.flatten(1).T @ matrix.T + bias for one in features])
    return found[0], found[1]


def test_forward_and_loss_are_those_of_a_plain_reading_of_the_code() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        images, sounds = projected(method, batch)
        prediction, loss = method(batch["image"], batch["audio"]), method.loss(batch)["total"]
        seen = [plain_clusters(cells, 2) for cells in images]
        heard = [cells.mean(dim=0) for cells in sounds]  # one cluster is the mean
        far = [[min(float((c - a).norm()) for c in centres) for a in heard] for centres, _ in seen]
    own = sum(0.5 * far[n][n] ** 2 for n in range(BATCH)) / BATCH
    pairs = [(n, m) for n in range(BATCH) for m in range(BATCH) if n != m]
    foreign = sum(0.5 * max(0.0, 5 - far[n][m]) ** 2 for n, m in pairs) / len(pairs)
    assert loss.item() == pytest.approx((own + foreign) / 2, rel=1e-3)
    for n, (centres, given) in enumerate(seen):
        nearest = min(range(2), key=lambda k: float((centres[k] - heard[n]).norm()))
        assert torch.allclose(prediction.map[n].flatten(), given[nearest], atol=1e-3)
        assert prediction.score[n].item() == pytest.approx(-far[n][n], rel=1e-3)


def test_every_sound_takes_its_nearest_cluster() -> None:
    seen = torch.tensor([[[0.0, 0.0], [3.0, 4.0]], [[10.0, 0.0], [0.0, 1.0]]])
    sounds = torch.tensor([[[0.0, 0.0], [3.0, 5.0]]])
    assert squared_distances(seen, sounds)[:, 0].tolist() == pytest.approx([0 + 1, 1 + 9 + 16])


def test_several_sounds_show_the_largest_of_their_maps() -> None:
    method, batch = build(image_clusters=3, audio_clusters=2), make_batch()
    with torch.no_grad():
        images, sounds = projected(method, batch)
        prediction = method(batch["image"], batch["audio"])
        for n in range(BATCH):
            (centres, given), (heard, _) = plain_clusters(images[n], 3), plain_clusters(sounds[n], 2)
            maps = [given[min(range(3), key=lambda k, a=a: float((centres[k] - a).norm()))] for a in heard]
            assert torch.allclose(prediction.map[n].flatten(), torch.stack(maps).amax(dim=0), atol=1e-3)


def test_a_mixture_has_a_map_for_each_of_as_many_sounds_as_were_mixed() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        images, sounds = projected(method, batch)
        maps, heard = method.source_maps(batch, 3)
        for n in range(BATCH):
            (centres, given), (mixed, _) = plain_clusters(images[n], 2), plain_clusters(sounds[n], 3)
            expected = [given[min(range(2), key=lambda k, a=a: float((centres[k] - a).norm()))] for a in mixed]
            assert torch.allclose(maps[n].flatten(1), torch.stack(expected), atol=1e-3)
        assert torch.equal(heard, torch.ones(BATCH, 3))
        told_of_one = method.source_maps(batch, 1).maps
        assert torch.equal(told_of_one[:, 0], method(batch["image"], batch["audio"]).map)


def test_the_first_version_has_one_map_for_all_sounds() -> None:
    method, batch = build(objective="ranking", image_clusters=3, audio_clusters=3), make_batch()
    with torch.no_grad():
        maps = method.source_maps(batch, 2).maps
        assert torch.equal(maps, method(batch["image"], batch["audio"]).map.unsqueeze(1))


def test_the_first_version_s_hinge_is_always_active() -> None:
    generator = torch.Generator().manual_seed(3)
    seen, sounds = torch.randn(BATCH, 3, 8, generator=generator), torch.randn(BATCH, 3, 8, generator=generator)
    mismatched = ~torch.eye(BATCH, dtype=torch.bool)
    expected = []
    for n in range(BATCH):
        for m in range(BATCH):
            if n != m:
                right, wrong = (torch.cosine_similarity(seen[n], sounds[i], dim=1) for i in (n, m))
                expected.append((10 + wrong - right).mean())
    found = ranking_loss(seen, sounds, mismatched, margin=10.0)
    assert found.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)


def test_ranking_needs_as_many_clusters_of_images_as_of_sounds() -> None:
    with pytest.raises(ValidationError, match="image_clusters = audio_clusters"):
        Config(objective="ranking")


def test_more_clusters_than_cells_are_refused_whoever_asks_for_them() -> None:
    batch, cells = make_batch(), 8 * 8
    build(image_clusters=cells)(batch["image"], batch["audio"])
    for options, ask, complaint in (
        ({"image_clusters": cells + 1}, lambda method: method.loss(batch), r"method\.image_clusters is 65.* 64 cells"),
        ({"image_clusters": 300}, lambda method: method(batch["image"], batch["audio"]), r"method\.image_clusters"),
        ({"audio_clusters": 9999}, lambda method: method.loss(batch), r"method\.audio_clusters is 9,999"),
        ({}, lambda method: method.source_maps(batch, 9999), "number of sounds in a mixture is 9,999"),
    ):
        with pytest.raises(InputError, match=complaint):
            ask(build(**options))
