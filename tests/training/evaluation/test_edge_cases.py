"""Degenerate maps: where released evaluators give an answer we give theirs, where they give NaN or luck we say so."""

from itertools import product

import numpy as np
import pytest
from every import for_every
from golden_inputs import edge_cases

from training.evaluation import localization
from training.evaluation.maps import is_constant
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocol import MapProtocol, adaptive
from training.evaluation.protocols import known_protocols

PROTOCOLS = known_protocols("localization")

CASES = edge_cases()
RAMP, EMPTY = CASES["02_empty_gt_ramp"]
EVALUATORS = {
    "ezvsl": PROTOCOLS["ezvsl"],
    "kaist": PROTOCOLS["kaist"],
    "kaist_adaptive": adaptive(PROTOCOLS["kaist"], "a"),
    "lvs": PROTOCOLS["lvs"],
    "ssltie": PROTOCOLS["lvs"],
    "slavc_relative": PROTOCOLS["slavc_relative"],
    "slavc_absolute": PROTOCOLS["slavc_absolute"],
}


def answer(protocol: MapProtocol, values: np.ndarray, weights: np.ndarray):
    """Mask and confidence of one full-size map."""
    prepared = prepare(values[None], protocol)["audio_visual"]
    mask = binarise(prepared.maps, protocol, np.array([(weights != 0).sum()])).masks
    return mask, prepared.confidence[0]


@for_every(list(product(CASES, EVALUATORS)), " by ".join)
def test_released_answers(pair, golden):
    case, evaluator = pair
    expected = golden("golden_edge.json")[case][evaluator]["result"]
    values, weights = CASES[case]
    is_slavc = evaluator.startswith("slavc")
    mask, confidence = answer(EVALUATORS[evaluator], values * np.float32(0.03) if is_slavc else values, weights)
    assert localization.ciou(mask, weights[None])[0] == pytest.approx(expected["ciou"], abs=1e-9)
    if "positives" in expected:
        assert mask.sum() == expected["positives"]
    if "conf" in expected:
        assert confidence == pytest.approx(expected["conf"], abs=1e-5)


def test_empty_prediction_on_empty_truth_is_a_miss():
    mask, _ = answer(PROTOCOLS["slavc_absolute"], np.full_like(RAMP, -0.15), EMPTY)
    assert not mask.any()
    assert localization.ciou(mask, EMPTY[None])[0] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_without_order_are_refused(value):
    broken = RAMP.copy()
    broken[10, 10] = value
    for protocol in PROTOCOLS.values():
        with pytest.raises(ValueError, match="NaN or infinity"):
            prepare(broken[None], protocol)
        with pytest.raises(ValueError, match="NaN or infinity"):
            binarise(broken[None], protocol, np.array([5]))


def test_textbook_answers_ties_with_exactly_half():
    for case, predicted in (("09a_ties_8_levels", 25088), ("09c_binary_map_fewer_ones_than_half", 25088)):
        assert answer(PROTOCOLS["textbook"], *CASES[case])[0].sum() == predicted
    assert answer(PROTOCOLS["textbook"], *CASES["01a_constant_map_0.3"])[0].sum() == 0


@pytest.mark.parametrize("value", [-0.4, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("side", [7, 14])
def test_a_constant_map_stays_constant_when_it_is_enlarged(value, side):
    """Rounding is no ranking: at a rank all or nothing, at a level what the value says."""
    small = np.full((side, side), value, np.float32)
    for name, protocol in PROTOCOLS.items():
        if protocol.interpolation == "none":
            continue
        prepared = prepare(small[None], protocol)["audio_visual"].maps
        assert is_constant(prepared)[0], name
        assert binarise(prepared, protocol, np.array([20000])).masks.mean() in (0, 1), name


def test_the_auc_grid_is_a_float_product(golden):
    expected = golden("golden_edge.json")["10b_auc_grid_float_rounding"]
    iou = np.array(expected["ciou"])
    assert localization.auc(iou) == pytest.approx(expected["auc"], abs=1e-9)
    np.testing.assert_array_equal(np.rint(localization.success_curve(iou) * len(iou)), expected["count_ge"])


def test_an_object_map_may_have_another_resolution():
    prepared = prepare(RAMP[None, ::32, ::32], PROTOCOLS["ezvsl"], RAMP[None, ::16, ::16])
    assert {name: values.maps.shape for name, values in prepared.items()} == dict.fromkeys(
        ("audio_visual", "object_prior", "combined"), (1, 224, 224)
    )
