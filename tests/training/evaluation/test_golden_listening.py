"""The evaluator of negative sounds (vssl_eval), as the plain reference and the original code give it, against ours."""

from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow.compute as pc
import pytest

from manifests.annotations import Annotation, TestSet, pixel_fraction
from manifests.sound_draws import NEGATIVES
from manifests.test_sets import INTERACTIVE, LOCALIZATION, Truth
from training.evaluation import listening
from training.evaluation.control_maps import ControlMaps
from training.evaluation.localization import auc, ciou
from training.evaluation.maps import upsample
from training.evaluation.printing import table
from training.evaluation.raw_maps import RawMaps
from training.evaluation.released_thresholds import RELEASED
from training.evaluation.tasks import score

CHAIN = 3e-4
SIZE = 224


@pytest.fixture(scope="module")
def values(golden):
    return golden("golden_listening.json")["negatives"]


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("golden_listening.npz")


@pytest.fixture(scope="module")
def weights(values):
    made = np.zeros((len(values["boxes"]), SIZE, SIZE), np.float32)
    for truth, boxes in zip(made, values["boxes"], strict=True):
        for x1, y1, x2, y2 in boxes:
            truth[y1:y2, x1:x2] = 1
    return made


@pytest.fixture(scope="module")
def enlarged(arrays):
    """Maps (48, 224, 224) by resolution and sound; own sounds on both grids."""
    sides = {
        side: {name: arrays[f"negatives_low{side}_{name}"] for name in ("positive", *NEGATIVES)} for side in (7, 14)
    }
    return {
        (side, name, corners): upsample(low, "bilinear", corners)
        for side, found in sides.items()
        for name, low in found.items()
        for corners in ((True, False) if name == "positive" else (False,))
    }


CASES = [
    ("ezvsl_vggss", 7, True),
    ("slavc_vggss", 7, True),
    ("fnac_is3", 7, True),
    ("lvs_vggss", 14, False),
    ("lvs_is3", 14, True),
    ("sslalign_vggss", 14, False),
    ("sslalign_is3", 14, True),
    ("ssltie_vggss", 14, False),
]
RULES = {"max": "max", "max10": "max10", "q3": "maxq3"}


@pytest.mark.parametrize(("case", "side", "corners"), CASES)
def test_every_number_of_the_released_evaluator(values, enlarged, weights, case, side, corners):
    found, thresholds = values["results"][case], RELEASED[case.partition("_")[0]]
    for rule, spelled in RULES.items():
        level = np.float32(getattr(thresholds, rule))
        own = enlarged[side, "positive", corners] > level
        iou = ciou(own, weights)
        np.testing.assert_allclose(iou, found["per_clip"][f"ciou_{spelled}_wogl"], atol=CHAIN)
        scalars = found["scalars"]
        assert 100 * iou.mean() == pytest.approx(scalars[f"ciou_{spelled}_mean_wogl"], abs=0.01)
        assert 100 * auc(iou) == pytest.approx(scalars[f"auc_{spelled}_wogl"], abs=0.3)
        shares = {name: listening.active_share(enlarged[side, name, False] > level) for name in NEGATIVES}
        for name, each in shares.items():
            np.testing.assert_allclose(each, found["per_clip"][f"pia_batch_{name}_{spelled}_wogl"], atol=CHAIN)
            assert 100 * each.mean() == pytest.approx(scalars[f"pia_metric_{name}_{spelled}_wogl"], abs=0.01)
            area = listening.auc_of_silence(each)
            assert 100 * area == pytest.approx(scalars[f"auc_{name}_{spelled}_wogl"], abs=0.3)
            agreement = listening.mask_agreement(own, enlarged[side, name, False] > level)
            np.testing.assert_allclose(agreement, found["per_clip"][f"iou_pos_{name}_{spelled}_wogl"], atol=CHAIN)
        for one, other in listening.NEGATIVE_PAIRS:
            agreement = listening.mask_agreement(*(enlarged[side, name, False] > level for name in (one, other)))
            np.testing.assert_allclose(agreement, found["per_clip"][f"iou_{one}_{other}_{spelled}_wogl"], atol=CHAIN)
        if rule == "q3":
            both = listening.positive_negative_scores(iou, auc(iou), shares)
            assert 100 * both["f_loc"] == pytest.approx(scalars["f_pos_neg"], abs=0.01)
            assert 100 * both["f_auc"] == pytest.approx(scalars["f_auc_aoc_pos_neg"], abs=0.3)


@pytest.fixture(scope="module")
def truth(values):
    return truth_of(values)


