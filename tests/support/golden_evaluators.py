"""The released evaluators whole, from low-resolution maps and lists to numbers; see `golden_reference`."""

from collections.abc import Callable

import numpy as np
from golden_reference import (
    HALF,
    SIDE,
    TAU,
    Rule,
    above_median,
    adaptive,
    at_least_half,
    at_least_median,
    auc,
    ciou,
    coded_ap,
    counts,
    enlarge,
    f1,
    f1_list,
    flipped,
    localization,
    lvs_mask,
    minmax,
    overlap,
    slavc_numbers,
    subsets,
    success,
)

# --- evaluators (0, 2) ------------------------------------------------------------------------------------------------


def scores(maps: np.ndarray, truths: list[np.ndarray], rule: Rule) -> list[float]:
    return [ciou(rule(values, truth), truth) for values, truth in zip(maps, truths, strict=True)]


def each(change: Callable[[np.ndarray], np.ndarray], maps: np.ndarray) -> np.ndarray:
    return np.stack([change(values) for values in maps])


def ezvsl_maps(low7: np.ndarray, obj7: np.ndarray) -> dict[str, np.ndarray]:
    """EZ-VSL test.py validate: bilinear with aligned corners, minmax, 0.4 and 0.6."""
    av, obj = (each(minmax, enlarge(maps, "bilinear", True)) for maps in (low7 / TAU, obj7))
    return {"av": av, "obj": obj, "av_obj": each(minmax, 0.4 * av + 0.6 * obj)}


def kaist_lvs_maps(low14: np.ndarray, obj7: np.ndarray, aligned: bool) -> dict[str, np.ndarray]:
    """SSLalignment test.py validate_lvs, validate_ssltie."""
    av, obj = (each(flipped, enlarge(maps, "bilinear", aligned)) for maps in (low14, obj7))
    return {"av": av, "ogl": each(flipped, 0.4 * av + 0.6 * obj)}


def kaist(maps: dict[str, np.ndarray], truths: list[np.ndarray]) -> dict:
    """SSLalignment utils.Evaluator_iiou, without the groups."""
    found = {}
    for name, values in maps.items():
        plain, fitted = scores(values, truths, above_median), scores(values, truths, adaptive)
        of_fitted = {"ciou_adap50": success(fitted), "auc_adap": auc(fitted), "ciou_adap": fitted}
        found[name] = localization(plain) | of_fitted
    return found


