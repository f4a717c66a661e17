"""vssl_eval's evaluator of negative sounds: a threshold for all clips, a mean cIoU, and quiet under negatives.

`vssl` takes the threshold by the rule Q3 from the run's own negatives; `vssl_<model>` has the constant that the code
ships for a model, on that model's scale. The code enlarges maps of own sounds by aligned corners for models of 7 x 7
(and those of LVS and SSL-Align off VGG-SS: `_aligned`), and maps of negatives never. `vssl_textbook` has one grid, and
a threshold in which a clip has no say.
"""

from dataclasses import replace

from training.evaluation.control_maps import ListeningProtocol
from training.evaluation.released_thresholds import RELEASED

_CODE = "vssl_eval e8ebbc9 eval.py"
VSSL = ListeningProtocol(
    "vssl", f"{_CODE}, threshold by rule Q3 from the negatives that are scored", align_corners=True, scaling="none",
    stretch=False, rule="fixed", level=0.0, comparator=">", threshold_from="negatives",
)  # fmt: skip
PROTOCOLS = (
    VSSL,
    replace(
        VSSL, name="vssl_textbook", source="this project: one grid, threshold from the other half of the clips",
        align_corners=False, threshold_from="other_half",
    ),
    *(
        replace(
            VSSL, name=f"vssl_{model}", source=f"{_CODE} eval, its Q3 for this model", scaling="fixed",
            level=RELEASED[model].q3, threshold_from="level",
        )
        for model in ("ezvsl", "slavc", "fnac")
    ),
    *(
        replace(
            VSSL, name=f"vssl_{model}", source=f"{_CODE}, its Q3 for this model", align_corners=False,
            level=RELEASED[model].q3, threshold_from="level",
        )
        for model in ("lvs", "sslalign", "ssltie")
    ),
    *(
        replace(
            VSSL, name=f"vssl_{model}_aligned", source=f"{_CODE} eval_lvs off VGG-SS, its Q3 for this model",
            level=RELEASED[model].q3, threshold_from="level",
        )
        for model in ("lvs", "sslalign")
    ),
)  # fmt: skip
