"""The released evaluators of 2023 to 2025 again, plainly: whether a localizer listens, masks, classes, duets, prompts.

After ../shared/reference/listening.md (sections named below); under the names of golden_listening.json. As
`golden_reference`: nothing of the project, no torch, double precision, slow and literal.
"""

from itertools import combinations

import golden_mixtures as mixtures
import listening_inputs as inputs
import numpy as np
from golden_evaluators import ezvsl_maps, kaist_lvs_maps
from golden_reference import SIDE, auc, ciou, enlarge, success
from golden_tasks import f_curve, frame_iou, groups_of

NEGATIVES = inputs.SOUNDS[1:]
LEVELS = {  # 1: max, max10, q3 of each model
    "ezvsl": (0.6041, 0.6645, 0.6382), "slavc": (0.5201, 0.5721, 0.5450), "fnac": (0.5311, 0.5842, 0.5538),
    "lvs": (0.5527, 0.6080, 0.6077), "sslalign": (0.2660, 0.2926, 0.3175), "ssltie": (0.2641, 0.2906, 0.3338),
}  # fmt: skip
CASES = (("ezvsl_vggss", 7, True), ("slavc_vggss", 7, True), ("fnac_is3", 7, True), ("lvs_vggss", 14, False),
         ("lvs_is3", 14, True), ("sslalign_vggss", 14, False), ("sslalign_is3", 14, True),
         ("ssltie_vggss", 14, False))  # fmt: skip
Maps = dict[str, np.ndarray]


def harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other)


def agreement(mask: np.ndarray, other: np.ndarray) -> float:
    """1, IoU(pos, neg)."""
    union = int((mask | other).sum())
    return int((mask & other).sum()) / union if union else 1.0


def auc_of_areas(areas: list[float]) -> float:
    """1, AUC_N: trapezoids over 0.05 j as a float product."""
    steps = [0.05 * step for step in range(21)]
    shares = [sum(area <= step for area in areas) / len(areas) for step in steps]
    return sum((b - a) * (s + t) / 2 for a, b, s, t in zip(steps, steps[1:], shares, shares[1:], strict=False))


def negatives(arrays: Maps, boxes: list[list[list[int]]]) -> dict:
    """1: every case's numbers at each threshold, with and without the object map."""
    truths = []
    for own in boxes:
        truth = np.zeros((SIDE, SIDE))
        for x1, y1, x2, y2 in own:
            truth[y1:y2, x1:x2] = 1
        truths.append(truth)
    results = {name: _case(arrays, truths, name, side, aligned) for name, side, aligned in CASES}
    return {"boxes": boxes, "results": results | {"helpers": helpers()}}


def _case(arrays: Maps, truths: list[np.ndarray], name: str, side: int, aligned: bool) -> dict:
    high = {sound: enlarge(arrays[f"negatives_low{side}_{sound}"], "bilinear", aligned and sound == "positive")
            for sound in inputs.SOUNDS}  # fmt: skip
    prior = enlarge(arrays["negatives_object7"], "bilinear", aligned)
    kinds = {"wogl": high, "ogl": {sound: 0.4 * maps + 0.6 * prior for sound, maps in high.items()}}
    biggest, bigger, q3 = LEVELS[name.split("_", maxsplit=1)[0]]
    levels = {"_max": biggest, "_max10": bigger, "_maxq3": q3, "": 0.5}
    scalars, per_clip = {}, {}
    for kind, maps in kinds.items():
        for rule, level in levels.items():
            spelled = rule or "_05"
            masks = {sound: [one > np.float32(level) for one in own] for sound, own in maps.items()}
            iou = [ciou(mask, truth) for mask, truth in zip(masks["positive"], truths, strict=True)]
            iou = [0.0 if np.isnan(value) else value for value in iou]
            scalars[f"ciou{spelled}_mean_{kind}"], scalars[f"auc{spelled}_{kind}"] = 100 * np.mean(iou), 100 * auc(iou)
            per_clip[f"ciou{spelled}_{kind}"] = iou
            for sound in NEGATIVES:
                areas = [mask.mean() for mask in masks[sound]]
                scalars[f"pia_metric_{sound}{rule}_{kind}"] = 100 * np.mean(areas)
                scalars[f"auc_{sound}{rule}_{kind}"] = 100 * auc_of_areas(areas)
                per_clip[f"pia_batch_{sound}{rule}_{kind}"] = areas
                pairs = zip(masks["positive"], masks[sound], strict=True)
                per_clip[f"iou_pos_{sound}{rule}_{kind}"] = [agreement(*pair) for pair in pairs]
            for one, other in combinations(NEGATIVES, 2) if kind == "wogl" else ():
                same = [agreement(*pair) for pair in zip(masks[one], masks[other], strict=True)]
                per_clip[f"iou_{one}_{other}{rule}_{kind}"] = same
                scalars[f"iou_{one}_{other}{rule}_{kind}_metric"] = 100 * np.mean(same)
    return {"thresholds": {"max": biggest, "max10": bigger, "q3": q3, "fixed": 0.5},
            "scalars": scalars | _headline(scalars), "per_clip": per_clip}  # fmt: skip


