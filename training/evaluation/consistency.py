"""Two inequalities no table of this field can break; where one does, two measurements share a row.

A published column that fails them is worth knowing about before it is compared with.
"""

from training.evaluation.detection import always_on_f1
from training.evaluation.localization import auc_bounds

ROUNDING = 0.0006  # tables print one or two decimals of a per cent


def impossible(
    ciou50: float | None = None,
    auc: float | None = None,
    max_f1: float | None = None,
    located: float | None = None,
    positive_share: float = 0.5,
) -> list[str]:
    """What is wrong with a row of shares in [0, 1], one sentence each; empty when nothing is, or too little is given.

    `located` is LocAcc, the success rate on the positives of an extended set of which they are `positive_share`.
    """
    found = []
    if ciou50 is not None and auc is not None:
        low, high = auc_bounds(ciou50)
        if not low - ROUNDING <= auc <= high + ROUNDING:
            found.append(
                f"AUC {100 * auc:.2f} cannot belong to cIoU@0.5 {100 * ciou50:.2f}: it must lie between "
                f"{100 * low:.2f} and {100 * high:.2f}."
            )
    if max_f1 is not None and located is not None:
        floor = always_on_f1(located, positive_share)
        if max_f1 < floor - ROUNDING:
            found.append(
                f"max-F1 {100 * max_f1:.2f} cannot belong to LocAcc {100 * located:.2f}: answering 'it sounds' always "
                f"gives {100 * floor:.2f}."
            )
    return found
