"""What AVGN prints of its clips beside IoU: strict shares, and average precision and F1 by confidence at further cuts.

Its `precision_at_*` takes IoUs above the cut, its `Precision-*@*` those that reach it: clips at the cut itself tell
them apart. `f1_at_30` stands at a fixed confidence, 0.5, and for the mixture with the object prior at 0. Average
precision and the largest F1 are those of SLAVC's code, the textbook's beside them. The released code stops at a size
that no clip has; here that size has no numbers.
"""

from typing import Any

import numpy as np

from manifests.commands.counting import counted
from training.evaluation import detection
from training.evaluation.detection import Detections
from training.evaluation.localization import auc, success_rate
from training.evaluation.metrics import Scored
from training.evaluation.postprocess import AUDIO_VISUAL, COMBINED, OBJECT_PRIOR
from training.evaluation.protocols.avgn import AvgnProtocol
from training.evaluation.results import columns_of
from training.evaluation.scores import Score
from training.evaluation.truth import SIZE_BUCKETS, size_bucket

STRICT = {"10": 0.1, "30": 0.3, "50": 0.5}
CUTS = {"30": 0.3, "50": 0.5, "75": 0.75}
CONFIDENCE = {AUDIO_VISUAL: 0.5, OBJECT_PRIOR: 0.5, COMBINED: 0.0}
SCORES = (
    Score("ciou10", "cIoU@0.1", "share of clips whose IoU is at least 0.1."),
    *(Score(f"ciou{name}_strict", f"cIoU above {cut}", f"share of clips whose IoU is above {cut}, AVGN's precision_at_"
            f"{name}.") for name, cut in STRICT.items()),
    Score("f1_at_30", "F1@0.3 at confidence 0.5", "F1 of the clips at least that sure (mixed with the object prior: at "
          "least 0), localized at 0.3."),
    *(score for name, cut in CUTS.items() for score in (
        Score(f"ap_at_{name}", f"AP@{cut} as coded", f"average precision by confidence, localized at {cut}, as SLAVC."),
        Score(f"ap_at_{name}_textbook", f"AP@{cut} textbook", "the same at every confidence, the recall from 0."),
        Score(f"max_f1_at_{name}", f"max-F1@{cut} as coded", "the largest F1 over the confidences the code looks at."),
        Score(f"max_f1_at_{name}_textbook", f"max-F1@{cut} textbook", "the largest F1 over all confidences."),
    )),
)  # fmt: skip


def applies(scored: Scored) -> bool:
    """Under AVGN's protocols."""
    return isinstance(scored.protocol, AvgnProtocol)


def reduce(scored: Scored) -> dict[str, Any]:
    """The numbers by map, and of clips of each size."""
    return {name: _of_map(scored, name) for name in scored.maps}


def values(block: dict[str, Any], map_name: str) -> dict[str, float]:
    return {name: value for name, value in block.get(map_name, {}).items() if name not in ("by_size", "n_negative")}


def heading(block: dict[str, Any], map_name: str) -> str:
    pairs = block[map_name].get("n_negative")
    return f"of clips, AP and F1 against {counted(pairs, 'negative')}" if pairs else "of clips"


def _of_map(scored: Scored, name: str) -> dict[str, Any]:
    """Silent pairs, where there are any, are found or not found by confidence alone."""
    positive, negative = columns_of(scored.positives, name), columns_of(scored.negatives, name)
    iou, confidence = (np.concatenate([getattr(positive, each), getattr(negative, each)])
                       for each in ("iou", "confidence"))  # fmt: skip
    everyone = Detections(iou, confidence, np.arange(len(iou)) < len(positive.keys))
    sizes = np.array([size_bucket(area) for area in positive.areas])
    clips = everyone.take(everyone.positive)
    return {
        "ciou10": success_rate(positive.iou, STRICT["10"]),
        **{f"ciou{cut}_strict": success_rate(positive.iou, at, strict=True) for cut, at in STRICT.items()},
        "f1_at_30": detection.f1_at(everyone, CONFIDENCE[name], CUTS["30"]),
        **_by_confidence(everyone),
        "n_negative": len(negative.keys),
        "by_size": {size: _of_size(clips, sizes == size) for size in SIZE_BUCKETS},
    }


def _by_confidence(detections: Detections) -> dict[str, float]:
    found = {}
    for name, at in CUTS.items():
        found[f"ap_at_{name}"] = detection.coded_average_precision(detections, at)
        found[f"ap_at_{name}_textbook"] = detection.textbook_average_precision(detections, at)
        found[f"max_f1_at_{name}"] = detection.coded_max_f1(detections, at)
        found[f"max_f1_at_{name}_textbook"] = detection.textbook_max_f1(detections, at)
    return found


def _of_size(clips: Detections, chosen: np.ndarray) -> dict[str, Any]:
    """Of some clips, without silent pairs, as SLAVC prints its sizes."""
    if not chosen.any():
        return {"n": 0}
    own = clips.take(chosen)
    shares = {f"ciou{name}": success_rate(own.iou, at) for name, at in CUTS.items()}
    return {"n": len(own), **shares, "auc": auc(own.iou), **_by_confidence(own)}
