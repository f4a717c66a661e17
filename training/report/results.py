"""Result files of run folders, read and checked: everything the report knows about a run comes from here.

A run copied from a cluster reads like one made here: nothing is imported from the methods or the loop, and no
checkpoint is opened. What is missing or half-written becomes a warning on the page; what cannot be read is an error.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.content import read_content, read_object
from manifests.files.given import has_file, understood
from manifests.files.parquet import read_table
from manifests.files.plain_data import NotPlain
from manifests.published_sets import fits_name
from manifests.views import VIEWS
from training.evaluation.earlier import earlier_rules
from training.evaluation.found import found_modules
from training.evaluation.localization import metric_names
from training.evaluation.stored import (
    AGAIN,
    RAW_MAPS,
    SOURCES,
    arrays_file,
    differing,
    kinds_of,
    made_of,
    names_weights,
    read_result,
    stored_results,
    weights_problem,
)
from training.report.saved_maps import Maps, read_maps
from training.run_folders.files import BEST_WEIGHTS, CONFIG, DONE, ENVIRONMENT, EVALUATION, LOG, WEIGHTS
from training.run_folders.logged import check_sections, log_entry
from training.run_folders.names import configuration_of, said_of, seed_of
from training.settings.files import read_mapping

SCORES = ("ciou50", "auc", "mean_iou")
COPY_AGAIN = "Copy the run again from where it was made."
TestClips = tuple[str, str]  # a test set's name and the hash of its truth


@dataclass(frozen=True)
class Evaluation:
    """One `evaluation/<set>.<protocol>.json` and the table of samples beside it."""

    path: Path
    facts: dict[str, Any]

    @property
    def test_set(self) -> str:
        return self.facts["test_set"]

    @property
    def protocol(self) -> str:
        return self.facts["protocol"]["name"]

    @property
    def comparable(self) -> tuple[str, str, str]:
        """Equal only for numbers that one table may hold: same set, same protocol in every field, same truth and pairs.

        How frames were shown is one of the fields. Whose code a protocol repeats is said in words, which may change.
        """
        fields = {name: value for name, value in self.facts["protocol"].items() if name != "source"}
        protocol = json.dumps(fields | {"view": self.view}, sort_keys=True)
        silent = self.facts.get("lists", {}).get("negatives", {}) if "negatives" in self.facts else {}
        rules = earlier_rules(self.facts)
        return self.test_set, protocol, " ".join((self.truth_sha256, silent.get("sha256", ""), *rules))

    @property
    def view(self) -> str:
        """How frames were shown; results from before there was a choice are of squashed ones."""
        return self.facts["protocol"].get("view", VIEWS[0])

    @property
    def measured(self) -> str:
        """The protocol's name and, where it is not the usual one, the view's."""
        return self.protocol if self.view == VIEWS[0] else f"{self.protocol}, {self.view}"

    @property
    def clips(self) -> TestClips:
        """Equal for results on the same clips with the same truth."""
        return self.test_set, self.truth_sha256

    @property
    def truth_sha256(self) -> str:
        return str(self.facts.get("lists", {}).get("truth", {}).get("sha256", ""))

    @property
    def file_set(self) -> str:
        """What the files of this set are called: the set's name, with a hash where two sets share the name."""
        return self.path.name.removesuffix(f".{self.protocol}.json")

    def arrays(self, kind: str) -> Path:
        """The file of what the run showed: `kind` is RAW_MAPS or a `controls_kind` of `evaluation/stored.py`."""
        return arrays_file(self.path.parent, self.file_set, kind)

    @property
    def absent_arrays(self) -> list[str]:
        """Names of those files that belong to this result and are not there."""
        paths = [self.arrays(kind) for kind in kinds_of(self.facts)]
        return [path.name for path in paths if not has_file(path)]

    @property
    def sources(self) -> dict[str, dict[str, str]]:
        """What it was made of beside its set and weights, by name."""
        return {name: source for name, source in self.facts.get("lists", {}).items() if name in SOURCES}

    @cached_property
    def made_of(self) -> str:
        """What it was made of beside its set and weights; seeds that differ in it have no common mean."""
        return json.dumps(made_of(self.facts), sort_keys=True)

    @property
    def is_what_it_says(self) -> bool:
        """Whether it was scored on the released set of its name, or on one of a name that is not known."""
        negatives = self.facts.get("negatives", {}).get("n_expected")
        return fits_name(self.test_set, self.truth_sha256, self.facts["n_expected"], negatives)

    @property
    def is_localization(self) -> bool:
        """Whether its scores are cIoU@0.5, AUC and mean IoU, which the score tables show."""
        return "task" not in self.facts and metric_names(self.facts["protocol"].get("iou_cut", 0.5)) == SCORES

    @property
    def is_early_stopped(self) -> bool:
        """Whether these are the weights of the best epoch on validation clips, not of the last."""
        return self.facts.get("weights") == "best"

    @property
    def is_special(self) -> bool:
        """Whether there is more to it than localization."""
        return not self.is_localization or any(metric in self.facts for metric in found_modules("metrics"))

    @cached_property
    def rows(self) -> pa.Table:
        """One row per sample and map: key, map, iou, confidence, area, boxes, label, flags."""
        path = self.path.with_suffix(".parquet")
        with understood(path, remedy=f"It belongs to {self.path.name}. {AGAIN}"):
            return read_table(path)

    @cached_property
    def ious(self) -> dict[str, dict[str, float]]:
        """Intersection over union: map or floor name -> sample key -> value."""
        found: dict[str, dict[str, float]] = {}
        columns = (self.rows[name].to_pylist() for name in ("map", "key", "iou"))
        for map_name, key, iou in zip(*columns, strict=True):
            found.setdefault(map_name, {})[key] = iou
        return found

    @cached_property
    def areas(self) -> dict[str, float]:
        """Share of the 224 x 224 image that is truth, by sample key."""
        return dict(zip(self.rows["key"].to_pylist(), self.rows["area"].to_pylist(), strict=True))

    @cached_property
    def labels(self) -> dict[str, str | None]:
        """Class by sample key."""
        return dict(zip(self.rows["key"].to_pylist(), self.rows["label"].to_pylist(), strict=True))


