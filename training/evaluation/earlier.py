"""Results that an earlier version made by a rule that is no more.

They stay readable, share no table with others, say so, and `training evaluate` makes them again. Where the rules of
then and now give the same, as most do where no clip is missing, they are left alone.
"""

from collections.abc import Mapping
from typing import Any

from manifests.sound_draws import SWAPPED


def earlier_rules(facts: Mapping[str, Any]) -> list[str]:
    """What was done otherwise, as ends of sentences about a run."""
    found = []
    if facts.get("missing") and _judged_by_maps(facts):
        found.append("counts images in IIoU and IAUC of which not every sound has a map")
    if facts.get("missing") and _drew_itself(facts) and "drawn_again" not in facts:
        found.append("has foreign sounds that were drawn among the clips that were there, not among all of the set")
    if "interactive" in facts and _drew_itself(facts) and SWAPPED in facts["controls"] and "swapped_by" not in facts:
        found.append("has swapped sounds that were drawn by all classes of an image, not by the one that sounds")
    return found


def _drew_itself(facts: Mapping[str, Any]) -> bool:
    """Whether the maps under foreign sounds are of a run here, not of another program's file."""
    return bool(facts.get("run")) and "controls" in facts


def _judged_by_maps(facts: Mapping[str, Any]) -> bool:
    """Whether an image may count as solved by some of its sounds, where others had no map."""
    if "n_incomplete" in facts:
        return False
    blocks = [block for block in facts.get("interactive", {}).values() if "n_incomplete" not in block]
    return bool(blocks) or any("iiou" in scores for scores in facts["scores"].values())
