"""Mixtures and prompts again, plainly: NoPrior, AVGN and DenseAV; see `golden_listening`."""

from itertools import groupby

import listening_inputs as inputs
import numpy as np
from golden_evaluators import slavc_maps, top_quarter
from golden_reference import SIDE, auc, ciou, coded_ap, counts, covered, f1, f1_list, subsets, success, vggss_box

Maps = dict[str, np.ndarray]


# --- 4, duets and AVGN ------------------------------------------------------------------------------------------------


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """scikit-learn's: precision at each distinct score times the step of recall."""
    order = np.argsort(-score.ravel(), kind="stable")
    hits, taken, found, total = 0, 0, 0.0, int(truth.sum())
    labelled = zip(score.ravel()[order].tolist(), truth.ravel()[order].tolist(), strict=True)
    for _, same in groupby(labelled, key=lambda pair: pair[0]):
        values = [bool(label) for _, label in same]
        taken, before, hits = taken + len(values), hits, hits + sum(values)
        found += (hits - before) / total * hits / taken if total else 0.0
    return found


def filled(boxes: list[list[float]]) -> np.ndarray:
    truth = np.zeros((SIDE, SIDE))
    for box in boxes:
        x1, y1, x2, y2 = (int(SIDE * max(value, 0)) for value in box)
        truth[y1:y2, x1:x2] = 1
    return truth


def cubic(stack: np.ndarray, images: int) -> np.ndarray:
    """4.1: the whole stack enlarged by Keys' cubic, a = -0.75, corners not aligned; then cut."""
    return _cubic_rows(_cubic_rows(stack.astype(np.float64), SIDE * images).T, SIDE).T.reshape(images, SIDE, SIDE)


def _cubic_rows(values: np.ndarray, size: int) -> np.ndarray:
    rows = []
    for at in range(size):
        place = (at + 0.5) * len(values) / size - 0.5
        low = int(np.floor(place))
        taps = [(min(max(low + step, 0), len(values) - 1), abs(place - low - step)) for step in (-1, 0, 1, 2)]
        rows.append(sum(values[row] * _keys(far) for row, far in taps))
    return np.stack(rows)


def _keys(x: float) -> float:
    near, far = 1.25 * x**3 - 2.25 * x**2 + 1, -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3
    return near if x <= 1 else far if x < 2 else 0.0