def fullest(found: Iterable[Evaluation]) -> Evaluation:
    """Of results that share a table the one of most clips: the table's floors and ceiling are its."""
    return max(found, key=lambda evaluation: evaluation.facts["n_scored"])


@dataclass(frozen=True)
class Run:
    """One run folder: its description, its log and its evaluations."""

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    log: tuple[dict[str, Any], ...]
    every_evaluation: tuple[Evaluation, ...]
    finished: bool

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Those of the last epoch that measure localization."""
        found = (one for one in self.every_evaluation if not one.is_early_stopped)
        return tuple(evaluation for evaluation in found if evaluation.is_localization)

    @property
    def name(self) -> str:
        """The config's name: runs that share it differ by their seed or by overrides."""
        return str(self.config.get("name", self.path.parent.name))

    @property
    def digest(self) -> str:
        """The configuration's hash, as the folder's name spells it; of a renamed one nobody can tell, so it stands
        alone."""
        return str(self.path.resolve()) if seed_of(self.path.name) is None else configuration_of(self.path.name)

    @property
    def configuration(self) -> tuple[str, str]:
        """What its seeds have in common."""
        return self.name, self.digest

    @property
    def seed(self) -> int | None:
        return self.config.get("seed")

    @property
    def method(self) -> str:
        return str(self.config.get("method", {}).get("name", "unknown"))

    @property
    def image_size(self) -> int:
        return int(self.config.get("data", {}).get("image_size", 224))

    @property
    def made_otherwise(self) -> list[list[str]]:
        """Names of results that share a file of maps and were not all made of the same: it is of some of them only."""
        together: dict[Path, list[Evaluation]] = {}
        for one in self.every_evaluation:
            together.setdefault(one.arrays(RAW_MAPS), []).append(one)
        found = (differing({one.path.name: one.facts for one in own}) for own in together.values())
        return [names for names in found if names]

    def maps(self, evaluation: Evaluation) -> Maps | None:
        """The saved maps that were scored, None when the run kept none."""
        path = evaluation.arrays(RAW_MAPS)
        return read_maps(path) if has_file(path) else None


def read_run(path: Path) -> Run:
    """Read one run folder.

    Raises InputError when it is no run folder or one of its files is damaged.
    """
    if not has_file(path / CONFIG):
        raise InputError(
            f"{path} is not a run folder: it holds no {CONFIG}. Give folders such as runs/<config>/<hash>-s<seed>."
        )
    config = read_mapping(path / CONFIG, "the resolved config of a run", COPY_AGAIN)
    check_sections(config, path / CONFIG, COPY_AGAIN)
    environment = path / ENVIRONMENT
    results = [*stored_results(path / EVALUATION), *stored_results(path / EVALUATION / "best")]
    evaluations = tuple(Evaluation(file, read_result(file)) for file in results)
    _check_weights(path, evaluations)
    return Run(
        path=path,
        config=config,
        environment=_read_json(environment) if has_file(environment) else {},
        log=_read_log(path / LOG),
        every_evaluation=evaluations,
        finished=has_file(path / DONE),
    )


def _check_weights(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """InputError for results of other weights than the run holds, as they stand in a run that was trained again."""
    for early, name in ((False, WEIGHTS), (True, BEST_WEIGHTS)):
        of_these = [one for one in evaluations if one.is_early_stopped == early and names_weights(one.facts)]
        if of_these and has_file(path / name):
            sha256 = file_sha256(path / name)
            for one in of_these:
                if problem := weights_problem(one.facts, sha256):
                    raise InputError(f"{one.path} {problem}: it is of another run, or of this one before. {AGAIN}")


def run_titles(runs: list[Run]) -> list[str]:
    """A short, distinct name for each run: `name`, with seed, overrides and hash only where they tell runs apart."""
    by_name = [run.name for run in runs]
    by_seed = [run.name if by_name.count(run.name) == 1 else f"{run.name} · seed {run.seed}" for run in runs]
    named = zip(by_seed, runs, strict=True)
    told = [text if by_seed.count(text) == 1 else f"{text} · {said_of(run.path.name)}" for text, run in named]
    return [f"{text}, {run.digest}" if told.count(text) > 1 else text for text, run in zip(told, runs, strict=True)]


def _read_json(path: Path) -> dict[str, Any]:
    return read_object(path, remedy="Make it again with `training evaluate`.")


def _read_log(path: Path) -> tuple[dict[str, Any], ...]:
    """The logged steps in order; a last line cut short by a kill is left out, any other damage is an error."""
    lines = read_content(path).text().splitlines() if has_file(path) else []
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(log_entry(line, "step", "loss"))
        except NotPlain as error:
            if number == len(lines):
                break
            raise InputError(f"{path}, line {number}, {error}. {COPY_AGAIN}") from error
    return tuple(entries)