def _headline(scalars: dict[str, float]) -> dict[str, float]:
    """F_LOC and F_AUC, at Q3 without the object map."""
    quiet = np.mean([100 - scalars[f"pia_metric_{sound}_maxq3_wogl"] for sound in NEGATIVES])
    area = np.mean([scalars[f"auc_{sound}_maxq3_wogl"] for sound in NEGATIVES])
    return {"f_pos_neg": harmonic(scalars["ciou_maxq3_mean_wogl"], quiet),
            "f_auc_aoc_pos_neg": harmonic(scalars["auc_maxq3_wogl"], area)}  # fmt: skip


def helpers() -> dict:
    """1: values of the four helper functions at their edges."""
    return {
        "compute_IOU_maps": {"empty_empty": 1.0, "full_empty": 0.0, "empty_full": 0.0, "half_full": 0.5},
        "compute_f": {"30_60": harmonic(30.0, 60.0)},
        "compute_AUC_pIA": {"all_zero": auc_of_areas([0.0]), "all_one": auc_of_areas([1.0]),
                            "exactly_0.15_and_0.30": auc_of_areas([0.15, 0.3]), "half": auc_of_areas([0.5])},
    }  # fmt: skip


# --- 2, AVSBench-Robust -----------------------------------------------------------------------------------------------


def robust(arrays: Maps) -> dict:
    truth = arrays["robust_masks"] > 0
    found: dict = {"fpr_per_frame": {}, "test_main": {}, "test_main_with_empty_masks": {}}
    for sound in inputs.SOUNDS:
        logits = arrays[f"robust_logits_{sound}"].astype(np.float64)
        shown, probabilities = logits > 0, (1 / (1 + np.exp(-logits))).astype(np.float32)
        areas = [float(mask.sum() / (mask.size + 1e-7)) for mask in shown]
        found["fpr_per_frame"][sound] = areas
        found["test_main"][sound] = {
            f"batch_{videos}_videos": _robust_means(areas, shown, probabilities, truth, 5 * videos)
            for videos in (1, 3, 4)
        }
        empty = np.mean([frame_iou(mask, np.zeros_like(mask)) for mask in shown])
        found["test_main_with_empty_masks"][sound] = {"batch_1_videos": {"miou": empty}}
    return found


def _robust_means(areas: list, shown: np.ndarray, probabilities: np.ndarray, truth: np.ndarray, size: int) -> dict:
    fpr, miou, best = [], [], []
    for start in range(0, len(areas), size):
        rows = range(start, min(start + size, len(areas)))
        fpr.append(np.mean([areas[row] for row in rows]))
        miou.append(np.mean([frame_iou(shown[row], truth[row]) for row in rows]))
        curves = [f_curve(probabilities[row], truth[row])[2] for row in rows if truth[row].any()]
        best.append(max(np.mean(curves, axis=0)) if curves else 0.0)
    return {"FPR": np.mean(fpr), "miou": np.mean(miou), "F_score": np.mean(best)}


