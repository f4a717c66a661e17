"""Masks, classes, duets and prompted segmentation: the released evaluators' numbers against ours, quirk by quirk."""

import numpy as np
import pytest

from manifests.annotations import Annotation
from training.evaluation import adaptive_masks, duets, false_positives, prompted, segmentation, semantic
from training.evaluation.localization import ciou
from training.evaluation.maps import upsample
from training.evaluation.metrics.average_precision_of_pixels import added_boxes
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import find_protocol

SIDE = 224


def filled(boxes):
    """Union of boxes x1, y1, x2, y2 (fractions), truncated."""
    truth = np.zeros((SIDE, SIDE), np.float32)
    for box in boxes:
        x1, y1, x2, y2 = (int(SIDE * max(value, 0)) for value in box)
        truth[y1:y2, x1:x2] = 1
    return truth


@pytest.mark.parametrize("sound", ["positive", "silence", "noise", "offscreen"])
def test_avsbench_robust(values, arrays, sound):
    found = values["robust_segmentation"]
    logits, truth = arrays[f"robust_logits_{sound}"], arrays["robust_masks"] > 0
    masks = false_positives.logits_above_half(logits)
    fpr = false_positives.released_fpr(masks)
    np.testing.assert_allclose(fpr, found["fpr_per_frame"][sound], atol=1e-6)
    probabilities = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    curves, iou = segmentation.f_curves(probabilities, truth), segmentation.mask_iou(masks, truth)
    for videos in (1, 3, 4):
        expected, frames = found["test_main"][sound][f"batch_{videos}_videos"], 5 * videos
        assert segmentation.mean_over_batches(fpr, frames) == pytest.approx(expected["FPR"], abs=1e-6)
        assert segmentation.mean_over_batches(iou, frames) == pytest.approx(expected["miou"], abs=5e-5)
        assert segmentation.f_score(curves, truth, frames) == pytest.approx(expected["F_score"], abs=5e-4)
    empty = found["test_main_with_empty_masks"][sound]["batch_1_videos"]
    assert segmentation.mask_iou(masks, np.zeros_like(truth)).mean() == pytest.approx(empty["miou"], abs=5e-5)
    assert 1 - fpr.mean() == pytest.approx(empty["miou"], abs=5e-5)


def test_a_false_positive_is_outside_the_truth(arrays):
    truth = arrays["robust_masks"] > 0
    assert (false_positives.false_positive_rate(truth, truth) == 0).all()
    everything = false_positives.false_positive_rate(np.ones_like(truth), truth)
    assert (everything == 1).all()
    full = np.ones((1, 2, 2), bool)
    assert false_positives.false_positive_rate(full, full) == 0


@pytest.mark.parametrize("released", ["avsbench", "avsegformer"])
def test_avss_classes(values, arrays, released):
    predicted, true = arrays["avss_labels_predicted"], arrays["avss_labels_true"]
    counts = semantic.class_counts(predicted, true)
    found, means = (
        values["avss"][f"{released}_frames6_videos_per_batch1"],
        values["avss"]["means_recomputed_by_driver_from_sums"],
    )
    frames = (counts.union > 0).sum(axis=0)
    iou, f = semantic.released_by_class(counts)
    np.testing.assert_allclose(iou * frames, found["sum_iou_per_class"], atol=1e-5)
    np.testing.assert_allclose(f * frames, found["sum_f_per_class"], atol=1e-5)
    scores = semantic.semantic_scores(counts)
    names = {
        "miou_classes": "miou",
        "f_classes": "f",
        "miou_classes_no_background": "miou_noBg_as_printed_drops_class_70",
        "f_classes_no_background": "f_noBg_as_printed_drops_class_70",
        "miou_seen_classes": "miou_over_seen_classes",
        "classes_seen": "classes_seen",
    }
    for own, theirs in names.items():
        assert scores[own] == pytest.approx(means[theirs], abs=1e-5), own


