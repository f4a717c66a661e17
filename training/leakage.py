"""What a run's training clips have to do with test sets: checked before the first step, stored, shown with results.

The community's `vggss_144k` list holds 3,709 of the 5,158 VGG-SS test clips; a number says little until one knows how
many of its clips were trained on. `training_clips.txt` of a run names every clip it trained on.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from manifests.catalogue import catalogue, clips_of, known_tests, resolve
from manifests.commands.counting import counted
from manifests.files.given import is_there
from manifests.splits import IdList, Overlap, overlap
from manifests.test_sets import Truth
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.config import RunConfig

TRAINING_CLIPS, OVERLAPS = "training_clips.txt", "overlaps.json"


@dataclass(frozen=True)
class TestLists:
    """The test sets a run is held against: those it must not train on, others that are at hand, names not found."""

    __test__ = False  # not a pytest class

    excluded: tuple[IdList, ...]
    others: tuple[IdList, ...]
    not_found: tuple[str, ...]

    @property
    def banned(self) -> frozenset[str]:
        """Keys no training step may see."""
        return frozenset(key for test in self.excluded for key in test.ids)

    def known_as(self, present: Collection[str]) -> "TestLists":
        """The same in the names that `present` clips have (`IdList.known_as`)."""
        excluded, others = (tuple(test.known_as(present) for test in part) for part in (self.excluded, self.others))
        return replace(self, excluded=excluded, others=others)


def find_tests(config: RunConfig, truth: Truth | None = None) -> TestLists:
    """What `data.exclude_test` names, the run's own test set (`truth`) and every known one under `data.lists`.

    InputError for an entry of `exclude_test` that is neither a file nor a known name; a known one whose file is not
    there comes back in `not_found`, to be said aloud.
    """
    folders = (config.data.lists,) if config.data.lists.is_dir() else ()
    own = clips_of(truth) if truth else None
    excluded, not_found = [], []
    for given in config.data.exclude_test:
        found = resolve(given, folders) or (own if own is not None and own.name == given else None)
        excluded += [found] if found is not None else []
        not_found += [given] if found is None else []
    taken = {test.sha256 for test in excluded}
    others = [test for test in [*([own] if own else []), *known_tests(folders)] if test.sha256 not in taken]
    if config.evaluation.truth is not None and own is None:
        not_found.append(str(config.evaluation.truth))
    return TestLists(tuple(excluded), tuple(others), tuple(not_found))


def report_overlaps(trained: IdList, left_out: int, tests: TestLists) -> tuple[list[str], dict[str, Any]]:
    """Lines for the screen and the document for the run: `left_out` clips are not trained on for the tests' sake."""
    found = [(overlap(trained, test), test) for test in (*tests.excluded, *tests.others)]
    document = {
        "training": {"clips": len(trained.ids), "sha256": trained.sha256, "left_out": left_out},
        "tests": [
            {"name": test.name, "sha256": test.sha256, "clips": shared.n_test, "shared": len(shared.clips),
             "videos": shared.videos, "excluded": test in tests.excluded}
            for shared, test in found
        ],
        "not_found": list(tests.not_found),
    }  # fmt: skip
    return _said(left_out, [shared for shared, _ in found], tests), document


def _said(left_out: int, found: Iterable[Overlap], tests: TestLists) -> list[str]:
    lines = [str(shared) for shared in found]
    if tests.excluded:
        lines.insert(0, f"{counted(left_out, 'clip')} of {names(tests.excluded)} left out of training")
    for name in tests.not_found:
        released = catalogue().get(name)
        remedy = f". Put {' or '.join(released.files)} into the folder of data.lists" if released else ""
        lines.append(f"NOT CHECKED: {name} was not found, its clips may be among the training clips{remedy}")
    return lines


def names(tests: Iterable[IdList]) -> str:
    """The lists' names in one phrase."""
    return ", ".join(test.name for test in tests)


def own_truth(config: RunConfig) -> Truth | None:
    """The test set the config names, None when it names none or the file is not there. InputError as its reader."""
    wanted = config.evaluation
    if wanted.truth is None or not is_there(wanted.truth):
        return None
    return read_truth(wanted.truth, wanted.format, negatives=wanted.negatives, name=wanted.test_set)


def training_list(keys: list[str]) -> IdList:
    """Clip keys as the list `training_clips.txt` will be; its hash is that of one key a line, whatever its form."""
    lines = "".join(f"{key}\n" for key in keys)
    return IdList("training", tuple(keys), TRAINING_CLIPS, hashlib.sha256(lines.encode()).hexdigest())


def clips_sha256(store: ShardStore, rows: Iterable[int]) -> str:
    """Which clips the rows of a store are, in their order: a run's `training_clips` in `data.json`."""
    return training_list([store.stored_keys[row] for row in rows]).sha256
