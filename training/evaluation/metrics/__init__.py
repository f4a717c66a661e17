"""What is computed from the rows of localization beside its own scores; one module each, found by its name.

A module declares `SCORES` (what the numbers are called, see `scores`), `applies(scored)`, `reduce(scored)` -> the block
that results store under the module's name, and for prints and tables `values(block, map_name)` -> numbers by score and
`heading(block, map_name)` -> the words before them.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from manifests.test_sets import Truth
from training.evaluation.found import found_modules
from training.evaluation.protocol import MapProtocol
from training.evaluation.raw_maps import RawMaps


@dataclass(frozen=True)
class Scored:
    """Maps that were scored: what was asked, and the rows (`results.ROW_SCHEMA`) of clips and of negative pairs.

    `maps` names the maps that were scored: audio_visual first, object_prior and combined where there are object maps.
    """

    raw: RawMaps
    truth: Truth
    protocol: MapProtocol
    seed: int
    positives: pa.Table
    negatives: pa.Table
    maps: tuple[str, ...]


def added_blocks(scored: Scored) -> dict[str, Any]:
    """The block of every metric that applies, by its module's name."""
    metrics = found_modules("metrics")
    return {name: metric.reduce(scored) for name, metric in metrics.items() if metric.applies(scored)}
