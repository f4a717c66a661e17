"""The learning rate's course, and what each optimiser is."""

from pathlib import Path

import pytest
import torch

from manifests.errors import InputError
from training.config import Encoders, Optim, load_config
from training.loop.optimiser import build_optimiser, learning_rate
from training.methods.random_map import Config, Method


def rates(**options: object) -> list[float]:
    optim = Optim(epochs=10, learning_rate=1.0, **options)
    return [learning_rate(optim, step, 40) for step in range(40)]


def test_steps_decay_after_their_shares_of_the_run() -> None:
    assert rates(schedule="steps", decay=0.5, decay_at=[0.2, 0.525]) == [1.0] * 8 + [0.5] * 13 + [0.25] * 19


def test_other_schedules_and_the_warm_up_stay() -> None:
    assert rates() == [1.0] * 40
    assert rates(schedule="cosine")[20] == pytest.approx(0.5)
    assert rates(schedule="steps", decay_at=[0.05], warmup_steps=2)[:3] == pytest.approx([0.5, 1.0, 0.1])


WRONG = ("schedule=steps", "decay_at=[0.5]", "decay_at=[-1]", "decay_at=[40]", "decay=2", "decay=0", "decay=0.5")


@pytest.mark.parametrize("wrong", WRONG)
def test_steps_that_would_not_count_are_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="decay"):
        load_config("ezvsl", (f"optim.{wrong}",))


def test_sgd_has_the_momentum_of_released_code() -> None:
    method = Method(Config(), Encoders())
    optimiser = build_optimiser(method, Optim(optimiser="sgd", learning_rate=0.1))
    assert isinstance(optimiser, torch.optim.SGD)
    assert optimiser.param_groups[0]["momentum"] == 0.9


def test_published_configs_train_as_released() -> None:
    """What papers and code say of rates and of what training frames show."""
    player, avol = load_config("pixelplayer"), load_config("avol")
    assert [learning_rate(player.optim, step, 100) for step in (39, 40, 80)] == pytest.approx([1e-4, 1e-5, 1e-6])
    assert [learning_rate(avol.optim, step, 20) for step in (15, 16)] == pytest.approx([1e-4, 0.94e-4])
    first, second = load_config("coarse_to_fine"), load_config("coarse_to_fine_stage2", (f"init_from={Path.cwd()}",))
    assert (first.optim.learning_rate, second.optim.learning_rate) == (1e-3, 1e-4)
    whole = [load_config(name).data for name in ("attention10k", "coarse_to_fine")]
    assert all(data.squash and data.crop_scale == 1 for data in whole)
    assert all(load_config(name).data.squash for name in ("sspl", "sspl_flickr_10k", "dmc", "dsol"))
