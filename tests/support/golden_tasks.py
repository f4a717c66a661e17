"""The other released scores: retrieval, on-screen sound, interactive images, AVSBench; see `golden_reference`."""

import numpy as np
from golden_reference import above_median, auc, success

# --- other tasks (9, 10, 12, 13) --------------------------------------------------------------------------------------


def similarities(image: np.ndarray, audio: np.ndarray) -> dict[str, np.ndarray]:
    """(N, C, h, w), (N, C) -> (N, N) by name; image rows, audio columns."""
    image, audio = image.astype(np.float64), audio.astype(np.float64)
    spots = image.reshape(*image.shape[:2], -1)
    unit_spots = spots / np.linalg.norm(spots, axis=1, keepdims=True)
    unit_audio = audio / np.linalg.norm(audio, axis=1, keepdims=True)
    cosines = np.stack([[unit_audio[j] @ unit_spots[i] for j in range(len(audio))] for i in range(len(image))])
    pooled, unit_pooled = spots.mean(axis=2), unit_spots.mean(axis=2)
    return {
        "ssltie_forward_A0_ref": cosines.max(axis=2),
        "max_over_positions": cosines.max(axis=2),
        "mean_over_positions": cosines.mean(axis=2),
        "avgpool_then_cosine": (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)) @ unit_audio.T,
        "ezvsl_normalised_map_avgpool_then_cosine":
            (unit_pooled / np.linalg.norm(unit_pooled, axis=1, keepdims=True)) @ unit_audio.T,
    }  # fmt: skip


def recalls(similarity: np.ndarray) -> dict:
    """R@1, 5, 10 of either direction; the rank counts the strictly larger."""
    found = {}
    for name, table in (("I2A", similarity), ("A2I", similarity.T)):
        ranks = [1 + sum(value > row[at] for value in row) for at, row in enumerate(table)]
        found[name] = {f"R@{k}": sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)}
    return found


def onscreen(pairs: dict[str, list[float]]) -> dict:
    """Proposal-based paper: near in the common space, or an active proposal."""
    near = (float(np.median(pairs["dist_pos"])) + float(np.median(pairs["dist_neg"]))) / 2
    says = {side: {"m_on": [value < near for value in pairs[f"dist_{side}"]],
                   "d_on": [value > 0.2 for value in pairs[f"act_{side}"]]} for side in ("pos", "neg")}  # fmt: skip
    for side in says.values():
        side["either"] = [a or b for a, b in zip(side["m_on"], side["d_on"], strict=True)]
    total = len(pairs["dist_pos"]) + len(pairs["dist_neg"])
    right = {rule: (sum(says["pos"][rule]) + sum(not each for each in says["neg"][rule])) / total
             for rule in ("m_on", "d_on", "either")}  # fmt: skip
    return pairs | {"m_on": near, "d_on": 0.2} | {f"acc_{rule}": value for rule, value in right.items()}


def groups_of(names: list[str], iou: list[float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for name, score in zip(names, iou, strict=True):
        groups.setdefault(name.rpartition("_")[0], []).append(score)
    return groups


def interactive(names: list[str], block: dict) -> dict:
    """IIoU, IAUC of an Evaluator_iiou block: the weakest of a group counts."""
    found = dict(block)
    for column, suffix in (("ciou", ""), ("ciou_adap", "_adap")):
        groups = groups_of(names, block[column])
        weakest = [min(scores) for scores in groups.values()]
        found |= {f"iiou{suffix}": success(weakest), f"iauc{suffix}": auc(weakest), f"groups{suffix}": groups}
    return found


def frame_iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """AVSBench utility.mask_iou of one frame."""
    if not truth.any():
        return float((~mask).sum() / (mask.size + 1e-7))
    return float((mask & truth).sum() / ((mask | truth).sum() + 1e-7))


def f_curve(probability: np.ndarray, truth: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """AVSBench utility._eval_pr: precision and recall at 255 thresholds, the last exactly 1; and F."""
    precision, recall, f = [], [], []
    for step in range(255):
        predicted = probability >= np.float32(step / 254)
        hits = float((predicted & truth).sum())
        p, r = hits / (predicted.sum() + 1e-20), hits / (truth.sum() + 1e-20)
        precision.append(float(p))
        recall.append(float(r))
        f.append(float(1.3 * p * r / (0.3 * p + r)) if hits else 0.0)
    return precision, recall, f


def best_f(curves: list[list[float]], filled: list[bool]) -> float:
    chosen = [curve for curve, each in zip(curves, filled, strict=True) if each]
    return float(np.mean(chosen, axis=0).max()) if chosen else 0.0


def avsbench(probabilities: np.ndarray, truth: np.ndarray) -> dict:
    """AVSBench avs_s4/utils/utility.py by batch, and ACL-SSL's AVSBench evaluator over the data set."""
    pairs = list(zip(probabilities, truth, strict=True))
    iou = [frame_iou(values > 0.5, mask) for values, mask in pairs]
    halves = [frame_iou(above_median(values, mask), mask) for values, mask in pairs]
    curves, filled = [f_curve(*pair) for pair in pairs], [bool(mask.any()) for mask in truth]
    found: dict = {"mask_iou_per_frame": iou, "thresholds_last_is_exactly_one": 1.0}
    for size in (5, 10, 20):
        batches = [(float(np.mean(iou[at : at + size])),
                    best_f([curve[2] for curve in curves[at : at + size]], filled[at : at + size]))
                   for at in range(0, len(iou), size)]  # fmt: skip
        miou, f = np.mean(batches, axis=0).tolist()
        found[f"avsbench frames_per_batch={size}"] = {"per_batch_miou_F": batches, "miou": miou, "F": f}
    whole = best_f([curve[2] for curve in curves], filled)
    for size in (5, 20):
        for name, values in (("0.5", iou), ("None", halves)):
            found[f"acl frames_per_batch={size} thr={name} (probabilities)"] = {"miou": float(np.mean(values)),
                                                                                 "F": whole}  # fmt: skip
    found["eval_pr_frame_0_1_7"] = [{"prec": curves[at][0], "rec": curves[at][1]} for at in (0, 1, 7)]
    return found
