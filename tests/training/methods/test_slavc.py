"""SLAVC against plain loops, the two readings of its second term, and the order of its teacher's moves."""

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor

from training.config import Encoder, Encoders
from training.methods.slavc import Config, Method, log_agreement

TINY = Encoders(image=Encoder(blocks=(1, 1)), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CELLS, T = 4, 9, 0.03


def unit_features(seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Two streams of unit features: [(B, 8, 3, 3)] * 2, [(B, 8)] * 2."""
    generator = torch.Generator().manual_seed(seed)
    visual = [torch.randn(BATCH, 8, 3, 3, generator=generator) for _ in range(2)]
    auditory = [torch.randn(BATCH, 8, generator=generator) for _ in range(2)]
    return [v / v.norm(dim=1, keepdim=True) for v in visual], [a / a.norm(dim=1, keepdim=True) for a in auditory]


def softmax(values: list[float]) -> list[float]:
    exponents = [math.exp(v - max(values)) for v in values]
    return [e / sum(exponents) for e in exponents]


def plain_q(visual: list[Tensor], auditory: list[Tensor], over: str) -> list[list[float]]:
    """Q by the definition: products of probabilities, in double precision."""
    c1, c2 = (
        torch.einsum("ncx,mc->nmx", v.flatten(2).double(), a.double()) / T
        for v, a in zip(visual, auditory, strict=True)
    )
    everyone = range(BATCH)
    q = [[0.0] * BATCH for _ in everyone]
    for n in everyone:
        for m in everyone:
            where = softmax(c2[n, m].tolist())
            for x in range(CELLS):
                rivals = [float(c1[n, k, x] if over == "audio" else c1[k, m, x]) for k in everyone]
                q[n][m] += softmax(rivals)[m if over == "audio" else n] * where[x]
    return q


def plain_term(q: list[list[float]], over: str) -> float:
    columns = [list(column) for column in zip(*q, strict=True)]
    rows = q if over == "audio" else columns
    return -sum(math.log(row[i] / sum(row)) for i, row in enumerate(rows)) / BATCH


class Given(torch.nn.Module):
    """Streams that answer with given features."""

    def __init__(self, features: tuple[list[Tensor], list[Tensor]]) -> None:
        super().__init__()
        self.features = features

    def forward(self, image: Tensor, audio: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        return self.features


def method_of(student_seed: int, teacher_seed: int, **options: object) -> Method:
    method = Method(Config(dimension=8, **options), TINY)
    method.student, method.teacher = Given(unit_features(student_seed)), Given(unit_features(teacher_seed))
    return method


NOTHING = {"image": torch.zeros(0), "audio": torch.zeros(0)}


@pytest.mark.parametrize("over", ["audio", "image"])
def test_loss_equals_the_printed_formula(over: str) -> None:
    (visual, auditory), (target_visual, target_auditory) = unit_features(0), unit_features(1)
    losses = method_of(0, 1, audio_to_image=over).loss(NOTHING)
    first = plain_term(plain_q(visual, target_auditory, "audio"), "audio")
    second = plain_term(plain_q(target_visual, auditory, over), over)
    assert float(losses["image_to_audio"]) == pytest.approx(first, rel=1e-4)
    assert float(losses["audio_to_image"]) == pytest.approx(second, rel=1e-4)
    assert float(losses["total"]) == pytest.approx(first + second, rel=1e-4)


@pytest.mark.parametrize("over", ["audio", "image"])
def test_log_q_is_the_logarithm_of_q(over: str) -> None:
    visual, auditory = unit_features(2)
    maps = [torch.einsum("nchw,mc->nmhw", v, a) / T for v, a in zip(visual, auditory, strict=True)]
    expected = torch.tensor(plain_q(visual, auditory, over), dtype=torch.float64).log()
    assert torch.allclose(log_agreement(*maps, over).double(), expected, atol=1e-4)


def test_constant_cosines_give_the_logarithm_of_the_batch_in_each_term() -> None:
    visual, auditory = unit_features(0)
    visual, auditory = [v[:1].expand(BATCH, -1, -1, -1) for v in visual], [a[:1].expand(BATCH, -1) for a in auditory]
    for over in ("audio", "image"):
        method = method_of(0, 0, audio_to_image=over)
        method.student = method.teacher = Given((visual, auditory))
        losses = method.loss(NOTHING)
        assert float(losses["image_to_audio"]) == pytest.approx(math.log(BATCH), abs=1e-5)
        assert float(losses["audio_to_image"]) == pytest.approx(math.log(BATCH), abs=1e-5)


def test_the_two_readings_coincide_for_a_symmetric_problem_only() -> None:
    readings = [float(method_of(0, 1, audio_to_image=over).loss(NOTHING)["total"]) for over in ("audio", "image")]
    assert readings[0] != pytest.approx(readings[1], rel=1e-3)
    symmetric = torch.randn(BATCH, BATCH, 3, 3, generator=torch.Generator().manual_seed(0))
    symmetric = symmetric + symmetric.transpose(0, 1)
    over_audio, over_image = (log_agreement(symmetric, symmetric, over) for over in ("audio", "image"))
    assert torch.allclose(over_audio, over_image.T, atol=1e-5)


def test_log_space_survives_where_probabilities_underflow() -> None:
    recognition = torch.zeros(2, 2, 1, 2, requires_grad=True)
    gap = torch.tensor([[[[0.0, -200.0]], [[-200.0, 0.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    log_q = log_agreement(recognition + gap, -gap, "audio")  # where the sound is heard it is not seen, e^-200 each
    assert torch.isfinite(log_q).all()
    assert float(log_q[0, 0]) == pytest.approx(-200 + math.log(2), rel=1e-5)
    log_q.sum().backward()
    assert torch.isfinite(recognition.grad).all()


def test_prediction_averages_the_two_cosines_and_the_embeddings_agree_with_it() -> None:
    visual, auditory = unit_features(0)
    prediction = method_of(0, 1)(*NOTHING.values())
    assert prediction.map.shape == (BATCH, 3, 3)
    for n in range(BATCH):
        c1, c2 = (torch.einsum("chw,c->hw", v[n], a[n]) for v, a in zip(visual, auditory, strict=True))
        assert torch.allclose(prediction.map[n], (c1 + c2) / 2, atol=1e-6)
    mean = torch.cat(visual, dim=1).mean(dim=(2, 3))
    cosine = (prediction.image_embedding * prediction.audio_embedding).sum(dim=1)
    expected = prediction.map.mean(dim=(1, 2)) * math.sqrt(2) / mean.norm(dim=1)
    assert torch.allclose(cosine, expected, atol=1e-5)


def test_the_teacher_predicts_when_asked() -> None:
    student, teacher = method_of(0, 1), method_of(0, 1, evaluate_teacher=True)
    assert torch.equal(teacher(*NOTHING.values()).map, method_of(1, 0)(*NOTHING.values()).map)
    assert not torch.equal(student(*NOTHING.values()).map, teacher(*NOTHING.values()).map)


def test_targets_carry_no_gradient() -> None:
    torch.manual_seed(0)
    method = Method(Config(dimension=8), TINY).train()
    method.loss({"image": torch.randn(4, 3, 32, 32), "audio": torch.randn(4, 1, 65, 60)})["total"].backward()
    assert all(parameter.grad is None for parameter in method.teacher.parameters())
    assert all(parameter.grad is not None for parameter in method.student.parameters())


def test_one_dropout_mask_serves_both_heads_and_the_teacher_draws_its_own() -> None:
    torch.manual_seed(0)
    method = Method(Config(dimension=8), TINY).train()
    method.student.image_heads[1].load_state_dict(method.student.image_heads[0].state_dict())
    method.teacher = type(method.teacher)(method.student, 0.999)
    image, audio = torch.randn(4, 3, 32, 32), torch.randn(4, 1, 65, 60)
    (first, second), _ = method.student(image, audio)
    (of_teacher, _), _ = method.teacher(image, audio)
    assert torch.equal(first, second)
    assert not torch.allclose(first, of_teacher, atol=1e-3)


def test_moving_the_teacher_after_the_step_is_the_released_order() -> None:
    """The released forward pass moves the teacher first; over three steps its targets are those of `after_step`."""
    torch.manual_seed(0)
    ours = Method(Config(dimension=8, momentum=0.5, image_dropout=0.0), TINY).train()
    theirs = deepcopy(ours)
    batch = {"image": torch.randn(4, 3, 32, 32), "audio": torch.randn(4, 1, 65, 60)}
    optimisers = [torch.optim.SGD(m.student.parameters(), lr=0.1) for m in (ours, theirs)]
    for step in range(3):
        theirs.teacher.follow(theirs.student)
        losses = [m.loss(batch)["total"] for m in (ours, theirs)]
        assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
        for loss, optimiser in zip(losses, optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        ours.after_step(step)
