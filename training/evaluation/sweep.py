"""Scores over a range of fixed thresholds. ACL-SSL reports the best of 19: a choice made on the test set, and so named.

Maps are enlarged and scaled once; each threshold is only another comparison.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from manifests.annotations import TestSet
from training.evaluation.localization import ciou, summary
from training.evaluation.postprocess import AUDIO_VISUAL, binarise
from training.evaluation.protocols import Protocol
from training.evaluation.raw_maps import RawMaps, match_names
from training.evaluation.truth import weight_maps

_BATCH = 64


def sweep(raw: RawMaps, test_set: TestSet, protocols: Sequence[Protocol]) -> dict[str, Any]:
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
