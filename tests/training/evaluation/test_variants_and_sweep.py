"""Variants of protocols, the sweep of thresholds ACL-SSL reports, intervals of every task, and what is printed."""

import numpy as np
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.test_sets import Truth
from training.evaluation import localization
from training.evaluation.bootstrap import interval95, mean_intervals
from training.evaluation.postprocess import binarise
from training.evaluation.printing import protocol_page, protocols_page, table
from training.evaluation.protocols import find_protocol, known_protocols
from training.evaluation.protocols.acl import acl_sweep
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.evaluation.tasks.adaptive_masks import cut
from training.evaluation.tasks.onscreen import BothPairs, Pairs
from training.evaluation.tasks.retrieval import Similarity
from training.evaluation.truth import FLAGS, weight_maps

KEYS = [f"clip_number{at}_00000{at}"[-18:] for at in range(6)]
BOXES = (((0.1, 0.1, 0.6, 0.9),), ((0.2, 0.2, 0.2, 0.9),), ((-0.1, 0.3, 0.9, 0.9), (0.5, 0.5, 1.2, 1.0)))
TRUTH = Truth("vggss", TestSet("tiny", tuple(map(Annotation, KEYS, "abcabc", BOXES * 2)), "tiny.json", "0" * 64))


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((6, 224, 224), dtype=np.float32)


def test_the_exact_variant_of_any_rank_rule_breaks_ties():
    tied = np.repeat(np.arange(4, dtype=np.float32), 56)[None, :, None].repeat(224, axis=2)
    tied[:, :113] = 5  # more than half of the image at the maximum
    assert binarise(tied, find_protocol("kaist")).masks.sum() == 0
    for name in ("ezvsl", "kaist", "slavc_relative", "lvs"):
        assert binarise(tied, find_protocol(f"{name}+exact")).masks.sum() == 25088
    with pytest.raises(InputError, match="cannot be exact"):
        find_protocol("sspl+exact")
    with pytest.raises(InputError, match="unknown variant"):
        find_protocol("ezvsl+best")
    with pytest.raises(InputError, match="no protocol 'ez\\+exact'"):
        find_protocol("ez+exact")


def test_the_exact_variant_of_masks_at_their_own_area_breaks_ties():
    truth = np.zeros((3, 224, 224), bool)
    truth[:2, 20:50, 30:80] = True
    tied = np.random.default_rng(0).integers(0, 3, truth.shape).astype(np.float32)
    plain, exact = (cut(tied, truth, find_protocol(f"adaptive_masks{name}")) for name in ("", "+exact"))
    assert plain.sum(axis=(1, 2)).tolist() == [0, 0, 0]  # the threshold is the maximum, many times
    assert exact.sum(axis=(1, 2)).tolist() == [1500, 1500, 1]
    assert tied[exact].min() == 2


def test_a_variant_keeps_its_name_and_its_other_fields(maps):
    result = score(RawMaps(KEYS, maps), TRUTH, "slavc_relative+maximum")
    protocol = result.summary["protocol"]
    assert (protocol["name"], protocol["confidence"]) == ("slavc_relative+maximum", "maximum")
    plain = score(RawMaps(KEYS, maps), TRUTH, "slavc_relative")
    assert plain.summary["protocol"] == protocol | {"name": "slavc_relative", "confidence": "top_quarter"}
    assert plain.summary["scores"] == result.summary["scores"]


def test_the_sweep_is_every_threshold_scored_alone(maps):
    result = score(RawMaps(KEYS, maps**3), TRUTH, "acl")
    weights = weight_maps(TRUTH.test_set.annotations)
    levels = result.summary["sweep"]["levels"]
    assert list(levels) == [f"{0.05 * step:.2f}" for step in range(1, 20)]
    for protocol in acl_sweep():
        alone = localization.summary(localization.ciou(binarise(maps**3, protocol).masks, weights))
        assert levels[f"{protocol.level:.2f}"] == pytest.approx(alone)
    assert {name: result.summary["scores"]["audio_visual"][name] for name in levels["0.50"]} == levels["0.50"]
    best = result.summary["sweep"]["best_on_test"]
    assert "best of 19 thresholds, chosen on the test set: best cIoU@0.5 " in table(result.summary)
    assert best["auc"] == max(scores["auc"] for scores in levels.values()) > levels["0.95"]["auc"]


def test_intervals_are_of_means():
    iou = np.random.default_rng(1).random(40)
    found = mean_intervals({"mean_iou": iou, "ciou50": iou >= 0.5}, seed=3)
    low, high = found["mean_iou"]
    assert low < iou.mean() < high
    assert found["mean_iou"] == interval95(iou, seed=3)["mean_iou"]
    similarity = np.random.default_rng(2).normal(size=(6, 6)) + np.eye(6)
    directions = score(Similarity(KEYS, similarity), TRUTH, "retrieval").summary["scores"]
    for values in (directions["image_to_audio"], directions["audio_to_image"]):
        assert all(low <= values[name] <= high for name, (low, high) in values["interval95"].items())
    pairs = Pairs(KEYS, np.linspace(0, 1, 6), np.linspace(0, 0.5, 6))
    rules = score(BothPairs(pairs, pairs), TRUTH, "onscreen").summary["scores"]
    assert all(values["accuracy"] == 0.5 for values in rules.values())  # the same pairs on both sides
    assert all(values["interval95"]["accuracy"][0] < 0.5 for values in rules.values())


def test_what_has_no_rank_is_refused_by_name():
    broken = np.eye(6)
    broken[4, 2] = np.nan
    with pytest.raises(InputError, match=rf"{KEYS[4]} holds NaN"):
        score(Similarity(KEYS, broken), TRUTH, "retrieval")
    good, bad = Pairs(KEYS, np.ones(6), np.ones(6)), Pairs(KEYS, np.full(6, np.nan), np.ones(6))
    with pytest.raises(InputError, match=rf"{KEYS[0]} holds NaN"):
        score(BothPairs(good, bad), TRUTH, "onscreen")
    with pytest.raises(InputError, match="onscreen_validated asks a validation set"):
        score(BothPairs(good, good), TRUTH, "onscreen_validated")


def test_dirty_boxes_are_printed_with_their_counts(maps):
    maps[0] = 0.5
    text = table(score(RawMaps(KEYS, maps), TRUTH, "ezvsl").summary)
    for count, flag in ((2, "degenerate_box"), (2, "outside_box"), (2, "empty_truth")):
        assert f"{count} with {flag.replace('_', ' ')}: {FLAGS[flag]}" in text
    assert "1 with constant map" in text


def test_pages_name_every_protocol_and_every_degenerate_input():
    page = protocols_page()
    assert all(f"\n{name} " in f"\n{page}" for name in known_protocols())
    assert {"music_duet", "avsbench", "retrieval", "retrieval_max", "onscreen"} <= set(known_protocols())
    assert "degenerate" in page
    assert "NaN or infinity" in page
    assert "fraction           0.2" in protocol_page("music_duet")
    assert "0.1" in protocol_page("dsol")
    assert "beta_squared       0.3" in protocol_page("avsbench")
