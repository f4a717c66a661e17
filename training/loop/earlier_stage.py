"""The weights a later stage begins with: those of a finished run, as far as the two methods have them in common."""

from dataclasses import dataclass
from pathlib import Path

from manifests.content import read_object
from manifests.errors import InputError
from manifests.given_files import read_bytes, understood
from pipeline.shards.store import ShardStore
from training.leakage import OVERLAPS, TRAINING_CLIPS, training_list
from training.methods.contract import BaseMethod
from training.runs import COPY_AGAIN, COPY_WHOLE, LoadedRun, load_run, read_facts


@dataclass(frozen=True)
class Seen:
    """The clips that first weights were trained on, and the runs of which nobody has stored what theirs were."""

    clips: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def said(self) -> list[str]:
        """What a person should know of the runs with unknown clips."""
        return [
            f"NOT CHECKED: what run {run} was trained on is not known, test clips may be among it; it was imported, or "
            "made by a version that stored no list"
            for run in self.unknown
        ]


def take_over_weights(method: BaseMethod, run: Path, store: ShardStore) -> Seen:
    """Copy into a method what a finished run has under the same names; returns what that run was trained on.

    InputError when they have nothing in common, a tensor has another shape, the run knows other spectrograms, or its
    list of training clips is not the one it was made with.
    """
    earlier = load_run(run)
    if earlier.front_end != store.front_end:
        raise InputError(
            f"run {earlier.folder} was trained on spectrograms {earlier.front_end!r}, these shards hold "
            f"{store.front_end!r}. Begin with a run on shards like these."
        )
    theirs, mine = earlier.method.state_dict(), method.state_dict()
    shared = {name: value for name, value in theirs.items() if name in mine}
    if not shared:
        raise InputError(f"run {earlier.folder} ({earlier.config.method.name}) has no weights that this method knows.")
    try:
        method.load_state_dict(shared, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"the weights of run {earlier.folder} do not fit: {reason} Give the encoders and the method the options "
            "of that run."
        ) from error
    return _seen(earlier)


def _seen(run: LoadedRun) -> Seen:
    """What a run, and those it began with, were trained on; the list is held against all that the run stores of it."""
    path, overlaps = run.folder / TRAINING_CLIPS, run.folder / OVERLAPS
    count = read_facts(run.folder).get("training_clips")
    said = read_object(overlaps, "training", remedy=COPY_AGAIN)["training"] if overlaps.is_file() else {}
    if not path.is_file():
        if count is None and not said:  # a released checkpoint: its authors' clips are not in it
            return Seen(unknown=(f"{run.config.name}/{run.folder.name}",))
        raise InputError(
            f"run {run.folder} has no {path.name}, which names the clips it was trained on; without it nobody can say "
            f"whether test clips are among them. {COPY_WHOLE}"
        )
    with understood(path, "is damaged", COPY_AGAIN):
        clips = tuple(read_bytes(path).decode().split("\n")[:-1])  # one a line: keys may hold spaces
    if count not in (None, len(clips)) or said.get("sha256") not in (None, training_list([*clips]).sha256):
        raise InputError(
            f"{path} names {len(clips):,} clips and is not the list of {said.get('clips') or count:,} clips that "
            f"this run was trained on, by what the run stores of it. {COPY_AGAIN}"
        )
    return Seen(clips, tuple(said.get("unknown", ())))
