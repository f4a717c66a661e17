"""vssl_eval's evaluator of negative sounds: a threshold for all clips, a mean cIoU, and quiet under negatives.

`vssl` takes the threshold by the rule Q3 from the run's own negatives; `vssl_<model>` has the constant that the code
ships for a model, on that model's scale: Q3, and as `_max`, `_max10` and `_fixed` the other three. The code enlarges
maps of own sounds by aligned corners for models of 7 x 7 (and those of LVS and SSL-Align off VGG-SS: `_aligned`), and
maps of negatives never. `vssl_textbook` has one grid, and a threshold in which a clip has no say: its
halves of the test set stand in for the validation set of the textbook rule, so that a run can be asked with the test
set alone. `vssl_validated` takes the threshold from a set of other clips.

How the code draws its sounds are variants: `+byclass` a class before a clip of it, `+unlogged` silence and noise as its
loader of models of 7 x 7 has them, `+seeds0..9` ten repeats. It seeds them 1234, 2345 ... 9999, and not its noise, so
that its very draws cannot be had again; and all off-screen sounds are those of the set, as its lists are not released.
"""

from dataclasses import replace

from training.evaluation.control_protocols import ListeningProtocol
from training.evaluation.released_thresholds import RELEASED

_CODE = "vssl_eval e8ebbc9 eval.py"
RULES = {"": "q3", "_max": "max", "_max10": "max10", "_fixed": "fixed"}  # end of a name -> which of the constants
PRINTED = ("fixed", "max", "max10", "q3")  # in the order in which the code appends them, after the top half
WORDS = {"": "its Q3 for this model", "_max": "its max for this model", "_max10": "its max10 for this model",
         "_fixed": "0.5 for all models"}  # fmt: skip
ON_HALVED_COSINES = ("ezvsl", "slavc", "fnac")  # maps are (cosine + 1) / 2
WITH_ALIGNED = ("lvs", "sslalign")  # off VGG-SS their maps of own sounds are enlarged otherwise
VSSL = ListeningProtocol(
    "vssl", f"{_CODE}, threshold by rule Q3 from the negatives that are scored", align_corners=True, scaling="none",
    stretch=False, rule="fixed", level=0.0, comparator=">", threshold_from="negatives",
)  # fmt: skip


def _released(model: str, rule: str, aligned: bool = False) -> ListeningProtocol:
    """A model's protocol by one of its constants."""
    halved = model in ON_HALVED_COSINES
    where = f"{_CODE} eval" if halved else f"{_CODE} eval_lvs off VGG-SS" if aligned else _CODE
    return replace(
        VSSL, name=f"vssl_{model}{'_aligned' if aligned else ''}{rule}", source=f"{where}, {WORDS[rule]}",
        scaling="fixed" if halved else "none", align_corners=halved or aligned,
        level=getattr(RELEASED[model], RULES[rule]), threshold_from="level",
        printed_levels=tuple(getattr(RELEASED[model], each) for each in PRINTED),
    )  # fmt: skip


PROTOCOLS = (
    VSSL,
    replace(
        VSSL, name="vssl_textbook", source="this project: one grid, threshold from the other half of the clips",
        align_corners=False, threshold_from="other_half",
    ),
    replace(
        VSSL, name="vssl_validated", source="this project: one grid, threshold from the clips of a validation set",
        align_corners=False, threshold_from="validation",
    ),
    *(_released(model, rule) for rule in RULES for model in RELEASED),
    *(_released(model, rule, aligned=True) for rule in RULES for model in WITH_ALIGNED),
)  # fmt: skip
