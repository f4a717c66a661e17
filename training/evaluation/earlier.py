"""Results that an earlier version made of a set with missing clips, by a rule that is no more.

They stay readable, share no table with others, say so, and `training evaluate` makes them again. Where no clip was
missing the rules of then and now give the same.
"""

from collections.abc import Mapping
from typing import Any


def earlier_rules(facts: Mapping[str, Any]) -> list[str]:
    """What was done otherwise, as ends of sentences about a run."""
    if not facts.get("missing"):
        return []
    found = []
    if _judged_by_maps(facts):
        found.append("counts images in IIoU and IAUC of which not every sound has a map")
    if facts.get("run") and "controls" in facts and "drawn_again" not in facts:
        found.append("has foreign sounds that were drawn among the clips that were there, not among all of the set")
    return found


def _judged_by_maps(facts: Mapping[str, Any]) -> bool:
    """Whether an image may count as solved by some of its sounds, where others had no map."""
    if "n_incomplete" in facts:
        return False
    blocks = [block for block in facts.get("interactive", {}).values() if "n_incomplete" not in block]
    return bool(blocks) or any("iiou" in scores for scores in facts["scores"].values())
