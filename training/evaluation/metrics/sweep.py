"""Scores over a range of fixed thresholds. ACL-SSL reports the best of 19: a choice made on the test set, and so named.

Maps are enlarged and scaled once; each threshold is only another comparison.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from manifests.annotations import TestSet
from training.evaluation.localization import ciou, summary
from training.evaluation.metrics import Scored
from training.evaluation.postprocess import AUDIO_VISUAL, binarise
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.acl import ACL, acl_sweep
from training.evaluation.raw_maps import RawMaps, match_names
from training.evaluation.scores import Score
from training.evaluation.truth import weight_maps

_BATCH = 64
_BEST = "_best_on_test"
SCORES = tuple(
    Score(
        f"{key}{_BEST}", f"best {title}", f"{title} at the best of the swept thresholds: a choice made on the test set."
    )
    for key, title in (("ciou50", "cIoU@0.5"), ("auc", "AUC"), ("mean_iou", "mean IoU"))
)


def applies(scored: Scored) -> bool:
    """Under ACL-SSL's protocol, whose paper reports the best threshold."""
    return scored.protocol.name == ACL.name


def reduce(scored: Scored) -> dict[str, Any]:
    return sweep(scored.raw, scored.truth.test_set, acl_sweep())


def values(block: dict[str, Any], map_name: str) -> dict[str, float]:
    """The best of each score, of the one map that is swept."""
    return (
        {f"{score}{_BEST}": value for score, value in block["best_on_test"].items()} if map_name == AUDIO_VISUAL else {}
    )


def heading(block: dict[str, Any], map_name: str) -> str:
    return f"best of {len(block['levels'])} thresholds, chosen on the test set"


def sweep(raw: RawMaps, test_set: TestSet, protocols: Sequence[MapProtocol]) -> dict[str, Any]:
    """`levels`: scores of the audio-visual map at each protocol's threshold; `best_on_test`: the largest of each score.

    The protocols must differ in `level` only. InputError as `match_names` and `RawMaps.prepare`.
    """
    positions = match_names(raw.names, test_set)
    found = [annotation for annotation in test_set.annotations if annotation.key in positions]
    iou: dict[float, list[np.ndarray]] = {protocol.level: [] for protocol in protocols}
    for start in range(0, len(found), _BATCH):
        chunk = found[start : start + _BATCH]
        weights = weight_maps(chunk)
        maps = raw.prepare([positions[annotation.key] for annotation in chunk], protocols[0])[AUDIO_VISUAL].maps
        for protocol in protocols:
            iou[protocol.level].append(ciou(binarise(maps, protocol).masks, weights))
    levels = {f"{level:.2f}": summary(np.concatenate(values)) for level, values in iou.items()}
    names = next(iter(levels.values()))
    return {"levels": levels, "best_on_test": {name: max(scores[name] for scores in levels.values()) for name in names}}