def truth_of(values):
    annotations = tuple(
        Annotation(f"c{number}", None, tuple(tuple(pixel_fraction(side, SIZE) for side in box) for box in boxes))
        for number, boxes in enumerate(values["boxes"])
    )
    return Truth("vggss", TestSet("made", annotations, "made", "0" * 64))


PROTOCOLS = {"lvs_is3": "vssl_lvs_aligned", "sslalign_is3": "vssl_sslalign_aligned", "fnac_is3": "vssl_fnac"}
ENDS = {"made": {"": "_maxq3", "_max": "_max", "_max10": "_max10", "_fixed": ""}, "released": {"": "_maxq3"}}
MAPS = {"audio_visual": "wogl", "combined": "ogl"}


def answers_of(case, side, arrays, truth):
    sounds = {name: arrays[f"negatives_low{side}_{name}"] for name in ("positive", *NEGATIVES)}
    if case.partition("_")[0] in ("ezvsl", "slavc", "fnac"):  # stored as (cosine + 1) / 2
        sounds = {name: 2 * maps - 1 for name, maps in sounds.items()}
    controls = {name: sounds[name] for name in NEGATIVES}
    return ControlMaps(RawMaps(truth.test_set.keys, sounds["positive"], arrays["negatives_object7"]), controls)


@pytest.mark.parametrize(("case", "side", "corners"), CASES)
def test_every_rule_by_its_protocol_with_the_object_prior_and_without(
    values, arrays, truth, case, side, corners, source
):
    """Of the many maps of the original code the default rule alone; the others are held against it one by one above,
    and by their protocols with `make test-all`."""
    hold_rules(values["results"][case]["scalars"], answers_of(case, side, arrays, truth), truth, case, ENDS[source])


@pytest.mark.slow
@pytest.mark.parametrize(("case", "side", "corners"), CASES)
def test_every_rule_of_the_original_code_by_its_protocol(released, case, side, corners):
    values, arrays = released("golden_listening.json")["negatives"], released("golden_listening.npz")
    truth = truth_of(values)
    hold_rules(values["results"][case]["scalars"], answers_of(case, side, arrays, truth), truth, case, ENDS["made"])


def hold_rules(scalars, answers, truth, case, ends):
    model = case.partition("_")[0]
    for end, spelled in ends.items():
        found = score(answers, truth, PROTOCOLS.get(case, f"vssl_{model}") + end).summary["scores"]
        for name, kind in MAPS.items():
            own = found[name]
            assert 100 * own["vssl_ciou"] == pytest.approx(scalars[f"ciou{spelled or '_05'}_mean_{kind}"], abs=0.01)
            assert 100 * own["vssl_auc"] == pytest.approx(scalars[f"auc{spelled or '_05'}_{kind}"], abs=0.3)
            for sound in NEGATIVES:
                assert 100 * own[f"pia_{sound}"] == pytest.approx(
                    scalars[f"pia_metric_{sound}{spelled}_{kind}"], abs=0.01
                )
                assert 100 * own[f"auc_n_{sound}"] == pytest.approx(scalars[f"auc_{sound}{spelled}_{kind}"], abs=0.3)
        for one, other in listening.NEGATIVE_PAIRS:
            theirs = scalars[f"iou_{one}_{other}{spelled}_wogl_metric"]
            assert 100 * found["audio_visual"][f"overlap_{one}_{other}"] == pytest.approx(theirs, abs=0.01)


def test_the_released_thresholds_are_those_of_the_code(values):
    for name, *_ in CASES:
        found = values["results"][name]
        own = RELEASED[name.partition("_")[0]]
        assert found["thresholds"] == {rule: getattr(own, rule) for rule in ("max", "max10", "q3", "fixed")}
        assert own.max10 == pytest.approx(1.1 * own.max, abs=1e-4)


def test_edge_values_of_the_helpers(values):
    helpers = values["results"]["helpers"]
    empty, full, half = np.zeros((1, 4, 4), bool), np.ones((1, 4, 4), bool), np.zeros((1, 4, 4), bool)
    half[:, :2] = True
    pairs = {
        "empty_empty": (empty, empty),
        "full_empty": (full, empty),
        "empty_full": (empty, full),
        "half_full": (half, full),
    }
    for name, (one, other) in pairs.items():
        assert listening.mask_agreement(one, other)[0] == helpers["compute_IOU_maps"][name]
    assert listening.harmonic(0.3, 0.6) == pytest.approx(helpers["compute_f"]["30_60"] / 100)
    assert listening.harmonic(0.0, 0.0) == 0  # NaN or a stop in the released code
    shares = {
        "all_zero": np.zeros(3),
        "all_one": np.ones(3),
        "exactly_0.15_and_0.30": np.array([0.15, 0.3]),
        "half": np.full(2, 0.5),
    }
    for name, each in shares.items():
        assert listening.auc_of_silence(each) == pytest.approx(helpers["compute_AUC_pIA"][name], abs=1e-12)


