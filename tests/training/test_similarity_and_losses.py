"""Closed forms of the shared building blocks."""

import ast
import math
from pathlib import Path

import pytest
import torch
from every import for_every
from places import ROOT

from training.losses import info_nce, symmetric_info_nce
from training.similarity import (
    cosine_maps,
    einsum,
    max_response,
    mean_response,
    own_maps,
    paired_maps,
    pooled_by_map,
    pooled_response,
    unit,
)


@pytest.mark.parametrize("size", [2, 7, 64])
def test_uniform_logits_give_the_logarithm_of_the_batch(size: int) -> None:
    logits = torch.full((size, size), 3.7)
    assert float(info_nce(logits)) == pytest.approx(math.log(size), abs=1e-6)
    assert float(symmetric_info_nce(logits)) == pytest.approx(2 * math.log(size), abs=1e-6)


def test_info_nce_of_two_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, -1.0]])
    rows = (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(2.0))) / 2
    columns = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(1.0))) / 2
    assert float(info_nce(logits)) == pytest.approx(rows, abs=1e-6)
    assert float(symmetric_info_nce(logits)) == pytest.approx(rows + columns, abs=1e-6)


def test_info_nce_survives_half_precision_logits() -> None:
    logits = torch.full((4, 4), 200.0, dtype=torch.bfloat16)
    assert float(info_nce(logits)) == pytest.approx(math.log(4), abs=1e-6)


def test_excluded_candidates_are_no_negatives_of_their_anchor_in_either_direction() -> None:
    logits, excluded = torch.zeros(4, 4), torch.zeros(4, 4, dtype=torch.bool)
    excluded[1, 2:] = True
    expected = (3 * math.log(4) + math.log(2)) / 4
    assert float(info_nce(logits, excluded)) == pytest.approx(expected, abs=1e-6)
    logits[2, 1] = logits[3, 1] = 5.0  # sound 1 with images that are near clip 1: column 1 must not count them
    columns = (3 * math.log(4) + math.log(2)) / 4
    rows = (math.log(4) + math.log(2) + 2 * math.log(3 + math.exp(5))) / 4
    assert float(symmetric_info_nce(logits, excluded)) == pytest.approx(rows + columns, abs=1e-5)


def test_maps_against_loops() -> None:
    torch.manual_seed(0)
    visual, audio = unit(torch.randn(3, 5, 2, 4)), unit(torch.randn(3, 5))
    maps = cosine_maps(visual, audio)
    assert maps.shape == (3, 3, 2, 4)
    for n in range(3):
        for m in range(3):
            for y in range(2):
                for x in range(4):
                    expected = torch.cosine_similarity(visual[n, :, y, x], audio[m], dim=0)
                    assert float(maps[n, m, y, x]) == pytest.approx(float(expected), abs=1e-6)
    own = torch.stack([maps[n, n] for n in range(3)])
    assert torch.allclose(paired_maps(visual, audio), own, atol=1e-6)
    assert torch.equal(own_maps(maps), own)
    assert torch.equal(max_response(maps), maps.flatten(2).max(dim=2).values)
    assert torch.allclose(mean_response(maps), maps.flatten(2).mean(dim=2))


def test_pooled_response_is_the_cosine_of_the_max_pooled_image() -> None:
    torch.manual_seed(1)
    visual, audio = unit(torch.randn(3, 5, 2, 2)), unit(torch.randn(4, 5))
    pooled = visual.flatten(2).max(dim=2).values
    expected = torch.stack([torch.cosine_similarity(pooled, a.expand(3, 5), dim=1) for a in audio], dim=1)
    assert torch.allclose(pooled_response(visual, audio), expected, atol=1e-6)


def test_an_image_is_pooled_where_its_sound_points() -> None:
    visual, audio = unit(torch.randn(2, 5, 3, 3)), unit(torch.randn(2, 5))
    pooled = pooled_by_map(visual, audio, temperature=1e-4)
    cells = (visual[1].flatten(1).T @ audio[1]).argmax()
    assert torch.allclose(pooled[1], visual[1].flatten(1)[:, cells], atol=1e-4)
    weights = torch.exp(torch.einsum("chw,c->hw", visual[0], audio[0]) / 0.3)
    expected = (visual[0] * weights / weights.sum()).sum(dim=(1, 2))
    assert torch.allclose(pooled_by_map(visual, audio, 0.3)[0], expected / expected.norm(), atol=1e-5)


ROUNDED = {"torch.einsum", "torch.matmul", "torch.bmm", "torch.mm", "torch.baddbmm"}
ROOMS = ("methods", "parts", "encoders")
WITH_PRODUCTS = sorted(each for room in ROOMS for each in (ROOT / "training" / room).rglob("*.py"))


def test_products_stay_in_float32_where_trunks_compute_in_bfloat16() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(8, 33, generator=generator), torch.randn(8, 33, generator=generator)
    expected = torch.einsum("nc,mc->nm", one, other)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(einsum("nc,mc->nm", one, other), expected)
        assert einsum("nc,mc->nm", one.bfloat16(), other).dtype == torch.float32
        assert not torch.equal(torch.einsum("nc,mc->nm", one, other).float(), expected)  # what it keeps away


@for_every(WITH_PRODUCTS)
def test_methods_multiply_through_it(path: Path) -> None:
    """`.float()` does not keep autocast from rounding a product; `in_float32` around `@`, or `einsum`, does."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kept = {id(inner) for each in ast.walk(tree) if _keeps(each) for inner in ast.walk(each)}
    bare = [ast.unparse(each) for each in ast.walk(tree) if _multiplies(each) and id(each) not in kept]
    assert bare == []


def _keeps(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any("in_float32" in ast.unparse(item) for item in node.items)


def _multiplies(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ROUNDED
