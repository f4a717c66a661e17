"""A batch shared between processes gives the losses and gradients of one process that has it all, for every method."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from places import PYTHONPATH, ROOT
from union_losses import REPLICAS, build, losses_and_gradients, make_batch, shared, variants

from training.distributed import Ranks
from training.encoders.batch_norm import synchronise
from training.encoders.spread import Share, spread_trunks
from training.loop.optimiser_step import LossOf

ALONE = Ranks(0, 1, torch.device("cpu"))
VARIANTS = list(variants())


def check_equal(found: dict, expected: dict, statistics: bool = True) -> None:
    names = [name for name in expected if statistics or not name.startswith("statistics/")]
    assert set(names) <= set(found)
    assert any(name.startswith("gradient/") for name in names)
    largest = max(float(value.abs().max()) for name, value in expected.items() if name.startswith("gradient/"))
    for name in names:
        scale = largest if name.startswith("gradient/") else 1.0
        torch.testing.assert_close(
            found[name], expected[name], rtol=2e-3, atol=1e-4 * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_one_process_that_joins_its_parts_is_the_union(name: str, options: dict) -> None:
    """With synchronised batch norm nothing tells the parts from one batch; recomputing changes no statistics."""
    union = losses_and_gradients(name, options, LossOf)
    check_equal(losses_and_gradients(name, options, shared(ALONE, together=True, recompute=True)), union)


@pytest.mark.parametrize("recompute", [False, True])
def test_local_statistics_are_those_of_the_parts(recompute: bool) -> None:
    """One after the other, each part moves them once, also when it is computed twice."""
    method = build("ezvsl", {})
    shared(ALONE, together=False, recompute=recompute)(method)
    by_hand = build("ezvsl", {})
    images = make_batch()["image"].tensor_split(REPLICAS)
    expected = torch.cat([by_hand.image_trunk(part) for part in images])
    features = method.image_trunk(torch.cat(images))
    assert torch.equal(features, expected)
    features.sum().backward()
    buffers = dict(by_hand.image_trunk.named_buffers())
    assert all(torch.equal(value, buffers[key]) for key, value in method.image_trunk.named_buffers())


def test_a_trunk_holds_the_activations_of_one_part_when_it_recomputes() -> None:
    held = {}
    for recompute in (False, True):
        method = build("ezvsl", {})
        shared(ALONE, together=False, recompute=recompute)(method)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: (s.append(t.numel()), t)[1], lambda t: t):
            method.image_trunk(make_batch()["image"])
        held[recompute] = sum(sizes)
    assert held[True] < held[False] / 5


def test_a_method_that_is_evaluated_shares_nothing() -> None:
    """The first process validates alone: it must not wait for others."""
    others = Ranks(0, 2, torch.device("cpu"))  # there is no such other process
    method = build("ezvsl", {})
    spread_trunks(method, Share(others, REPLICAS, True, False))
    batch = make_batch()
    with torch.no_grad():
        assert method.eval()(batch["image"], batch["audio"]).map.shape[0] == len(batch["image"])


def test_synchronised_batch_norm_keeps_names_frozen_parts_and_weights() -> None:
    method, before = build("ezvsl", {}), build("ezvsl", {}).state_dict()
    synchronise(method, ALONE.device)
    assert [*method.state_dict()] == [*before]
    method.load_state_dict(before)
    assert not any(type(part) is torch.nn.BatchNorm2d for part in method.modules())


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 4])
def test_several_processes_are_the_union(world: int, tmp_path: Path) -> None:
    """gloo, every method: equal to one process with the whole batch; with local batch norm, to one with the parts."""
    out = tmp_path / "found.pt"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH}
    subprocess.run([*launch, ROOT / "tests/support/union_losses.py", out], check=True, env=environment)
    found = torch.load(out, weights_only=True)
    assert len(found) == 2 * len(VARIANTS)
    for name, options in VARIANTS:
        check_equal(found[f"{name} {options} True"], losses_and_gradients(name, options, LossOf))
        parts = losses_and_gradients(name, options, shared(ALONE, together=False, recompute=False))
        check_equal(found[f"{name} {options} False"], parts, statistics=False)  # each process moves its own
