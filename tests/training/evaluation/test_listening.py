"""What the numbers of listening must do on answers whose listening is known."""

import numpy as np
import pytest

from manifests.sound_draws import NEGATIVES
from training.evaluation import listening, printed

RANDOM = np.random.default_rng(0)


def test_a_map_that_ignores_the_sound_correlates_fully_and_agrees_with_itself():
    maps = RANDOM.normal(size=(5, 7, 7)).astype(np.float32)
    np.testing.assert_allclose(listening.map_correlation(maps, maps), 1, atol=1e-12)
    np.testing.assert_allclose(listening.map_correlation(maps, 3 * maps + 2), 1, atol=1e-6)
    np.testing.assert_allclose(listening.map_correlation(maps, -maps), -1, atol=1e-12)
    assert (listening.mask_agreement(maps > 0, maps > 0) == 1).all()


def test_masks_agree_by_what_they_share_and_two_empty_ones_agree():
    none, left, whole = np.zeros((1, 2, 2), bool), np.array([[[True, False]] * 2]), np.ones((1, 2, 2), bool)
    assert listening.mask_agreement(none, none)[0] == 1
    assert listening.mask_agreement(none, left)[0] == listening.mask_agreement(left, ~left)[0] == 0
    assert listening.mask_agreement(left, whole)[0] == 0.5


def test_maps_without_variation_rank_nothing():
    flat, other = np.full((1, 3, 3), 0.1, np.float32), RANDOM.normal(size=(1, 3, 3))
    assert listening.map_correlation(flat, flat + 1)[0] == 1
    assert listening.map_correlation(flat, other)[0] == listening.map_correlation(other, flat)[0] == 0


def test_correlation_is_that_of_a_plain_reference():
    one, other = RANDOM.normal(size=(2, 6, 5, 4))
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(listening.map_correlation(one, other), expected, atol=1e-12)


def test_an_oracle_gets_one_and_one_that_shows_everything_gets_nothing_for_silence():
    iou, quiet = np.ones(4), dict.fromkeys(NEGATIVES, np.zeros(4))
    assert listening.positive_negative_scores(iou, 1.0, quiet) == {"f_loc": 1.0, "f_auc": 1.0}
    loud = dict.fromkeys(NEGATIVES, np.ones(4))
    assert listening.positive_negative_scores(iou, 1.0, loud)["f_loc"] == 0


def test_three_quarters_of_the_negatives_stay_below_their_threshold():
    maxima = [RANDOM.uniform(size=400) for _ in range(3)]
    level = listening.threshold_from_negatives(maxima)
    assert (np.concatenate(maxima) < level).mean() == pytest.approx(0.75, abs=1e-3)
    assert listening.threshold_from_negatives([np.array([1.0, 2.0, 3.0, 5.0])]) == 3.5


def test_no_sample_or_a_share_that_is_no_number_is_refused():
    for shares in (np.array([]), np.array([0.1, np.nan])):
        with pytest.raises(ValueError, match="at least one sample"):
            listening.auc_of_silence(shares)


def test_own_cuts_and_the_list_of_five_rules():
    high = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    truth = np.zeros((1, 4, 4), np.float32)
    truth[0, 3] = 1  # the four largest values
    cuts = printed.own_cuts(high, truth)
    assert (cuts["half"][0], cuts["adaptive"][0]) == (8, 12)
    assert printed.own_cuts(high, truth * 0)["adaptive"][0] == 8
    mixed = printed.mixed_list(high, truth, cuts, (3.0, 20.0))
    assert [each[0] for each in mixed.values()] == pytest.approx([4 / 7, 4 / 12, 0, 3 / 4])
    silent = np.roll(high, 2)  # 14 and 15 lie at the other end, 12 and 13 as the last
    under = {f"{name}_silence": value for name, value in printed.under_own_cuts(high, silent, cuts).items()}
    found = printed.printed_scores(mixed | under)
    assert found["mixed_ciou50"] == pytest.approx(1 / 3)
    assert (found["half_pia_silence"], found["adaptive_pia_silence"]) == (7 / 16, 3 / 16)
    assert found["adaptive_overlap_silence"] == 1 / 5
    assert not {"half_pia_noise", "adaptive_overlap_noise", "adaptive_overlap_silence_noise"} & found.keys()
    assert printed.printed_scores({"iou": np.ones(1)}) == {}