def slavc_maps(low7: np.ndarray, obj7: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
    """SLAVC test.py validate: bicubic with aligned corners, fixed ranges."""
    av = (enlarge(low7 / TAU, "bicubic", True) + 1 / TAU) / (2 / TAU)
    obj = enlarge(obj7, "bicubic", True) / 2.5
    return {"av": av, "obj": obj, "av_obj": alpha * av + (1 - alpha) * obj}


def top_quarter(values: np.ndarray) -> float:
    """SLAVC's confidence: the mean of the largest quarter."""
    return float(np.sort(values, axis=None)[-(SIDE * SIDE // 4) :].mean())


def slavc(maps: dict[str, np.ndarray], truths: list[np.ndarray], bb: list[int], relative: bool) -> dict:
    """SLAVC test.py validate with EvaluatorFull, per map; negatives have an empty truth and no box."""
    found = {}
    for name, values in maps.items():
        shown = each(minmax, values) if relative else values
        iou = scores(shown, truths, at_least_median if relative else at_least_half)
        conf, area = [top_quarter(each) for each in values], [float(truth.sum()) for truth in truths]
        found[name] = slavc_numbers(bb, iou, conf, area) | {"ciou": iou, "conf": conf, "area": area, "bb": bb}
    return found


def slavc_train(low7: np.ndarray, truths: list[np.ndarray], bb: list[int]) -> dict:
    """SLAVC train.py validate: bicubic, corners not aligned."""
    scaled = (enlarge(low7 / TAU, "bicubic", False) + 1 / TAU) / (2 / TAU)
    iou, conf = scores(each(minmax, scaled), truths, at_least_median), [top_quarter(values) for values in scaled]
    located = [score for score, boxes in zip(iou, bb, strict=True) if boxes]
    return {"precision_at_50": success(located, strict=True), "ap_at_50": coded_ap(bb, iou, conf, 0.5),
            "f1_at_50": f1(*counts(bb, iou, conf, 0.5, 0.5)), "ciou": iou, "conf": conf}  # fmt: skip


def chains(arrays: dict[str, np.ndarray], truths: list[np.ndarray], bb: list[int], style: str) -> dict:
    """All evaluators from low-resolution maps to numbers, under the names of golden_localisation.json."""
    low7, low14, obj7 = (arrays[name] for name in ("low7", "low14", "obj7"))
    ezvsl, linear = ezvsl_maps(low7, obj7), enlarge(low14, "bilinear", False)
    aligned = style != "vggss"
    flip, plain = each(flipped, linear), each(minmax, linear)
    return {
        "ezvsl_test_validate": {n: localization(scores(m, truths, at_least_median)) for n, m in ezvsl.items()},
        "ezvsl_train_validate": localization(
            scores(each(minmax, enlarge(low7 / TAU, "bicubic", False)), truths, at_least_median)
        ),
        "slavc_test_validate relative": slavc(slavc_maps(low7, obj7, 0.4), truths, bb, True),
        "slavc_test_validate absolute": slavc(slavc_maps(low7, obj7, 0.9), truths, bb, False),
        "slavc_train_validate": slavc_train(low7, truths, bb),
        "kaist_validate (": kaist({"av": ezvsl["av"], "ogl": ezvsl["av_obj"]}, truths),
        f"kaist_validate_lvs testset={style}": kaist(kaist_lvs_maps(low14, obj7, aligned), truths),
        "kaist_validate_ssltie": kaist(kaist_lvs_maps(low14, obj7, False), truths),
        "lvs_main": localization(scores(flip, truths, lvs_mask)),
        "ssltie_test": localization(scores(flip, truths, lvs_mask)),
        "sspl_eval_cal_ciou thres=0.5": localization(scores(plain, truths, at_least_half)),
        "sspl_eval_cal_ciou thres=None": localization(scores(plain, truths, at_least_median)),
        "acl_vggss_evaluator thr=None bs=1 (full maps)": localization(scores(ezvsl["av"], truths, at_least_median)),
        "acl_vggss_evaluator thr=0.5": localization(scores(ezvsl["av"], truths, at_least_half)),
    }


def map_level(full: np.ndarray, truths: list[np.ndarray]) -> dict:
    """Evaluator.cal_CIOU of EZ-VSL, LVS, SSL-TIE (>=) and SSLalignment (>) on finished maps."""
    found = {}
    for name, rule in (("ez", at_least_median), ("lvs", at_least_median), ("tie", at_least_median),
                       ("kaist", above_median)):  # fmt: skip
        rows = []
        for values, truth in zip(full, truths, strict=True):
            mask = rule(values, truth)
            rows.append([float(np.sort(values, axis=None)[HALF]), *overlap(mask, truth), ciou(mask, truth)])
        summary = localization([row[3] for row in rows])
        kept = ("ciou50", "mean_ciou", "auc") if name in ("ez", "kaist") else ("ciou50",)
        found[name] = {"per_sample_thr_inter_union_ciou": rows} | {key: summary[key] for key in kept}
    return found


def edge(values: np.ndarray, truth: np.ndarray) -> dict:
    """Every evaluator's answer on one enlarged map (15); SLAVC's is the map as a cosine times 0.03."""
    scaled = (values.astype(np.float64) + 1 / TAU) / (2 / TAU)
    with np.errstate(invalid="ignore"):  # maps that hold NaN or infinity are among them
        stretched, turned, relative = minmax(values), flipped(values), minmax(scaled)
    shown = {"ezvsl": (stretched, at_least_median), "kaist": (stretched, above_median),
             "kaist_adaptive": (stretched, adaptive), "lvs": (turned, lvs_mask), "ssltie": (turned, lvs_mask),
             "slavc_relative": (relative, at_least_median),
             "slavc_absolute": (scaled, at_least_half)}  # fmt: skip
    found = {}
    for name, (given, rule) in shown.items():
        mask = rule(given, truth)
        result = {"ciou": ciou(mask, truth), "positives": int(mask.sum())}
        result |= {"passes": result["ciou"] >= 0.5} if name == "ezvsl" else {}
        found[name] = {"result": result | ({"conf": top_quarter(scaled)} if name.startswith("slavc") else {})}
    return found


def degenerate_list(bb: list[int], iou: list[float], conf: list[float]) -> dict:
    """What SLAVC's `EvaluatorFull` says of a list; every positive has the area of a medium object."""
    found = slavc_numbers(bb, iou, conf, [5000.0 * (boxes > 0) for boxes in bb])
    named = {"finalize_stats": "finalize_stats", "precision_at_50": "precision_at_50", "ap_at_50": "ap_at_50",
             "f1_at_50": "f1_at_50_default_conf"}  # fmt: skip
    return {"input": {"bb": bb, "ciou": iou, "conf": conf}} | {
        name: {"result": found[own]} for name, own in named.items()
    }


# --- textbook numbers of a list (5.5, 5.6, 5.7, 7) --------------------------------------------------------------------


def textbook(bb: list, iou: list, conf: list, at: float, strict: bool, every_positive: bool) -> dict[str, float]:
    """AP and max-F1 over all distinct confidences, recall from 0."""
    order = sorted(range(len(conf)), key=lambda place: -conf[place])
    hits = found = seen = 0
    pairs, positives = [], sum(each > 0 for each in bb)
    for place, number in enumerate(order):
        passed = iou[number] > at if strict else iou[number] >= at
        seen += 1
        found += bb[number] > 0
        hits += bb[number] > 0 and passed
        if place + 1 < len(order) and conf[order[place + 1]] == conf[number]:
            continue
        wanted = positives if every_positive else hits + positives - found
        pairs.append((hits / seen, hits / wanted if wanted else 1.0))
    best, area, highest = max(f1(*pair) for pair in pairs), 0.0, 0.0
    for place in range(len(pairs) - 1, -1, -1):
        highest = max(highest, pairs[place][0])
        area += highest * (pairs[place][1] - (pairs[place - 1][1] if place else 0.0))
    return {"ap_envelope_rightsum": area, "max_f1": best}


def score_list(bb: list, iou: list, conf: list, area: list, kind: list) -> dict:
    """One entry of golden_extended.json's lists."""
    own, original = (bb, iou, conf), slavc_numbers(bb, iou, conf, area)
    located = [score for score, boxes in zip(iou, bb, strict=True) if boxes]
    share, rate = len(located) / len(bb), success(located)
    best = {}
    for name, chosen in subsets(bb, area).items():
        part = [[column[at] for at in chosen] for column in own]
        for at in (0.5, 0.75) if chosen else ():
            best[f"F1-{name}@{round(100 * at)}"] = round(100 * max(f1_list(*part, at)), 1)
    return {
        "original": original,
        "original_max_of_printed_F1_list_percent": best,
        "reference_own_code": {
            f"{recall}|strict={strict}|gamma={at}": textbook(*own, at, strict, recall == "all")
            for recall in ("paper", "all") for strict in (False, True) for at in (0.5, 0.75)
        },
        "locacc_ge": rate, "locacc_gt": success(located, strict=True),
        "always_on_f1": 2 * rate * share / (1 + rate * share),
        "per_negative_type": {
            f"{each}|all_positives": _of_type(own, [at for at in range(len(bb)) if bb[at] or kind[at] == each])
            for each in ("real", "easy", "hard")
        },
    }  # fmt: skip


def _of_type(own: tuple[list, list, list], chosen: list[int]) -> dict:
    bb, iou, conf = ([column[at] for at in chosen] for column in own)
    return {"ap_code": coded_ap(bb, iou, conf, 0.5), "max_f1_decile": max(f1_list(bb, iou, conf, 0.5)),
            "max_f1_all_thresholds": textbook(bb, iou, conf, 0.5, False, False)["max_f1"],
            "positives": None}  # fmt: skip
