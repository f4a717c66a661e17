"""Stage 3, shards and neighbours to localizers, scores and pages: methods, the training loop, evaluation, report."""

from typing import TYPE_CHECKING

from manifests.public_names import looked_up

if TYPE_CHECKING:
    from training.localizer.localization import Localization as Localization
    from training.localizer.model import Localizer as Localizer
    from training.scoring import score as score

__getattr__ = looked_up(
    __name__,
    {
        "Localization": "training.localizer.localization",
        "Localizer": "training.localizer.model",
        "score": "training.scoring",
    },
)
