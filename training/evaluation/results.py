"""The result of scoring one list of maps: a row per clip and map, and the JSON document that is a reduction of it.

The document is what reports and comparisons read. It holds the protocol with all its fields, the truth's hash, what
was expected, scored and missing, the scores with their 95 % intervals, and floors and ceiling beside them.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.files.checksums import file_sha256, sealed
from manifests.files.given import check_lasting, read_bytes
from manifests.files.plain_data import object_with
from manifests.files.whole import whole_file, write_text
from manifests.pixels import SIZE
from manifests.test_sets import ExtendedSet
from manifests.views import VIEWS
from training.evaluation.bootstrap import interval95
from training.evaluation.localization import by_number_of_objects, by_size, summary
from training.evaluation.protocol import MapProtocol
from training.evaluation.stored import stored_results

ROW_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("map", pa.string()),  # audio_visual, object_prior, combined, a floor's name or "ceiling"
        ("iou", pa.float64()),
        ("confidence", pa.float64()),  # null for floors and ceiling
        ("area", pa.float64()),  # summed truth weight as a share of the 224 x 224 image
        ("boxes", pa.int32()),  # boxes as annotated, degenerate and duplicate ones included
        ("label", pa.string()),
        ("flags", pa.list_(pa.string())),  # truth.FLAGS, "constant_map", and "negative" with its kind
    ]
)


@dataclass(frozen=True)
class Result:
    """What scoring one list of maps on one test set under one protocol gave.

    `table` has `ROW_SCHEMA`, `summary` is the JSON document described in this module's docstring.
    """

    table: pa.Table
    summary: dict[str, Any]

    def write(self, folder: Path | str) -> Path:
        """Write `<set>.<protocol>.parquet`, then `.json`; returns the path of the latter."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        view = self.summary["protocol"].get("view", VIEWS[0])
        name = file_name(folder, self.summary["test_set"], _content_of(self.summary), view)
        stem = f"{name}.{self.summary['protocol']['name']}"
        with whole_file(folder / f"{stem}.parquet") as handle:
            pq.write_table(self.table, handle)
        rows = folder / f"{stem}.parquet"
        document = sealed(self.summary, {rows.name: file_sha256(rows)})
        write_text(folder / f"{stem}.json", json.dumps(document, indent=1, allow_nan=False))
        return folder / f"{stem}.json"


def content_id(truth: str, negatives: str | None = None) -> str:
    """One hash for a test set, of the hashes of its truth and of its negative pairs where it has any."""
    return truth if negatives is None else hashlib.sha256(f"{truth}+{negatives}".encode()).hexdigest()


def file_name(
    folder: Path, test_set: str, content: str, view: str = VIEWS[0], beside: Collection[tuple[str, str]] = ()
) -> str:
    """What files of a test set are called in a folder of results: its name, unless that stands for other content there.

    Then the first characters of `content` (a `content_id`) follow, so that no result replaces one of other clips. The
    name of a view that is not the first one stands last, so that the results of both can lie side by side. `beside`:
    names and contents of other sets whose results are about to be written before this one's.
    """
    held = [*beside, *(_named_in(path) for path in stored_results(folder) if path.name.startswith(test_set))]
    taken = any(name == test_set and other != content for name, other in held)
    name = f"{test_set}@{content[:8]}" if taken else test_set
    return name if view == VIEWS[0] else f"{name}.{view}"


def _named_in(path: Path) -> tuple[str, str]:
    """The name and the content of the set that a result was scored on; nothing where a damaged file does not say.

    MachineFailed where the file cannot be read for now: a result that is taken for none would be written over.
    """
    try:
        facts = object_with(read_bytes(path))
        return str(facts["test_set"]), _content_of(facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        check_lasting(path, error)
        return "", ""


def _content_of(facts: dict[str, Any]) -> str:
    lists = facts["lists"]
    return content_id(lists["truth"]["sha256"], lists["negatives"]["sha256"] if "negatives" in facts else None)


@dataclass(frozen=True)
class Columns:
    """The rows of one map as arrays of N: what every aggregate is computed from."""

    keys: list[str]
    iou: np.ndarray
    confidence: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    flags: list[list[str]]


def columns_of(table: pa.Table, name: str) -> Columns:
    """Rows of the map called `name`; `areas` in pixels of the 224 x 224 image."""
    rows = table.filter(pa.array(table["map"].to_numpy() == name))
    areas = np.round(rows["area"].to_numpy() * SIZE**2, 6)  # undoes the division, for the bucket edges
    iou, confidence, boxes = (rows[column].to_numpy() for column in ("iou", "confidence", "boxes"))
    return Columns(rows["key"].to_pylist(), iou, confidence, areas, boxes, rows["flags"].to_pylist())


def scores_of(columns: Columns, protocol: MapProtocol, seed: int, of: Sequence[str] | None = None) -> dict[str, Any]:
    """ciou50, auc and mean_iou with their 95 % intervals, of samples that belong to `of` (`alike.drawn_with`)."""
    interval = interval95(columns.iou, protocol.iou_cut, seed, of)
    return {**summary(columns.iou, protocol.iou_cut), "interval95": interval}


def breakdown_of(columns: Columns, protocol: MapProtocol) -> dict[str, Any]:
    """The scores by size of the truth and by number of annotated boxes."""
    objects = by_number_of_objects(columns.iou, columns.boxes, protocol.iou_cut)
    return {
        "size": by_size(columns.iou, columns.areas, protocol.iou_cut),
        "objects": {str(count): scores for count, scores in objects.items()},
    }


def count_flags(columns: Columns) -> dict[str, int]:
    """How many rows carry each flag."""
    every = [flag for flags in columns.flags for flag in flags]
    return {flag: every.count(flag) for flag in sorted(set(every))}


def counted(
    test_set: TestSet, keys: Sequence[str], run: str | None, expected: Collection[str] | None = None
) -> dict[str, Any]:
    """The part of a document that says what was expected and what was scored.

    `keys` are those scored; `expected` names what was to be, where that is not every clip of the set.
    """
    expected = test_set.keys if expected is None else expected
    return {
        "test_set": test_set.name,
        "lists": {"truth": {"name": test_set.name, "sha256": test_set.sha256}},
        "run": run,
        "n_expected": len(expected),
        "n_scored": len(keys),
        "missing": sorted(set(expected).difference(keys)),
    }


def name_negatives(summary: dict[str, Any], extended: ExtendedSet, scored: Collection[str]) -> None:
    """Put the extended set's name and counts into the document of its positives; `scored` are keys of pairs."""
    expected = {negative.key for negative in extended.negatives}
    summary["test_set"] = extended.name
    summary["lists"]["negatives"] = {"name": extended.name, "sha256": extended.sha256}
    summary["negatives"] = {
        "n_expected": len(expected),
        "n_scored": len(expected.intersection(scored)),
        "missing": sorted(expected.difference(scored)),
        "kinds": extended.kinds,
    }
    if extended.left_out:
        summary["negatives"]["left_out"] = dict(extended.left_out)


def require_finite_rows(rows: np.ndarray, names: Sequence[str]) -> None:
    """InputError naming the first sample (N,) whose row (N, ...) holds NaN or infinity."""
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InputError(
            f"What the model gave for {names[int(finite.argmin())]} holds NaN or infinity, so it has no rank and no "
            "distance. Find out why; training may have diverged."
        )
