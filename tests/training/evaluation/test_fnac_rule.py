"""FNAC's two runs of a test, from the description of its evaluator: what is enlarged how, mixed and cut."""

import numpy as np
import pytest
import torch

from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols import find_protocol

SIZE, HALF, ALPHA = 224, 224 * 224 // 2, np.float32(0.4)


def enlarged(low: np.ndarray, mode: str, aligned: bool) -> np.ndarray:
    given = torch.from_numpy(low)[None, None]
    return torch.nn.functional.interpolate(given, (SIZE, SIZE), mode=mode, align_corners=aligned)[0, 0].numpy()


def record(name: str) -> MapProtocol:
    found = find_protocol(name)
    assert isinstance(found, MapProtocol)
    return found


def stretched(high: np.ndarray) -> np.ndarray:
    return (high - high.min()) / (high.max() - high.min())


def top_half(values: np.ndarray) -> np.ndarray:
    return values >= np.sort(values.ravel())[HALF]


@pytest.mark.parametrize(("name", "heard"), [("ezvsl", ("bilinear", True)), ("fnac_bicubic", ("bicubic", False))])
def test_its_runs_differ_in_the_audio_visual_map_alone(name: str, heard: tuple[str, bool]) -> None:
    random = np.random.default_rng(0)
    low, prior = (random.normal(size=(4, 7, 7)).astype(np.float32) for _ in range(2))
    protocol = record(name)
    found = {each: binarise(made.maps, protocol).masks for each, made in prepare(low, protocol, prior, 0.4).items()}
    for at in range(len(low)):
        own, seen = stretched(enlarged(low[at], *heard)), stretched(enlarged(prior[at], "bilinear", True))
        mixed = stretched(ALPHA * own + (1 - ALPHA) * seen)
        for each, expected in (("audio_visual", own), ("object_prior", seen), ("combined", mixed)):
            assert (found[each][at] == top_half(expected)).all(), each


def test_without_an_object_prior_it_is_the_selection_of_ezvsl() -> None:
    """Beside which a prior would be enlarged as nobody's code does."""
    low, prior = np.random.default_rng(1).normal(size=(2, 3, 7, 7)).astype(np.float32)
    fnac, ezvsl = (prepare(low, record(name), prior) for name in ("fnac_bicubic", "ezvsl_train"))
    assert (fnac["audio_visual"].maps == ezvsl["audio_visual"].maps).all()
    assert not (fnac["object_prior"].maps == ezvsl["object_prior"].maps).all()


def test_records_of_before_are_what_they_were() -> None:
    """The field is stored where it is not as it was for all, so that results of before share tables with new ones."""
    assert "object_enlarging" not in find_protocol("ezvsl_train").as_json()
    assert find_protocol("fnac_bicubic").as_json()["object_enlarging"] == "bilinear_aligned"
