"""What a run's training clips have to do with test sets: checked before the first step, stored, shown with results.

The community's `vggss_144k` list holds 3,709 of the 5,158 VGG-SS test clips; a number says little until one knows how
many of its clips were trained on. `training_clips.txt` of a run names every clip it trained on.
"""

import hashlib
from pathlib import Path
from typing import Any

from manifests.annotations import TestSet
from manifests.splits import IdList, ids_of, overlap, read_ids

TRAINING_CLIPS = "training_clips.txt"


def training_overlap(folder: Path, test_set: TestSet) -> dict[str, Any] | None:
    """The run's training list against a test set, as results carry it; None when the run names no training clips."""
    if not (folder / TRAINING_CLIPS).is_file():
        return None
    trained = read_ids(folder / TRAINING_CLIPS, name="training")
    found = overlap(trained, ids_of(test_set))
    return {
        "name": TRAINING_CLIPS,
        "sha256": trained.sha256,
        "clips": found.n_train,
        "test_clips_trained_on": len(found.clips),
        "test_videos_trained_on": found.videos,
    }


def training_list(keys: list[str]) -> IdList:
    """Clip keys as the list they will be written as."""
    text = "".join(f"{key}\n" for key in keys)
    return IdList("training", tuple(keys), TRAINING_CLIPS, hashlib.sha256(text.encode()).hexdigest())