def test_avss_frame_by_frame(values, arrays):
    """Quirks of the mean of a frame and of the binary IoU; of the textbook, a class in the wrong place counts."""
    predicted, true = arrays["avss_labels_predicted"], arrays["avss_labels_true"]
    counts, found = semantic.class_counts(predicted, true), values["avss"]
    expected = found["avsbench_frames6_videos_per_batch1"]["frame_mean_over_nonzero_iou"]
    by_frame = semantic.frame_means_as_released(counts)
    np.testing.assert_allclose(by_frame, expected, atol=1e-5)  # NaN of the frame that is all wrong, too
    assert np.isnan(by_frame).tolist() == [number == 5 for number in range(12)]
    assert (semantic.frame_means(counts) <= np.nan_to_num(by_frame)).all()
    scores = semantic.semantic_scores(counts)
    assert scores["miou_of_frames"] == pytest.approx(np.nanmean(expected), abs=1e-5)
    coded = found["binary_miou_avsbench_background_taken_as_last_class"]
    assert scores["binary_miou"] == pytest.approx(coded, abs=1e-5)
    usual = segmentation.mask_iou(predicted > 0, true > 0)
    np.testing.assert_allclose(semantic.binary_iou(counts), usual, atol=1e-6)
    assert scores["binary_miou_textbook"] == pytest.approx(usual.mean(), abs=1e-6)


def test_frames_without_a_class_in_its_right_place_have_no_mean_as_released():
    wrong = semantic.class_counts(np.full((2, 2, 2), 9), np.full((2, 2, 2), 4))
    scores = semantic.semantic_scores(wrong)
    assert scores["miou_of_frames"] is None
    assert scores["miou_of_frames_textbook"] == 0
    everywhere = np.full((1, 2, 2), semantic.CLASSES - 1)  # the released code sees no object there
    last = semantic.binary_iou(semantic.class_counts(everywhere, everywhere), semantic.CLASSES - 1)
    assert last == segmentation.mask_iou(np.zeros((1, 2, 2), bool), np.zeros((1, 2, 2), bool)).round(6) == 1


def test_a_perfect_label_map_has_one_in_the_textbook_and_is_punished_by_unseen_classes(arrays):
    true = arrays["avss_labels_true"]
    scores = semantic.semantic_scores(semantic.class_counts(true, true))
    assert scores["miou_classes_textbook"] == scores["f_objects_textbook"] == scores["j_and_f_textbook"] == 1
    assert scores["miou_classes"] == pytest.approx(len(np.unique(true)) / 71)
    with pytest.raises(ValueError, match="from 0 to 70"):
        semantic.class_counts(true + 1, np.full_like(true, 71))


KAIST = [(name, side, key) for name in ("vpoms", "is3") for side, key in ((7, "ez"), (14, "lvs"))]


@pytest.mark.parametrize(("name", "side", "key"), KAIST)
def test_adaptive_masks_of_sslalignment(values, arrays, name, side, key):
    found = values["kaist"]["release_2024_with_mask_scores"]
    truth = (
        arrays[f"kaist_{name}_masks"] >= 128
        if arrays[f"kaist_{name}_masks"].max() > 1
        else arrays[f"kaist_{name}_masks"] > 0
    )
    high = upsample(arrays[f"kaist_{name}_low{side}"], "bilinear", align_corners=True)
    for batch in (64, 8):
        expected = found[f"{name}_{key}_adaptive_batch{batch}"]["mask"]
        scores = adaptive_masks.mask_scores(adaptive_masks.adaptive_masks(high, truth, batch), truth, batch)
        assert 100 * scores["miou"] == pytest.approx(expected["mIoU_percent"], abs=0.02)
        assert 100 * scores["f"] == pytest.approx(expected["F_percent"], abs=0.02)
        assert scores["f_everything"] == pytest.approx(expected["mean_F_threshold_0"], abs=2e-4)
        assert scores["f_textbook"] == pytest.approx(expected["mean_F_mask"], abs=2e-4)


def test_one_empty_frame_alone_has_no_threshold():
    with pytest.raises(ValueError, match="no pixel"):
        adaptive_masks.adaptive_masks(np.zeros((1, 4, 4), np.float32), np.zeros((1, 4, 4), bool), batch=1)


