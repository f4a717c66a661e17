"""What a run was trained on, by what its folder stores: the one reader for whoever asks what its weights have seen.

`training_clips.txt` names the clips, with those of earlier stages. `overlaps.json` has its checksum, and the earlier
runs of which nobody has stored what theirs were: of these it is not known whether test clips are among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.files.content import read_object
from manifests.files.given import has_file
from manifests.splits import ids_of, overlap
from training.leakage import OVERLAPS, TRAINING_CLIPS, training_list
from training.run_folders.finished import COPY_WHOLE
from training.runs import COPY_AGAIN, read_facts, training_clips


@dataclass(frozen=True)
class Seen:
    """The clips that weights were trained on, and the runs of which nobody has stored what theirs were."""

    clips: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def said(self) -> list[str]:
        """What a person should know of the runs with unknown clips."""
        return [
            f"NOT CHECKED: what run {run} was trained on is not known, test clips may be among it; it was imported, or "
            "made by a version that stored no list"
            for run in self.unknown
        ]

    def against(self, test_set: TestSet) -> dict[str, Any]:
        """These clips against a test set, as results carry it; no counts where no clip is known."""
        facts: dict[str, Any] = {"name": TRAINING_CLIPS, "unknown": list(self.unknown)}
        if not self.clips:
            return facts
        trained = training_list([*self.clips])
        found = overlap(trained, ids_of(test_set))
        return facts | {
            "sha256": trained.sha256,
            "clips": found.n_train,
            "test_clips_trained_on": len(found.clips),
            "test_videos_trained_on": found.videos,
        }


def seen_by(folder: Path) -> Seen:
    """What a run, and those it began with, were trained on; the list is held against all that the run stores of it.

    InputError when the list is gone, damaged or another one.
    """
    path, said = folder / TRAINING_CLIPS, _said(folder)
    count = read_facts(folder).get("training_clips")
    if not has_file(path):
        if count is None and not said:  # a released checkpoint: its authors' clips are not in it
            return Seen(unknown=(f"{folder.parent.name}/{folder.name}",))
        raise InputError(
            f"run {folder} has no {path.name}, which names the clips it was trained on; without it nobody can say "
            f"whether test clips are among them. {COPY_WHOLE}"
        )
    clips = training_clips(folder)
    if count not in (None, len(clips)) or said.get("sha256") not in (None, training_list([*clips]).sha256):
        raise InputError(
            f"{path} names {len(clips):,} clips and is not the list of {said.get('clips') or count:,} clips that "
            f"this run was trained on, by what the run stores of it. {COPY_AGAIN}"
        )
    return Seen(clips, unknown_of(folder))


def unknown_of(folder: Path) -> tuple[str, ...]:
    """The earlier runs whose clips are not known, by what a run stores of them."""
    return tuple(_said(folder).get("unknown", ()))


def _said(folder: Path) -> Mapping[str, Any]:
    path = folder / OVERLAPS
    return read_object(path, "training", remedy=COPY_AGAIN)["training"] if has_file(path) else {}
