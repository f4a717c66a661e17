"""Four maps, enlarged and stretched in every way the released evaluators do it, plainly; see `golden_reference`."""

import numpy as np
from golden_reference import TAU, enlarge, flipped, minmax

ROWS = {"low7_0": ("low7", 0), "low7_20": ("low7", 20), "low14_0": ("low14", 0), "low14_20": ("low14", 20)}


def enlarged(raw: np.ndarray) -> dict[str, np.ndarray]:
    """float32 (224, 224) of a map (h, w), by what was done; what is stretched starts from single precision."""
    logits = (raw / np.float32(TAU)).astype(np.float32)
    found = {"raw": raw, "cv2linear_up_of_cosine": _single(raw, "bilinear", False)}
    found["lvs_pred"] = flipped(found["cv2linear_up_of_cosine"])
    for mode in ("bilinear", "bicubic"):
        for aligned in (True, False):
            stem = f"{mode}_ac{'T' if aligned else 'F'}"
            high = _single(logits, mode, aligned)
            found |= {f"{stem}_up_of_logits": high, f"{stem}_norm": minmax(high)}
    bounded = (enlarge(logits[None], "bicubic", True)[0] + 1 / TAU) / (2 / TAU)
    return found | {"slavc_scores": bounded.astype(np.float32)}


def _single(raw: np.ndarray, mode: str, aligned: bool) -> np.ndarray:
    return enlarge(raw[None], mode, aligned)[0].astype(np.float32)


def facts(raw: np.ndarray) -> dict:
    """How far the ways differ: corners aligned or not, bicubic beyond the values given, two stretches of one map."""
    linear, aligned, cubic = (enlarge(raw[None], *way)[0] for way in
                              (("bilinear", False), ("bilinear", True), ("bicubic", False)))  # fmt: skip
    single = enlarged(raw)["cv2linear_up_of_cosine"]
    stretched, turned = minmax(single), flipped(single)
    return {
        "cv2_vs_acT": np.abs(linear - aligned).max(),
        "bicubic_overshoot": [cubic.max() - raw.max(), cubic.min() - raw.min()],
        "lvs_pred_vs_norm": np.abs(stretched - turned).max(),
        "distinct_values": {"norm": len(np.unique(stretched)), "lvs_pred": len(np.unique(turned))},
    }