@pytest.mark.parametrize("images", [2, 3])
def test_duets_of_noprior(values, arrays, images):
    found, boxes = values["duet"][f"noprior_K{images}"], values["duet"]["ground_truth"]["vggss_boxes_fraction"]
    cases = []
    for number, expected in enumerate(found["per_case"]):
        low = [arrays[f"duet_K{images}_case{number:02d}_map{each}"] for each in range(expected["n_maps"])]
        truth = np.stack([filled(boxes[picture]) for picture in expected["pictures"]])
        cases.append(own := duets.released_case(low, truth))
        np.testing.assert_allclose(own.iou, expected["iou"], atol=3e-4)
        np.testing.assert_allclose(own.cap, expected["cap"], atol=1e-3)
        assert ([] if own.piap is None else [own.piap]) == pytest.approx(expected["piap"], abs=1e-3)
        best = duets.textbook_case(low, truth)
        assert len(best.iou) == len(best.cap) == images
        assert best.piap is not None
    scores, logged = duets.duet_scores(cases), found["logged"]
    names = {"ciou50": "cIoU", "ciou30": "cIoU0.3", "cap": "CAP", "piap": "PIAP", "auc": "AUC"}
    for own, theirs in names.items():
        assert scores[own] == pytest.approx(logged[f"test/{theirs}"], abs=1e-3)
    assert scores["ciou10"] == pytest.approx(found["ciou_at_0_1_from_the_original_list"])


def test_the_best_assignment_is_never_worse_than_the_order_maps_come_in():
    truth = np.stack([filled([[0, 0, 0.5, 1]]), filled([[0, 0, 1, 0.5]])])
    low = np.concatenate([upsample(each[None], "bilinear", False, 7)[0] for each in truth])
    first = duets.textbook_case([low, low[::-1].copy()], truth)
    assert first.iou == duets.textbook_case([low[::-1].copy(), low], truth).iou
    silent = duets.textbook_case([], truth)
    assert silent.iou == (0.0, 0.0)
    assert duets.released_case([], truth).iou == ()


def test_music_boxes_read_twice(values):
    found = values["duet"]["ground_truth"]
    areas, rows = [], []
    for frame in found["music_duet_made"]:
        boxes = [frame["bbox_src1"], frame["bbox_src2"]]
        corners = [duets.music_pixels_as_corners(box) for box in boxes]
        areas.append([max(b - t, 0) * max(r - x, 0) for t, b, x, r in corners])
        union = np.zeros((SIDE, SIDE), bool)
        for top, bottom, left, right in map(duets.music_pixels, boxes):
            union[top:bottom, left:right] = True
        rows.append(int(union.sum()))
    assert areas == found["avgn_music_area_per_source"]
    assert rows == found["noprior_music_area_union"]


AVGN_MAPS = {"audio_visual": "av", "object_prior": "obj", "combined": "av_obj"}


@pytest.mark.parametrize("way", ["relative", "absolute"])
def test_avgn_rewards_small_masks(values, arrays, way):
    boxes = list(values["duet"]["ground_truth"]["vggss_boxes_fraction"].values())[:24]
    weights, protocol = np.stack([filled(own) for own in boxes]), find_protocol(f"avgn_{way}").at_temperature(0.03)
    maps = prepare(arrays["avgn_low7"] / np.float32(0.03), protocol, arrays["avgn_object7"])
    for name, spelled in AVGN_MAPS.items():
        found, masks = values["avgn"][f"avgn_single_{way}"][spelled], binarise(maps[name].maps, protocol).masks
        np.testing.assert_allclose(ciou(masks, weights), found["ciou"], atol=3e-4)
        np.testing.assert_allclose(duets.swapped_piap(masks, weights), found["piap"], atol=1e-3)
        np.testing.assert_allclose(maps[name].confidence, found["confidence"], atol=1e-5)
        assert duets.piap(masks, weights).shape == (24,)


def test_boxes_of_avgn_s_duets_add_up(values):
    found = values["duet"]["ground_truth"]
    clips = [Annotation(name, None, tuple(map(tuple, own))) for name, own in found["vggss_boxes_fraction"].items()]
    for clip, other in zip(clips, clips[1:] + clips[:1], strict=True):
        pair = np.stack([added_boxes(clip), added_boxes(other)])
        assert pair.max() == found["avgn_vggsound_duet_largest_value"][clip.key]
        assert pair.sum(axis=(1, 2)).tolist() == found["avgn_vggsound_duet_sum"][clip.key]
    assert max(found["avgn_vggsound_duet_largest_value"].values()) == 2


