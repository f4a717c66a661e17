"""SSLalignment's evaluator of pixel masks, of its release of July 2024: cut at the truth's area, or the top half."""

from dataclasses import replace

from training.evaluation.tasks.adaptive_masks import AreaProtocol

_CODE = "SSLalignment b4339aa utils.py Evaluator_miou (removed 23 July 2024)"
ADAPTIVE = AreaProtocol(
    "adaptive_masks", f"{_CODE}, adaptive threshold", scaling="none", stretch=False, rule="adaptive", comparator=">"
)
PROTOCOLS = (ADAPTIVE, replace(ADAPTIVE, name="top_half_masks", source=f"{_CODE}, top half", rule="top_share"))