@pytest.mark.parametrize(("case", "side", "corners"), CASES[::2])
def test_what_the_released_code_prints_of_five_rules_at_once(released, case, side, corners):
    values, arrays = released("golden_listening.json")["negatives"], released("golden_listening.npz")
    boxes = [tuple(tuple(pixel_fraction(edge, SIZE) for edge in box) for box in own) for own in values["boxes"]]
    annotations = tuple(Annotation(f"c{number}", None, own) for number, own in enumerate(boxes))
    truth = Truth("vggss", TestSet("made", annotations, "made", "0" * 64))
    scalars = values["results"][case]["scalars"]
    protocol = PROTOCOLS.get(case, f"vssl_{case.partition('_')[0]}")
    found = score(answers_of(case, side, arrays, truth), truth, protocol).summary["scores"]
    for (name, kind), printed in zip(MAPS.items(), ("", "_ogl"), strict=True):
        own = found[name]
        assert 100 * own["mixed_ciou50"] == pytest.approx(scalars[f"ciou{printed}"], abs=0.01)
        assert 100 * own["mixed_auc"] == pytest.approx(scalars[f"auc{printed}"], abs=0.3)
        for control, (cut, theirs) in product(NEGATIVES, (("half", "ciou"), ("adaptive", "ciouadap"))):
            shown, area = (scalars[f"{what}_{control}_{theirs}_{kind}"] for what in ("pia_metric", "auc"))
            assert 100 * own[f"{cut}_pia_{control}"] == pytest.approx(shown, abs=0.01)
            assert 100 * own[f"{cut}_auc_n_{control}"] == pytest.approx(area, abs=0.3)
        for sounds in (*NEGATIVES, *map("_".join, listening.NEGATIVE_PAIRS)):
            theirs = f"iou_pos_{sounds}" if sounds in NEGATIVES else f"iou_{sounds}"
            agreement = scalars[f"{theirs}_adap_{kind}_metric"]
            assert 100 * own[f"adaptive_overlap_{sounds}"] == pytest.approx(agreement, abs=0.01)


@pytest.mark.parametrize(("case", "side", "corners"), [case for case in CASES if case[0].endswith("is3")])
def test_groups_of_one_image_under_several_sounds_at_the_released_threshold(released, case, side, corners):
    values, arrays = released("golden_listening.json")["negatives"], released("golden_listening.npz")
    theirs, names = values["results"][case], values["names_is3"]
    annotations = (
        replace(one, key=name) for one, name in zip(truth_of(values).test_set.annotations, names, strict=True)
    )
    truth = Truth(
        "is3", TestSet("made", tuple(annotations), "made", "0" * 64), tasks=frozenset({LOCALIZATION, INTERACTIVE})
    )
    result = score(answers_of(case, side, arrays, truth), truth, PROTOCOLS[case])
    rows = result.table.filter(pc.equal(result.table["map"], "audio_visual")).to_pydict()
    for column, spelled in (("iou", "groups_iou"), ("adaptive_iou", "groups_iou_adap")):
        members = dict(zip(rows["key"], rows[column], strict=True))
        for group, expected in theirs["evaluator"][spelled].items():
            own = [value for key, value in members.items() if key.rpartition("_")[0] == group]
            np.testing.assert_allclose(own, np.nan_to_num(expected), atol=CHAIN)  # theirs is NaN for 0/0
    own, scalars = result.summary["interactive"]["audio_visual"], theirs["scalars"]
    least = np.array([np.nan_to_num(each).min() for each in theirs["evaluator"]["groups_iou"].values()])
    assert own["iiou"] == pytest.approx((least >= 0.5).mean(), abs=1e-4)
    assert own["iauc"] == pytest.approx(auc(least), abs=0.003)
    assert own["n_groups"] == len(least) == 24
    for name in ("iiou", "iauc"):
        assert 100 * own[f"adaptive_{name}"] == pytest.approx(scalars[f"{name}_adap"], abs=0.3)
    assert 100 * result.summary["scores"]["audio_visual"]["adaptive_ciou50"] == pytest.approx(scalars["ciou_adap"])
    assert "IIoU" in table(result.summary)
