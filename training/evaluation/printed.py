"""What vssl_eval prints beside the numbers of one rule, for whoever has its output before them.

Its CIoU and AUC without a suffix are over one list in which every clip stands five times: under the top half, 0.5, max,
max10 and Q3. At "ThrCIoU" and "ThrCIoU_Adap" maps under negative sounds are cut at the own map's threshold: that of the
top half, or the one that leaves it as many pixels as the truth has (of a clip without truth, half of the image).
What is called "_adap" is of own maps cut by that area, or of two masks of an image under two sounds, both cut there.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from manifests.sound_draws import NEGATIVES
from training.evaluation.listening import NEGATIVE_PAIRS, active_share, auc_of_silence, mask_agreement
from training.evaluation.localization import auc, ciou, success_rate
from training.evaluation.scores import Score

HALF, ADAPTIVE = CUTS = ("half", "adaptive")
ADAPTIVE_IOU, ADAPTIVE_OVERLAP = "adaptive_iou", "adaptive_overlap"
UNDER_CUTS = (*(f"{cut}_pia" for cut in CUTS), ADAPTIVE_OVERLAP)
SCORES = (
    Score("mixed_ciou50", "CIoU as printed", "share of IoUs of at least 0.5, each clip five times: under the top half, "
          "0.5, max, max10 and Q3."),
    Score("mixed_auc", "AUC as printed", "area under the share of these IoUs that reach t."),
    Score("adaptive_ciou50", "CIoU_adap", "share of IoUs of at least 0.5, cut where a map has the truth's area."),
    Score("adaptive_auc", "AUC_adap", "area under the share of these IoUs that reach t."),
    Score("half_pia_*", "pIA * at ThrCIoU", "share of the image shown under *, cut at the own map's top half.",
          higher_is_better=False),
    Score("half_auc_n_*", "AUC_N * at ThrCIoU", "area under the share of clips that so show at most t."),
    Score("adaptive_pia_*", "pIA * at ThrCIoU_Adap", "share of the image shown under *, cut where the own map has the "
          "truth's area.", higher_is_better=False),
    Score("adaptive_auc_n_*", "AUC_N * at ThrCIoU_Adap", "area under the share of clips that so show at most t."),
    *(
        Score(f"{ADAPTIVE_OVERLAP}_{one}_{other}", f"mask IoU {one} and {other} at ThrCIoU_Adap", "IoU of the masks "
              f"under {one} and {other}, both cut where the own map has the truth's area.", higher_is_better=False)
        for one, other in NEGATIVE_PAIRS
    ),
    Score(f"{ADAPTIVE_OVERLAP}_*", "mask IoU * at ThrCIoU_Adap", "IoU of the masks under the own sound and under *, "
          "both cut where the own map has the truth's area.", higher_is_better=False),
)  # fmt: skip


def own_cuts(high: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """float32 (N,) of maps and truths (N, H, W): at half the ranks, and where as many pixels lie as the truth has."""
    ordered = np.sort(high.reshape(len(high), -1), axis=1)
    total, pixels = ordered.shape[1], (truth != 0).sum(axis=(1, 2))
    asked = np.where(pixels > 0, pixels, total // 2)
    return {HALF: ordered[:, total // 2], ADAPTIVE: ordered[np.arange(len(ordered)), total - asked]}


def mixed_list(
    high: np.ndarray, truth: np.ndarray, cuts: Mapping[str, np.ndarray], levels: Sequence[float]
) -> dict[str, np.ndarray]:
    """IoU of each clip, float64 (N,), under the top half, above each of the levels, and apart by the truth's area."""
    rules: Iterable[np.ndarray] = [cuts[HALF], *(np.full(len(high), level, np.float32) for level in levels)]
    mixed = {f"mixed_{at}": ciou(high > cut[:, None, None], truth) for at, cut in enumerate(rules)}
    return mixed | {ADAPTIVE_IOU: ciou(at_truth(high, cuts), truth)}


def under_own_cuts(own: np.ndarray, other: np.ndarray, cuts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`UNDER_CUTS`, float64 (N,): the share of the image shown under another sound at each of the own map's cuts, and
    how far its mask agrees with the own one where both are cut by the truth's area."""
    shares = {f"{name}_pia": active_share(other > cut[:, None, None]) for name, cut in cuts.items()}
    return shares | {ADAPTIVE_OVERLAP: mask_agreement(at_truth(own, cuts), at_truth(other, cuts))}


def at_truth(high: np.ndarray, cuts: Mapping[str, np.ndarray]) -> np.ndarray:
    """bool (N, H, W): a map under any sound, cut where the own one has as many pixels as the truth."""
    return high > cuts[ADAPTIVE][:, None, None]


def printed_scores(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What is printed of a map, from its clips' values; nothing where these were not measured."""
    mixed = [each for name, each in values.items() if name.startswith("mixed_")]
    if not mixed:
        return {}
    every = np.concatenate(mixed)
    own = values[ADAPTIVE_IOU]
    found = {"mixed_ciou50": success_rate(every), "mixed_auc": auc(every)}
    found |= {"adaptive_ciou50": success_rate(own), "adaptive_auc": auc(own)}
    for cut in CUTS:
        for kind in NEGATIVES:
            if len(shares := _known(values, f"{cut}_pia_{kind}")):
                found |= {f"{cut}_pia_{kind}": float(shares.mean()), f"{cut}_auc_n_{kind}": auc_of_silence(shares)}
    for sounds in (*NEGATIVES, *map("_".join, NEGATIVE_PAIRS)):
        if len(overlaps := _known(values, f"{ADAPTIVE_OVERLAP}_{sounds}")):
            found[f"{ADAPTIVE_OVERLAP}_{sounds}"] = float(overlaps.mean())
    return found


def _known(values: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Of the clips that have it."""
    found = values.get(name, np.array([np.nan]))
    return found[~np.isnan(found)]