def half(values: np.ndarray) -> np.ndarray:
    """4.1: min-max of each image, then above the value at half the ranks, or the maximum itself."""
    found = []
    for one in values.astype(np.float32):
        spread = one.max() - one.min()
        own = (one - one.min()) / spread if spread else one
        found.append((own > np.sort(own.ravel())[own.size // 2]) | (own >= 1))
    return np.stack(found)


def mixture(maps: list[np.ndarray], truths: list[np.ndarray]) -> dict:
    """4.1: maps take images greedily in order."""
    if not maps:
        return {"iou": [], "cap": [], "piap": []}
    left, iou, cap, total = [truth.copy() for truth in truths], [], [], 0
    for stack in maps:
        high = cubic(stack, len(truths))
        masks, total = half(high), total + high
        values = [ciou(mask, truth) for mask, truth in zip(masks, left, strict=True)]
        best = int(np.nanargmax(values))
        iou.append(values[best])
        cap.append(average_precision(left[best] > 0, masks[best].astype(float)))
        left[best][:] = 0
    missing = [0.0] * max(len(truths) - len(maps), 0)
    piap = average_precision(np.stack(truths) > 0, half(np.asarray(total)).astype(float))
    return {"iou": iou + missing, "cap": cap + missing, "piap": [piap]}


def duets(arrays: Maps) -> dict:
    boxes, found = inputs.fraction_boxes(), {}
    names = sorted(boxes)
    for images, given in inputs.MAPS.items():
        cases = []
        for case, count in enumerate(given):
            pictures = names[case * images : (case + 1) * images]
            maps = [arrays[f"duet_K{images}_case{case:02d}_map{each}"] for each in range(count)]
            own = mixture(maps, [filled(boxes[name]) for name in pictures])
            cases.append({"pictures": pictures, "n_maps": count, **own})
        found[f"noprior_K{images}"] = {"per_case": cases, **_logged(cases)}
    rows, areas, cases = inputs.music_rows(), [], []
    for case, (frame, count) in enumerate(zip(rows, inputs.MUSIC_MAPS, strict=True)):
        truth = np.zeros((SIDE, SIDE))
        for x, y, width, height in frame:
            left, top = int(SIDE * x), int(SIDE * y)
            truth[top : top + int(SIDE * height), left : left + int(SIDE * width)] = 1
        maps = [arrays[f"duet_music_case{case:02d}_map{each}"] for each in range(count)]
        areas.append(truth.sum())
        cases.append({"file": f"m{case:02d}", **mixture(maps, [truth])})
    found["noprior_music_duet_concat1"] = {"per_case": cases, **_logged(cases)}
    made = [{"file": f"m{case:02d}", "class_src1": "cello", "bbox_src1": frame[0], "class_src2": "flute",
             "bbox_src2": frame[1]} for case, frame in enumerate(rows)]  # fmt: skip
    found["ground_truth"] = {
        "vggss_boxes_fraction": boxes, "music_duet_made": made, "noprior_music_area_union": areas,
        "avgn_music_area_per_source": [[_corner_area(box) for box in frame] for frame in rows],
        "avgn_vggsound_duet_largest_value": {name: max(summed(boxes[each]).max() for each in pair)
                                             for name, *pair in _pairs(names)},
        "avgn_vggsound_duet_sum": {name: [summed(boxes[each]).sum() for each in pair]
                                   for name, *pair in _pairs(names)},
    }  # fmt: skip
    return found


def summed(boxes: list[list[float]]) -> np.ndarray:
    """4.2: boxes of a duet's picture are added, not clipped."""
    return covered([vggss_box(box) for box in boxes])


def _pairs(names: list[str]) -> list[tuple[str, str, str]]:
    """Every clip with the next one of the list, the last with the first."""
    return [(name, name, names[(at + 1) % len(names)]) for at, name in enumerate(names)]


def _corner_area(box: list[float]) -> float:
    """4.2: width and height read as the far corner."""
    x1, y1, x2, y2 = (int(SIDE * min(max(value, 0), 1)) for value in box)
    return float(max(x2 - x1, 0) * max(y2 - y1, 0))


def _logged(cases: list[dict]) -> dict:
    iou, cap, piap = ([value for case in cases for value in case[name]] for name in ("iou", "cap", "piap"))
    logged = {"cIoU": success(iou), "cIoU0.3": np.mean([value >= 0.3 for value in iou]), "CAP": np.mean(cap),
              "PIAP": np.mean(piap), "AUC": auc(iou)}  # fmt: skip
    return {"logged": {f"test/{name}": value for name, value in logged.items()},
            "ciou_at_0_1_from_the_original_list": np.mean([value >= 0.1 for value in iou])}  # fmt: skip


AVGN_CONFIDENCE = {"av": 0.5, "obj": 0.5, "av_obj": 0.0}


def avgn(arrays: Maps, boxes: dict[str, list[list[float]]]) -> dict:
    """4.2: of the precision of pixels truth is the prediction, score is the boxes."""
    truths = [filled(own) for own in list(boxes.values())[:24]]
    area = [float(truth.sum()) for truth in truths]
    maps = slavc_maps(arrays["avgn_low7"], arrays["avgn_object7"], 0.4)
    found: dict = {}
    for way in ("relative", "absolute"):
        for name, high in maps.items():
            masks = [one >= (np.sort(one.ravel())[one.size // 2] if way == "relative" else 0.5) for one in high]
            iou = [ciou(mask, truth) for mask, truth in zip(masks, truths, strict=True)]
            piap = [average_precision(mask, truth) for mask, truth in zip(masks, truths, strict=True)]
            numbers = avgn_numbers(iou, [top_quarter(one) for one in high], area, AVGN_CONFIDENCE[name])
            block = {"ciou": iou, "piap": piap, "piap_average": np.mean(piap), **numbers}
            found.setdefault(f"avgn_single_{way}", {})[name] = block
    return found


def avgn_numbers(iou: list[float], conf: list[float], area: list[float], sure: float) -> dict:
    """Every clip has a box; F1 of the subsets as text, in per cent."""
    bb = [1] * len(iou)
    shares = {f"precision_at_{round(100 * at)}": success_above(iou, at) for at in (0.1, 0.3, 0.5)}
    stats: dict = {}
    for subset, rows in subsets(bb, area).items():
        own = [[column[row] for row in rows] for column in (bb, iou, conf)]
        for at in (0.3, 0.5, 0.75) if rows else ():
            name = f"{subset}@{round(100 * at)}"
            stats |= {f"Precision-{name}": float(np.mean([value >= at for value in own[1]])),
                      f"F1-{name}": " ".join(f"{100 * value:.1f}" for value in f1_list(*own, at)),
                      f"AP-{name}": coded_ap(*own, at), f"AUC-{name}": auc(own[1])}  # fmt: skip
    return {"confidence": conf, **shares, "f1_at_30": f1(*counts(bb, iou, conf, sure, 0.3)),
            "ap_at_30": coded_ap(bb, iou, conf, 0.3), "stats": stats}  # fmt: skip


def success_above(iou: list[float], at: float) -> float:
    return sum(value > at for value in iou) / len(iou)


# --- 6, DenseAV -------------------------------------------------------------------------------------------------------


def denseav(arrays: Maps) -> dict:
    labels, asked = arrays["denseav_semseg"], arrays["denseav_prompt_classes"].tolist()
    heat = []
    for image, sound, mask in zip(*(arrays[f"denseav_{name}"].astype(np.float64) for name in
                                    ("image_features", "audio_features", "audio_mask")), strict=True):  # fmt: skip
        similar = np.tensordot(image, sound.mean(axis=1), axes=(0, 0))  # (h, w, t)
        heat.append((similar * mask).sum(axis=2) / mask.sum())
    maps = np.stack(heat)
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    high = np.stack([_bilinear(one, labels.shape[1]) for one in maps])
    ap, iou = [], []
    for name in sorted(set(asked)):
        rows = [row for row, own in enumerate(asked) if own == name]
        truth, score = labels[rows] == name, high[rows]
        ap.append(average_precision(truth, score))
        iou.append(_best_of_20(truth, score))
    single = {}
    for row, one in enumerate(arrays["denseav_heatmaps_sound_heads1"]):
        truth = labels[row] == asked[row]
        single[str(row)] = {"ap": average_precision(truth, one), "best_iou_of_20": _best_of_20(truth, one)}
    return {"total_seconds": 6, "timing_seconds": [[0.49, 1.52], [1.84, 3.95], [0.0, 6.0]], "results": {
        "sound_heads1": {"classes": sorted(set(asked)), "per_class": {"basic_ap": ap, "basic_iou": iou},
                         "logged_mean": {"basic_ap": np.mean(ap), "basic_iou": np.mean(iou)}},
        "single_pictures": single,
        "edge": {"constant_map": 0.0, "empty_target": 0.0, "perfect_binary": 1.0},
    }}  # fmt: skip


def _bilinear(one: np.ndarray, size: int) -> np.ndarray:
    """Corners not aligned."""
    places = np.clip((np.arange(size) + 0.5) * len(one) / size - 0.5, 0, None)
    low = np.minimum(places.astype(int), len(one) - 1)
    high, part = np.minimum(low + 1, len(one) - 1), places - low
    tall = one[low] * (1 - part)[:, None] + one[high] * part[:, None]
    return tall[:, low] * (1 - part) + tall[:, high] * part


def _best_of_20(truth: np.ndarray, score: np.ndarray) -> float:
    if score.max() == score.min() or not truth.any():
        return 0.0
    best = 0.0
    for level in np.linspace(score.min(), score.max(), 20):
        mask = score > level
        best = max(best, int((mask & truth).sum()) / max(int((mask | truth).sum()), 1))
    return best
