"""Masks, classes, mixtures and prompts from files, under the protocols' names, against the evaluators' numbers."""

import json

import numpy as np
import pytest
from class_frames import write_avss, write_grey_masks, write_image
from scored_files import scores_of

from manifests.errors import InputError
from manifests.sound_draws import NEGATIVES
from manifests.truth import read_truth
from training.evaluation.localization import auc, ciou, success_rate
from training.evaluation.metrics.interactive import interactive_summary
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import find_protocol
from training.evaluation.true_masks import true_masks

SIDE = 224


def test_avsbench_robust(values, arrays, tmp_path):
    masks = arrays["robust_masks"]
    keys = [f"dog/clip{number // 5}/clip{number // 5}_{number % 5 + 1}" for number in range(20)]
    for key, mask in zip(keys, masks, strict=True):
        write_image(tmp_path / "s4_data" / "gt_masks" / "test" / f"{key}.png", _padded(mask, 0))
    controls = {f"maps_{name}": _padded_maps(arrays[f"robust_logits_{name}"]) for name in NEGATIVES}
    own = _padded_maps(arrays["robust_logits_positive"])
    np.savez(tmp_path / "maps.npz", names=keys, maps=own, **controls)
    scores, found, _ = scores_of(tmp_path, tmp_path / "s4_data", "avsbench_s4", "avsbench_robust")
    share = (masks.shape[1] * (SIDE // masks.shape[1]) / SIDE) ** 2  # of the frame that is not padding
    expected = values["robust_segmentation"]["test_main"]
    assert scores["fpr_own"] == pytest.approx(share * expected["positive"]["batch_1_videos"]["FPR"], abs=1e-5)
    for name in NEGATIVES:
        fpr = share * expected[name]["batch_1_videos"]["FPR"]
        assert scores[f"fpr_{name}"] == pytest.approx(fpr, abs=1e-5)
        assert scores[f"quiet_miou_{name}"] == pytest.approx(1 - fpr, abs=1e-5)
        assert scores[f"robust_f_{name}"] == pytest.approx(expected[name]["batch_1_videos"]["F_score"], abs=5e-4)
    assert scores["robust_f"] == pytest.approx(expected["positive"]["batch_1_videos"]["F_score"], abs=5e-4)
    assert found["floors"]["nothing"]["fpr_silence"] == 0
    assert found["floors"]["whole_image"]["fpr_silence"] == pytest.approx(1)
    assert found["ceiling"]["fpr_noise"] == 0
    assert found["ceiling"]["robust_miou"] == pytest.approx(1, abs=1e-5)
    assert found["n_empty_truth"] == int((~masks.any(axis=(1, 2))).sum())
    name = "avsbench_robust+videos_per_batch=3"
    scores, found, _ = scores_of(tmp_path, tmp_path / "s4_data", "avsbench_s4", name)
    assert found["protocol"]["name"] == name
    for sound, key in (("positive", "own"), ("noise", "noise")):
        batch = expected[sound]["batch_3_videos"]
        assert scores[f"fpr_{key}"] == pytest.approx(share * batch["FPR"], abs=1e-5)
        assert scores["robust_f" if key == "own" else f"robust_f_{key}"] == pytest.approx(batch["F_score"], abs=5e-4)


def _padded(mask, value):
    """(224, 224): each pixel repeated, with `value` around."""
    times = SIDE // mask.shape[0]
    whole = np.full((SIDE, SIDE), value, mask.dtype)
    whole[: times * mask.shape[0], : times * mask.shape[1]] = mask.repeat(times, 0).repeat(times, 1)
    return whole


def _padded_maps(logits):
    return np.stack([_padded(one, np.float32(-30)) for one in logits])


@pytest.mark.filterwarnings("error")
def test_frames_without_a_sound_are_counted_by_the_robust_protocol(tmp_path):
    (tmp_path / "vggss.json").write_text(json.dumps(
        [{"file": f"clip{at}_{at:06d}", "class": "dog", "bbox": [[0, 0, 0.5, 0.5]]} for at in range(3)]
    ))  # fmt: skip
    maps = np.full((3, 7, 7), 3000, np.float32)
    maps[:, :3] = -3000  # beyond what the exponential of a double holds
    silent = maps.copy()
    silent[1] = np.nan
    np.savez(tmp_path / "maps.npz", names=[f"clip{at}_{at:06d}" for at in range(3)], maps=maps, maps_silence=silent)
    scores, found, said = scores_of(tmp_path, tmp_path / "vggss.json", "vggss", "avsbench_robust")
    assert found["controls"]["silence"] == {"n": 2, "without": ["clip1_000001"]}
    assert found["controls"]["noise"]["n"] == 0
    assert scores["fpr_silence"] == pytest.approx(4 / 7, abs=0.01)
    assert scores["fpr_noise"] is None
    assert "1 clip has no map under silence: clip1_000001" in said


@pytest.fixture
def semantic(arrays, tmp_path):
    """Twelve frames as a video of ten, and two of another; padding frames of both."""
    true = arrays["avss_labels_true"]
    five = np.concatenate([true[10:], np.zeros((3, *true.shape[1:]), true.dtype)])
    return write_avss(tmp_path / "avss", {("v2", "one"): true[:10], ("v1s", "two"): five})


def test_classes_of_avss(values, arrays, semantic, tmp_path):
    predicted = arrays["avss_labels_predicted"]
    names = [f"v2/one_{number + 1}" for number in range(10)] + [f"v1s/two_{number + 1}" for number in range(2)]
    np.savez(tmp_path / "maps.npz", names=names, labels=predicted)
    scores, found, said = scores_of(tmp_path, semantic, "avss", "avss")
    means = values["avss"]["means_recomputed_by_driver_from_sums"]
    assert scores["miou_classes"] == pytest.approx(means["miou"], abs=1e-5)
    assert scores["f_classes"] == pytest.approx(means["f"], abs=1e-5)
    no_background = means["miou_noBg_as_printed_drops_class_70"]
    assert scores["miou_classes_no_background"] == pytest.approx(no_background, abs=1e-5)
    assert scores["miou_seen_classes"] == pytest.approx(means["miou_over_seen_classes"], abs=1e-5)
    assert found["classes_seen"] == means["classes_seen"]
    binary = values["avss"]["binary_miou_avsbench_background_taken_as_last_class"]
    assert scores["binary_miou"] == pytest.approx(binary, abs=1e-5)
    assert found["n_without_hit"] == 1
    assert "1 frames without a class in its right place" in said
    assert scores["miou_classes_textbook"] > scores["miou_classes"]
    assert found["missing"] == ["v1s/two_3", "v1s/two_4", "v1s/two_5"]
    assert found["ceiling"]["j_and_f_textbook"] == 1
    assert "3 clips missing" in said


def test_what_has_a_class_is_a_mask(arrays, semantic, tmp_path):
    """Any class but the background sounds, also in a frame without background."""
    true = arrays["avss_labels_true"]
    truth = read_truth(semantic, "avss")
    masks = true_masks(truth, truth.keys[:10])
    rows = (np.arange(SIDE) + 0.5) * true.shape[1] // SIDE
    np.testing.assert_array_equal(masks, true[:10][:, rows.astype(int)][:, :, rows.astype(int)] > 0)
    np.savez(tmp_path / "maps.npz", names=truth.keys[:10], maps=masks.astype(np.float32))
    scores, _, _ = scores_of(tmp_path, semantic, "avss", "avsbench")
    assert scores["miou"] == pytest.approx(1, abs=1e-5)


def test_padding_is_scored_as_released_and_left_out_of_the_textbook(arrays, semantic, tmp_path):
    true = arrays["avss_labels_true"]
    names = [f"v1s/two_{number}" for number in (1, 2, 3, 4, 5, 6, 10, 11)]
    labels = np.concatenate([true[10:], np.zeros((3, *true.shape[1:]), true.dtype), np.full((3, *true.shape[1:]), 9)])
    np.savez(tmp_path / "maps.npz", names=names, labels=labels)
    scores, found, _ = scores_of(tmp_path, semantic, "avss", "avss")
    assert found["n_padding"] == 2  # frame 11 is past the loader's end
    assert scores["miou_classes_textbook"] == 1
    assert scores["miou_seen_classes"] < 1
    without, found, _ = scores_of(tmp_path, semantic, "avss", "avss+padded_frames=0")
    assert found["n_padding"] == 0
    assert without["miou_seen_classes"] == without["miou_classes_textbook"] == 1


def test_labels_that_are_none_are_refused(semantic, tmp_path):
    for labels, message in (
        (np.zeros((1, 4, 4)), "whole numbers"),
        (np.full((1, 4, 4), 71), "classes are 0 to 70"),
        (np.zeros((2, 4, 4), int), "for 1 names"),
    ):
        np.savez(tmp_path / "maps.npz", names=["v2/one_1"], labels=labels)
        with pytest.raises(InputError, match=message):
            scores_of(tmp_path, semantic, "avss", "avss")
    np.savez(tmp_path / "maps.npz", names=["v2/one_1"], maps=np.zeros((1, 4, 4)))
    with pytest.raises(InputError, match="scoring needs the arrays names and labels"):
        scores_of(tmp_path, semantic, "avss", "avss")


MASKS = {
    "adaptive_masks": "adaptive_batch64",
    "top_half_masks": "tophalf_batch64",
    "adaptive_masks+frames_per_batch=8": "adaptive_batch8",
}


@pytest.mark.parametrize(("name", "format"), [("vpoms", "vpo"), ("is3", "is3")])
def test_masks_of_sslalignment_at_their_own_area(values, arrays, name, format, tmp_path):
    names, masks = values["kaist"]["sets"][name]["names"], arrays[f"kaist_{name}_masks"]
    masks = masks if masks.max() > 1 else 255 * masks
    folder = write_grey_masks(tmp_path / format, dict(zip(names, masks, strict=True)))
    seg = [{"image": f"/mnt/x/{each}.jpg", "audio": "x", "gt_box": f"/mnt/y/gt_masks/{each}.png", "offset": 1}
           for each in names]  # fmt: skip
    listed = folder / f"{format}_seg.json"
    listed.write_text(json.dumps(seg))
    release = values["kaist"]["release_2024_with_mask_scores"]
    for side, key in ((7, "ez"), (14, "lvs")):
        np.savez(tmp_path / "maps.npz", names=names, maps=arrays[f"kaist_{name}_low{side}"])
        for protocol, spelled in MASKS.items():
            expected = release[f"{name}_{key}_{spelled}"]["mask"]
            scores, found, said = scores_of(tmp_path, listed, format, protocol)  # in the released order
            assert 100 * scores["mask_miou"] == pytest.approx(expected["mIoU_percent"], abs=0.02)
            assert 100 * scores["mask_f"] == pytest.approx(expected["F_percent"], abs=0.02)
            assert scores["mask_f_everything"] == pytest.approx(expected["mean_F_threshold_0"], abs=2e-4)
            assert found["floors"]["whole_image"]["mask_f"] == pytest.approx(scores["mask_f_everything"])
            assert found["ceiling"]["mask_miou_textbook"] >= scores["mask_miou_textbook"]
            assert f"{found['n_alone']} images with one sound" in said
            holds_boxes_scores(scores, release, f"{name}_{key}", "" if protocol == "top_half_masks" else "_adap")
    assert set(read_truth(folder, format).keys) == set(names)


def holds_boxes_scores(own, release, case, end):
    """cIoU, AUC and the interactive ones of the same run, as the evaluator of boxes has them."""
    expected, several = release[f"{case}_adaptive_batch64"], release[f"{case}_only_groups_of_two_or_more"]
    assert own["mask_ciou50"] == pytest.approx(expected[f"ciou{end}50"])
    assert own["mask_auc"] == pytest.approx(expected[f"auc{end}"])
    for score in ("iiou", "iauc"):
        assert own[score] == pytest.approx(expected[f"{score}{end}"])
        assert own[f"{score}_of_several"] == pytest.approx(several[f"{score}{end}"])


def test_masks_with_the_object_prior_from_a_file(values, arrays, tmp_path):
    names, masks = values["kaist"]["sets"]["vpoms"]["names"], arrays["kaist_vpoms_masks"]
    folder = write_grey_masks(tmp_path / "vpo", dict(zip(names, 255 * (masks > 0).astype(np.uint8), strict=True)))
    for key, scaling in (("ez", "minmax"), ("lvs", "flipped_minmax")):
        low, prior = arrays[f"kaist_vpoms_low{KAIST[key][0]}"], arrays["kaist_vpoms_object7"]
        np.savez(tmp_path / "maps.npz", names=names, maps=low, object_maps=prior)
        _, found, _ = scores_of(tmp_path, folder, "vpo", f"adaptive_masks+scaling={scaling}")
        mixed = found["scores"]["combined"]
        printed = values["kaist"]["release_2024_with_mask_scores"][f"vpoms_{key}_adaptive_batch64"]["printed"]
        for title, score in (("CIoU", "mask_ciou50"), ("AUC", "mask_auc")):
            assert any(line.endswith(f"{title}_adap : {100 * mixed[score]:.2f}") for line in printed)


KAIST = {"ez": (7, ("kaist", "adaptive")), "lvs": (14, ("kaist_lvs_aligned", "adaptive_lvs_aligned"))}


def boxes_scores_on_masks(arrays, name, key, end):
    """cIoU by map, as the evaluator of boxes has them on masks."""
    side, protocols = KAIST[key]
    masks = arrays[f"kaist_{name}_masks"] >= min(128, arrays[f"kaist_{name}_masks"].max())
    protocol = find_protocol(protocols[end == "_adap"])
    maps = prepare(arrays[f"kaist_{name}_low{side}"], protocol, arrays[f"kaist_{name}_object7"])
    pixels, weights = masks.sum(axis=(1, 2)), masks.astype(np.float32)
    return {each: ciou(binarise(own.maps, protocol, pixels).masks, weights) for each, own in maps.items()}


@pytest.mark.parametrize("end", ["", "_adap"])
@pytest.mark.parametrize("key", KAIST)
@pytest.mark.parametrize("name", ["vpoms", "is3"])
def test_groups_of_one_apart(values, arrays, name, key, end):
    """IIoU of the boxes' evaluator on masks, of both releases: over all groups, and over those of two or more."""
    names, release = values["kaist"]["sets"][name]["names"], values["kaist"]["release_2024_with_mask_scores"]
    iou = boxes_scores_on_masks(arrays, name, key, end)["audio_visual"]
    summary, several = interactive_summary(names, iou), release[f"{name}_{key}_only_groups_of_two_or_more"]
    for expected in (release[f"{name}_{key}_adaptive_batch64"], values["kaist"]["release_head"][f"{name}_{key}"]):
        np.testing.assert_allclose(iou, expected[f"ciou{end}"], atol=3e-4)
        assert success_rate(iou) == pytest.approx(expected[f"ciou{end}50"])
        assert auc(iou) == pytest.approx(expected[f"auc{end}"])
        assert summary["iiou"] == pytest.approx(expected[f"iiou{end}"])
        assert summary["iauc"] == pytest.approx(expected[f"iauc{end}"])
    assert summary["iiou_of_several"] == pytest.approx(several[f"iiou{end}"])
    assert summary["iauc_of_several"] == pytest.approx(several[f"iauc{end}"])
    assert summary["n_single"] == summary["group_sizes"].get("1", 0)


@pytest.mark.parametrize("key", KAIST)
@pytest.mark.parametrize("name", ["vpoms", "is3"])
def test_masks_with_the_object_prior(values, arrays, name, key):
    """What the release prints under "OGL results", in per cent with two digits: all that is known of these runs."""
    printed = values["kaist"]["release_2024_with_mask_scores"][f"{name}_{key}_adaptive_batch64"]["printed"]
    expected = printed[printed.index("OGL results") + 1 :][:2]
    plain, fitted = (boxes_scores_on_masks(arrays, name, key, end)["combined"] for end in ("", "_adap"))
    for title, measure, said in zip(("CIoU", "AUC"), (success_rate, auc), expected, strict=True):
        assert said == f"{title} : {100 * measure(plain):.2f} {title}_adap : {100 * measure(fitted):.2f}"