# --- 3, AVSS ----------------------------------------------------------------------------------------------------------


def avss(arrays: Maps) -> dict:
    iou, f, frames = ([0.0] * 71 for _ in range(3))
    by_frame, binary = [], []
    for predicted, true in zip(arrays["avss_labels_predicted"], arrays["avss_labels_true"], strict=True):
        own_iou = [int(((predicted == n) & (true == n)).sum()) / max(int(((predicted == n) | (true == n)).sum()), 1)
                   for n in range(71)]  # fmt: skip
        hits = [value for value in own_iou if value]
        by_frame.append(sum(hits) / len(hits) if hits else float("nan"))
        binary.append(frame_iou(predicted != 70, true != 70))
        for name in sorted({*predicted.ravel().tolist(), *true.ravel().tolist()}):
            own, real = predicted == name, true == name
            both = int((own & real).sum())
            precision, recall = (both / int(side.sum()) if side.any() else 0.0 for side in (own, real))
            iou[name] += both / int((own | real).sum())
            f[name] += 1.3 * precision * recall / (0.3 * precision + recall) if both else 0.0
            frames[name] += 1
    mean_iou, mean_f = ([s / n if n else 0.0 for s, n in zip(sums, frames, strict=True)] for sums in (iou, f))
    seen = [name for name in range(71) if frames[name]]
    block = {"sum_iou_per_class": iou, "sum_f_per_class": f, "frames_per_class": frames,
             "frame_mean_over_nonzero_iou": by_frame}  # fmt: skip
    means = {
        "miou": np.mean(mean_iou), "f": np.mean(mean_f), "classes_seen": len(seen),
        "miou_noBg_as_printed_drops_class_70": np.mean(mean_iou[:70]),
        "f_noBg_as_printed_drops_class_70": np.mean(mean_f[:70]),
        "miou_over_seen_classes": np.mean([mean_iou[name] for name in seen]),
    }  # fmt: skip
    return {f"{name}_frames6_videos_per_batch1": block for name in ("avsbench", "avsegformer")} | {
        "means_recomputed_by_driver_from_sums": means,
        "binary_miou_avsbench_background_taken_as_last_class": np.mean(binary),
    }


# --- 5, masks and groups ----------------------------------------------------------------------------------------------


