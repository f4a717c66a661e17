"""Every released localization evaluator, run by its authors' code, against our protocols on the same maps."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from training.evaluation import localization
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocol import adaptive
from training.evaluation.protocols import known_protocols
from training.evaluation.protocols.acl import acl_sweep

PROTOCOLS = known_protocols("localization")

CHAIN = 3e-4  # one or two pixels may flip with another torch
EXACT = 1e-9
TEMPERATURE = 0.03
STYLES = ("vggss", "flickr")


# start of the reference's name, protocol, resolution of the maps, weight of the audio-visual map
EVALUATORS = [
    ("ezvsl_test_validate", PROTOCOLS["ezvsl"], 7, 0.4),
    ("ezvsl_train_validate", PROTOCOLS["ezvsl_train"], 7, 0.4),
    ("slavc_test_validate relative", PROTOCOLS["slavc_relative"].at_temperature(TEMPERATURE), 7, 0.4),
    ("slavc_test_validate absolute", PROTOCOLS["slavc_absolute"].at_temperature(TEMPERATURE), 7, 0.9),
    ("slavc_train_validate", PROTOCOLS["slavc_train"].at_temperature(TEMPERATURE), 7, 0.4),
    ("kaist_validate (", PROTOCOLS["kaist"], 7, 0.4),
    ("kaist_validate_lvs testset=vggss", PROTOCOLS["kaist_lvs"], 14, 0.4),
    ("kaist_validate_lvs testset=flickr", PROTOCOLS["kaist_lvs_aligned"], 14, 0.4),
    ("kaist_validate_ssltie", PROTOCOLS["kaist_lvs"], 14, 0.4),
    ("lvs_main", PROTOCOLS["lvs"], 14, 0.4),
    ("ssltie_test", PROTOCOLS["lvs"], 14, 0.4),
    ("sspl_eval_cal_ciou thres=0.5", PROTOCOLS["sspl"], 14, 0.4),
    ("sspl_eval_cal_ciou thres=None", replace(PROTOCOLS["sspl"], rule="top_share"), 14, 0.4),
]
CASES = [(style, *entry) for entry in EVALUATORS for style in STYLES if "testset" not in entry[0] or style in entry[0]]
IDS = [f"{case[0]}-{case[1]}" for case in CASES]
MAP_NAMES = {"av": "audio_visual", "obj": "object_prior", "av_obj": "combined", "ogl": "combined"}


def references(found):
    """(our map's name, the reference block) pairs of one evaluator's entry."""
    return [("audio_visual", found)] if "ciou" in found else [(MAP_NAMES[name], found[name]) for name in found]


@lru_cache(maxsize=1)
def prepared_maps(golden, protocol, side, alpha):
    """Those of the case before, where only the truth differs."""
    inputs = golden("golden_maps.npz")
    raw = inputs["low7"] / np.float32(TEMPERATURE) if side == 7 else inputs["low14"]
    return prepare(raw, protocol, inputs["obj7"], alpha)


def predicted(golden, protocol, side, alpha, weights):
    """cIoU and prepared maps of the 64 scenes by map name."""
    prepared = prepared_maps(golden, protocol, side, alpha)
    support = (weights != 0).sum(axis=(1, 2))
    iou = {
        name: localization.ciou(binarise(maps.maps, protocol, support).masks, weights)
        for name, maps in prepared.items()
    }
    return iou, prepared


@pytest.mark.parametrize(("style", "start", "protocol", "side", "alpha"), CASES, ids=IDS)
def test_chain(golden, weights, style, start, protocol, side, alpha):
    chains = golden("golden_localisation.json")["chain"][style]
    (found,) = (chains[name] for name in chains if name.startswith(start))
    iou, prepared = predicted(golden, protocol, side, alpha, weights[style])
    for name, expected in references(found):
        np.testing.assert_allclose(iou[name], expected["ciou"], atol=CHAIN, rtol=0)
        if "conf" in expected:
            np.testing.assert_allclose(prepared[name].confidence, expected["conf"], atol=1e-5, rtol=0)
        if "auc" in expected:
            assert localization.auc(iou[name]) == pytest.approx(expected["auc"], abs=EXACT)
            assert localization.success_rate(iou[name]) == expected["ciou50"]
        if "curve21" in expected:
            np.testing.assert_allclose(localization.success_curve(iou[name]), expected["curve21"], atol=EXACT, rtol=0)
        if "mean_ciou" in expected:
            assert localization.mean_iou(iou[name]) == pytest.approx(expected["mean_ciou"], abs=CHAIN)


@pytest.mark.parametrize(
    ("style", "start", "protocol", "side", "alpha"), [case for case in CASES if case[1].startswith("kaist")]
)
def test_adaptive_chain(golden, weights, style, start, protocol, side, alpha):
    chains = golden("golden_localisation.json")["chain"][style]
    (found,) = (chains[name] for name in chains if name.startswith(start))
    iou, _ = predicted(golden, adaptive(protocol, "adaptive of " + protocol.name), side, alpha, weights[style])
    for name, expected in references(found):
        np.testing.assert_allclose(iou[name], expected["ciou_adap"], atol=CHAIN, rtol=0)
        assert localization.success_rate(iou[name]) == expected["ciou_adap50"]
        assert localization.auc(iou[name]) == pytest.approx(expected["auc_adap"], abs=EXACT)


def test_the_adaptive_presets_are_those_of_the_kaist_chains():
    for name, base in (
        ("adaptive", "kaist"),
        ("adaptive_lvs", "kaist_lvs"),
        ("adaptive_lvs_aligned", "kaist_lvs_aligned"),
    ):
        assert PROTOCOLS[name] == adaptive(PROTOCOLS[base], name)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("evaluator", ["ez", "lvs", "tie", "kaist"])
def test_map_level(golden, weights, style, evaluator):
    expected = golden("golden_localisation.json")["map_level"][style][evaluator]
    inputs = golden("golden_maps.npz")
    truth = weights[style][inputs["full_idx"]]
    protocol = PROTOCOLS["kaist" if evaluator == "kaist" else "ezvsl"]
    masks = binarise(inputs["full"], protocol).masks
    intersection, union = localization.overlap(masks, truth)
    thresholds = np.sort(inputs["full"].reshape(len(masks), -1), axis=1)[:, 25088]
    rows = np.stack([thresholds, intersection, union, localization.ciou(masks, truth)], axis=1)
    np.testing.assert_allclose(rows, expected["per_sample_thr_inter_union_ciou"], atol=EXACT, rtol=0)
    iou = rows[:, 3]
    assert localization.success_rate(iou) == expected["ciou50"]
    for key, metric in (("mean_ciou", localization.mean_iou), ("auc", localization.auc)):
        if key in expected:
            assert metric(iou) == pytest.approx(expected[key], abs=EXACT)


def test_slavc_train_prints_the_strict_success_rate(golden, weights):
    for style in STYLES:
        chains = golden("golden_localisation.json")["chain"][style]
        expected = next(chains[name] for name in chains if name.startswith("slavc_train_validate"))
        iou = np.array(expected["ciou"])
        assert localization.success_rate(iou, strict=True) == expected["precision_at_50"]


@pytest.mark.parametrize("style", STYLES)
def test_acl_takes_finished_maps(golden, weights, style):
    chains = golden("golden_localisation.json")["chain"][style]
    high = prepare(golden("golden_maps.npz")["low7"], PROTOCOLS["ezvsl"])["audio_visual"].maps
    fixed = {protocol.level: protocol for protocol in acl_sweep()}[0.5]
    for protocol, name in ((fixed, "thr=0.5"), (PROTOCOLS["ezvsl"], "thr=None bs=1 (full maps)")):
        expected = chains[f"acl_vggss_evaluator {name}"]
        iou = localization.ciou(binarise(high, protocol).masks, weights[style])
        np.testing.assert_allclose(iou, expected["ciou"], atol=CHAIN, rtol=0)
        assert localization.success_rate(iou) == expected["ciou50"]
        assert localization.auc(iou) == pytest.approx(expected["auc"], abs=EXACT)


@pytest.mark.parametrize("name", ["low7_0", "low7_20", "low14_0", "low14_20"])
def test_interpolation_and_scaling(golden, name):
    from training.evaluation import maps

    reference = golden("golden_interp.npz")
    raw = reference[f"{name}_raw"][None]
    logits = raw / np.float32(TEMPERATURE)
    for mode in ("bilinear", "bicubic"):
        for aligned in (True, False):
            stem = f"{name}_{mode}_ac{'T' if aligned else 'F'}"
            high = maps.upsample(logits, mode, aligned)
            np.testing.assert_allclose(high[0], reference[f"{stem}_up_of_logits"], atol=4e-5, rtol=0)
            np.testing.assert_allclose(maps.minmax(high)[0], reference[f"{stem}_norm"], atol=1e-6, rtol=0)
    cosine = maps.upsample(raw, "bilinear", align_corners=False)
    np.testing.assert_allclose(cosine[0], reference[f"{name}_cv2linear_up_of_cosine"], atol=1.2e-7, rtol=0)
    np.testing.assert_allclose(maps.flipped_minmax(cosine)[0], reference[f"{name}_lvs_pred"], atol=1e-6, rtol=0)
    bounded = maps.rescale(maps.upsample(logits, "bicubic", True), -1 / TEMPERATURE, 1 / TEMPERATURE)
    np.testing.assert_allclose(bounded[0], reference[f"{name}_slavc_scores"], atol=1e-6, rtol=0)


def test_scaling_is_exact_on_the_reference_input(golden):
    from training.evaluation import maps

    reference = golden("golden_interp.npz")
    for name in ("low7_0", "low14_20"):
        high = reference[f"{name}_bicubic_acF_up_of_logits"][None]
        np.testing.assert_array_equal(maps.minmax(high)[0], reference[f"{name}_bicubic_acF_norm"])
        cosine = reference[f"{name}_cv2linear_up_of_cosine"][None]
        np.testing.assert_array_equal(maps.flipped_minmax(cosine)[0], reference[f"{name}_lvs_pred"])