def test_denseav(values, arrays):
    single = values["denseav"]["results"]["single_pictures"]
    maps = arrays["denseav_heatmaps_sound_heads1"]
    for row, (picture, expected) in enumerate(single.items()):
        truth = arrays["denseav_semseg"][int(picture)] == arrays["denseav_prompt_classes"][int(picture)]
        own = prompted.average_precision(truth.ravel(), maps[row].ravel())
        assert own == pytest.approx(expected["ap"], abs=2e-4)
        assert prompted.best_iou(truth, maps[row]) == pytest.approx(expected["best_iou_of_20"], abs=2e-3)


def test_denseav_from_features(values, arrays):
    image, sound, mask = (arrays[f"denseav_{name}"] for name in ("image_features", "audio_features", "audio_mask"))
    similar = np.einsum("nchw,ncft->nhwft", image, sound).mean(axis=3)
    heat = (similar * mask[:, None, None, :]).sum(axis=-1) / mask.sum(axis=-1)[:, None, None]
    scores = prompted.prompted_scores(heat, arrays["denseav_semseg"], arrays["denseav_prompt_classes"].tolist())
    found = values["denseav"]["results"]["sound_heads1"]
    np.testing.assert_allclose(list(scores["ap_by_class"].values()), found["per_class"]["basic_ap"], atol=2e-4)
    np.testing.assert_allclose(list(scores["iou_by_class"].values()), found["per_class"]["basic_iou"], atol=2e-3)
    assert scores["released"]["prompted_ap"] == pytest.approx(found["logged_mean"]["basic_ap"], abs=2e-4)
    edge = values["denseav"]["results"]["edge"]
    assert prompted.best_iou(np.ones((4, 4), bool), np.zeros((4, 4))) == edge["constant_map"]
    half = np.arange(16).reshape(4, 4) < 8
    assert prompted.best_iou(np.zeros((4, 4), bool), half.astype(float)) == edge["empty_target"]
    assert prompted.best_iou(half, half.astype(float)) == edge["perfect_binary"]


def test_words_widen_to_whole_frames(values):
    for start, end in values["denseav"]["timing_seconds"]:
        window = prompted.word_window(start, end, values["denseav"]["total_seconds"], 10)
        assert window.start <= max(start - 0.2, 0) / 6 * 10 <= window.stop
        assert window.start >= 0
        assert window.stop <= 10


def test_denseav_s_words_by_their_time(released):
    found, arrays = released("golden_listening.json")["denseav"], released("golden_listening.npz")
    image, sound, heard = (arrays[f"denseav_{name}"] for name in ("image_features", "audio_features", "audio_mask"))
    similar = np.einsum("nchw,ncft->nhwft", image, sound).mean(axis=3)
    windows = [prompted.word_window(*times, found["total_seconds"], 10) for times in found["timing_seconds"]]
    heat = np.stack([prompted.map_of_word(*each) for each in zip(similar, heard, windows, strict=True)])
    scores = prompted.prompted_scores(heat, arrays["denseav_semseg"], arrays["denseav_prompt_classes"].tolist())
    expected = found["results"]["speech_timing_heads1"]["per_class"]
    np.testing.assert_allclose(list(scores["ap_by_class"].values()), expected["advanced_ap"], atol=2e-4)
    np.testing.assert_allclose(list(scores["iou_by_class"].values()), expected["advanced_iou"], atol=2e-3)


def test_a_word_s_map_divides_by_its_whole_window():
    similarity, heard = np.arange(4.0).reshape(1, 1, 4), np.array([1.0, 1, 0, 1])
    assert prompted.map_of_word(similarity, heard, slice(1, 4)) == pytest.approx((1 + 3) / 3)
    assert prompted.word_window(0.89, 2.2, 6, 10) == slice(1, 4)
    assert prompted.word_window(0.0, 6.0, 6, 10) == slice(0, 10)


def test_average_precision_does_not_depend_on_the_order_of_ties():
    truth, score = np.array([True, False, True, False]), np.array([0.5, 0.5, 0.5, 0.1])
    assert prompted.average_precision(truth, score) == pytest.approx(2 / 3)
    assert prompted.average_precision(truth[::-1], score[::-1]) == pytest.approx(2 / 3)
    assert prompted.average_precision(truth, np.array([2.0, 0, 1, 0])) == 1
    assert prompted.average_precision(np.zeros(4, bool), score) == 0