def kaist(arrays: Maps, sets: dict[str, list[str]]) -> dict:
    release: dict = {}
    head: dict = {}
    for name, names in sets.items():
        truth = arrays[f"kaist_{name}_masks"] >= 128
        for side, key in ((7, "ez"), (14, "lvs")):
            high = enlarge(arrays[f"kaist_{name}_low{side}"], "bilinear", True)
            for batch in (64, 8):
                masks = [_at_area(one, own, min(batch, len(names) - at // batch * batch)) for at, (one, own) in
                         enumerate(zip(high, truth, strict=True))]  # fmt: skip
                block = {"mask": _mask_means(masks, truth, batch)}
                release[f"{name}_{key}_adaptive_batch{batch}"] = block
            masks = [one > np.sort(one.ravel())[one.size // 2] for one in high]
            release[f"{name}_{key}_tophalf_batch64"] = {"mask": _mask_means(masks, truth, 64)}
            release[f"{name}_{key}_adaptive_batch64"] |= _boxes_scores(names, high, truth)
            kept = [
                at for at, each in enumerate(names) if len(groups_of(names, list(names))[each.rpartition("_")[0]]) > 1
            ]
            several = _boxes_scores([names[at] for at in kept], high[kept], truth[kept])
            release[f"{name}_{key}_only_groups_of_two_or_more"] = several
            head[f"{name}_{key}"], printed = _by_the_head(arrays, name, key, names, truth)
            release[f"{name}_{key}_adaptive_batch64"]["printed"] = printed
    named = {name: {"names": names} for name, names in sets.items()}
    return {"sets": named, "release_2024_with_mask_scores": release, "release_head": head}


def _by_the_head(arrays: Maps, name: str, key: str, names: list[str], truth: np.ndarray) -> tuple[dict, list[str]]:
    """The boxes' evaluator on masks, and what it prints of the mixture with the object prior."""
    low, prior = arrays[f"kaist_{name}_low{7 if key == 'ez' else 14}"], arrays[f"kaist_{name}_object7"]
    ezvsl = ezvsl_maps(low, prior) if key == "ez" else kaist_lvs_maps(low, prior, True)
    own = _boxes_scores(names, ezvsl["av"], truth)
    mixed = _boxes_scores(names, ezvsl["ogl" if key == "lvs" else "av_obj"], truth)
    pairs = (("CIoU", "ciou50", "ciou_adap50"), ("AUC", "auc", "auc_adap"))
    lines = [f"{title} : {100 * mixed[one]:.2f} {title}_adap : {100 * mixed[two]:.2f}" for title, one, two in pairs]
    return own, ["OGL results", *lines]


def _at_area(one: np.ndarray, truth: np.ndarray, frames: int) -> np.ndarray:
    count = int(truth.sum()) or frames // 2
    return one > np.sort(one.ravel())[one.size - count]


def _f(mask: np.ndarray, truth: np.ndarray) -> float:
    both = int((mask & truth).sum())
    precision, recall = both / max(int(mask.sum()), 1), both / int(truth.sum())
    return 1.3 * precision * recall / (0.3 * precision + recall) if both else 0.0


def _mask_means(masks: list[np.ndarray], truth: np.ndarray, batch: int) -> dict:
    iou = [frame_iou(*pair) for pair in zip(masks, truth, strict=True)]
    means = [np.mean(iou[start : start + batch]) for start in range(0, len(iou), batch)]
    seen = [(mask, own) for mask, own in zip(masks, truth, strict=True) if own.any()]
    everything, own = np.mean([_f(np.ones_like(t), t) for _, t in seen]), np.mean([_f(m, t) for m, t in seen])
    return {"mIoU_percent": 100 * np.mean(means), "F_percent": 100 * max(everything, own),
            "mean_F_threshold_0": everything, "mean_F_mask": own}  # fmt: skip


def _boxes_scores(names: list[str], high: np.ndarray, truth: np.ndarray) -> dict:
    """5: cIoU at top half and at the truth's area (half of the image where it is empty), IIoU."""
    found: dict = {"ciou": [], "ciou_adap": []}
    for one, own in zip(high, truth, strict=True):
        flat, count = np.sort(one.ravel()), int(own.sum()) or one.size // 2
        found["ciou"].append(ciou(one > flat[one.size // 2], own.astype(float)))
        found["ciou_adap"].append(ciou(one > flat[one.size - count], own.astype(float)))
    for end in ("", "_adap"):
        groups = [min(values) for values in groups_of(names, found[f"ciou{end}"]).values()]
        found |= {f"ciou{end}50": success(found[f"ciou{end}"]), f"auc{end}": auc(found[f"ciou{end}"]),
                  f"iiou{end}": success(groups), f"iauc{end}": auc(groups)}  # fmt: skip
    return found


def listening() -> dict:
    """Everything of the made inputs, under the names of golden_listening.json."""
    arrays = inputs.arrays()
    return {
        "negatives": negatives(arrays, inputs.boxes()), "robust_segmentation": robust(arrays), "avss": avss(arrays),
        "duet": mixtures.duets(arrays), "avgn": mixtures.avgn(arrays, inputs.fraction_boxes()),
        "kaist": kaist(arrays, inputs.NAMES), "denseav": mixtures.denseav(arrays),
    }  # fmt: skip
