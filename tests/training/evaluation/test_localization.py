"""Metrics and thresholds against slow, literal versions of their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation import floors, localization, postprocess
from training.evaluation.bootstrap import contributions, interval95, mean_intervals
from training.evaluation.protocol import MapProtocol, adaptive
from training.evaluation.protocols import find_protocol, known_protocols

PROTOCOLS = known_protocols("localization")

SEEDS = st.integers(0, 2**32 - 1)
IOUS = st.lists(st.floats(0, 1) | st.sampled_from([0.05 * step for step in range(21)]), min_size=1, max_size=30)


def brute_ciou(mask, weights):
    inside = sum(float(weight) for hit, weight in zip(mask.ravel(), weights.ravel(), strict=True) if hit)
    outside = sum(1 for hit, weight in zip(mask.ravel(), weights.ravel(), strict=True) if hit and weight == 0)
    total = sum(float(weight) for weight in weights.ravel()) + outside
    return inside / total if total else 0.0


def random_scene(seed, side=6):
    random = np.random.default_rng(seed)
    weights = random.choice(np.array([0, 0.5, 1], np.float32), (3, side, side), p=[0.6, 0.2, 0.2])
    weights[0] *= random.integers(2)
    levels = random.choice([2, 5, 1000])
    maps = (random.integers(0, levels, (3, side, side)) / levels).astype(np.float32)
    return maps, weights


@given(SEEDS)
def test_ciou_is_its_definition(seed):
    maps, weights = random_scene(seed)
    masks = maps > 0.5
    expected = [brute_ciou(mask, weight) for mask, weight in zip(masks, weights, strict=True)]
    np.testing.assert_allclose(localization.ciou(masks, weights), expected, atol=1e-12)


@given(IOUS)
def test_aggregates_are_their_definitions(values):
    iou = np.array(values)
    heights = [sum(value >= 0.05 * step for value in values) / len(values) for step in range(21)]
    area = sum((0.05 * (i + 1) - 0.05 * i) * (heights[i] + heights[i + 1]) / 2 for i in range(20))
    assert localization.auc(iou) == pytest.approx(area, abs=1e-12)
    assert localization.success_rate(iou) == sum(value >= 0.5 for value in values) / len(values)
    low, high = localization.auc_bounds(localization.success_rate(iou))
    assert low - 1e-12 <= localization.auc(iou) <= high + 1e-12
    means = contributions(iou).mean(axis=0)
    np.testing.assert_allclose(means, list(localization.summary(iou).values()), atol=1e-12)


@given(IOUS, SEEDS)
def test_interval_surrounds_the_score_and_is_seeded(values, seed):
    iou = np.array(values)
    interval = interval95(iou, seed=seed)
    assert interval == interval95(iou, seed=seed)
    for low, high in interval.values():
        assert 0 <= low <= high <= 1
    assert interval["mean_iou"][0] <= iou.max() + 1e-12


def test_where_all_samples_score_alike_the_interval_is_wilson_s():
    """Resampling would say that twenty clips lost leave no doubt: by Wilson up to 16 % may be found."""
    found = mean_intervals({"none": np.zeros(20), "all": np.ones(20)})
    assert found["none"] == pytest.approx([0, 0.16113], abs=1e-5)
    assert found["all"] == pytest.approx([1 - 0.16113, 1], abs=1e-5)
    assert interval95(np.array([0.7]))["mean_iou"] == pytest.approx([0.10336, 0.97926], abs=1e-4)


def test_intervals_of_frames_hold_the_true_value_as_often_as_they_say():
    """Twenty videos of five equal frames, 200 times: drawn one by one frames would say half the width."""
    random = np.random.default_rng(0)
    held = {"videos": 0, "frames": 0}
    for seed in range(200):
        share = np.repeat(random.random(20), 5)
        for name, of in (("videos", [f"v{frame // 5}" for frame in range(100)]), ("frames", None)):
            low, high = mean_intervals({"mean": share}, seed, of)["mean"]
            held[name] += low <= 0.5 <= high
    assert held["videos"] >= 176
    assert held["frames"] < 160


def test_interval_of_a_coin_has_the_width_statistics_predicts():
    iou = np.array([0.0, 1.0] * 500)
    low, high = interval95(iou)["ciou50"]
    half_width = 1.96 * 0.5 / np.sqrt(1000)
    assert low == pytest.approx(0.5 - half_width, abs=0.006)
    assert high == pytest.approx(0.5 + half_width, abs=0.006)


@given(SEEDS, st.sampled_from([">=", ">"]))
def test_rank_threshold_is_the_sorted_value(seed, comparator):
    maps, _ = random_scene(seed)
    protocol = MapProtocol("half", "test", comparator=comparator)
    got = postprocess.binarise(maps, protocol)
    for values, mask, tied in zip(maps, got.masks, got.tie_share, strict=True):
        threshold = np.sort(values.ravel())[values.size // 2]
        np.testing.assert_array_equal(mask, values >= threshold if comparator == ">=" else values > threshold)
        assert tied == pytest.approx(((values == threshold).sum() - 1) / values.size)


@given(SEEDS)
def test_adaptive_rule_predicts_the_truths_area_less_one(seed):
    random = np.random.default_rng(seed)
    maps = random.permutation(3 * 36).reshape(3, 6, 6).astype(np.float32)
    pixels = random.integers(0, 37, 3)
    asked = np.where(pixels == 0, 18, pixels)
    strict = postprocess.binarise(maps, adaptive(PROTOCOLS["kaist"], "a"), pixels).masks.sum(axis=(1, 2))
    np.testing.assert_array_equal(strict, asked - 1)
    exact = postprocess.binarise(maps, PROTOCOLS["adaptive_exact"], pixels).masks.sum(axis=(1, 2))
    np.testing.assert_array_equal(exact, asked)


@given(SEEDS)
def test_exact_rule_predicts_exactly_half_and_the_best_of_them(seed):
    maps, _ = random_scene(seed)
    for values, mask in zip(maps, postprocess.binarise(maps, PROTOCOLS["textbook"]).masks, strict=True):
        if values.min() == values.max():
            assert not mask.any()
            continue
        order = np.argsort(-values.ravel(), kind="stable")[: values.size // 2]
        np.testing.assert_array_equal(np.flatnonzero(mask), np.sort(order))


@settings(max_examples=40)
@given(SEEDS)
def test_no_map_beats_the_ceiling(seed):
    random = np.random.default_rng(seed)
    _, weights = random_scene(seed)
    support = (weights != 0).sum(axis=(1, 2))
    for name in ("ezvsl", "kaist", "adaptive", "adaptive_exact", "textbook"):
        best = floors.ceiling(weights, PROTOCOLS[name])
        noise = random.permutation(3 * 36).reshape(3, 6, 6).astype(np.float32) / 1000
        oracle = weights + noise / 10
        for maps, is_oracle in ((noise, False), (oracle, True)):
            masks = postprocess.binarise(maps.astype(np.float32), PROTOCOLS[name], support).masks
            iou = localization.ciou(masks, weights)
            assert (iou <= best + 1e-12).all()
            if is_oracle:
                np.testing.assert_allclose(iou, best, atol=1e-12)


def test_a_rule_without_fixed_area_can_be_perfect():
    weights = np.zeros((2, 4, 4), np.float32)
    weights[0, 1:3] = 1
    np.testing.assert_array_equal(floors.ceiling(weights, PROTOCOLS["sspl"]), [1, 0])


def test_random_floor_depends_on_key_and_seed_only():
    pixels = np.array([100, 100])
    first = floors.random_masks(["a", "b"], PROTOCOLS["ezvsl"], pixels, seed=0)
    swapped = floors.random_masks(["b", "a"], PROTOCOLS["ezvsl"], pixels, seed=0)
    np.testing.assert_array_equal(first, swapped[::-1])
    assert (first[0] != first[1]).any()
    assert (floors.random_masks(["a", "b"], PROTOCOLS["ezvsl"], pixels, seed=1) != first).any()


def test_aggregates_refuse_nothing_and_nan():
    for values in ([], [0.5, np.nan]):
        with pytest.raises(ValueError, match="NaN"):
            localization.success_rate(np.array(values))


def test_unknown_protocol_lists_the_known():
    from manifests.errors import InputError

    with pytest.raises(InputError, match=r"no protocol 'ez'.*ezvsl, ezvsl_train"):
        find_protocol("ez")
    assert all(find_protocol(name).name == name for name in PROTOCOLS)


def test_exactness_needs_a_number_of_pixels():
    with pytest.raises(ValueError, match="cannot be exact"):
        MapProtocol("odd", "test", rule="fixed", exact=True)


def test_frames_of_one_video_have_an_interval_with_a_width():
    iou = np.array([0.2, 0.4, 0.6, 0.8])
    for low, high in interval95(iou, of=["video"] * 4).values():
        assert low < 0.5 < high
        assert high - low > 0.7
    low, high = interval95(iou, of=["one", "two", "two", "one"])["mean_iou"]  # two videos with the same mean
    assert high - low > 0.5
