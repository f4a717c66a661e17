"""A result as one JSON document with its rows: what `training score` writes."""

from typing import Any

from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.results import Result


def document(result: Result) -> dict[str, Any]:
    """The summary and its rows in one.

    The audio-visual map's aggregates stand at the top; other maps' are under `scores`, and their values of a sample
    under the map's name in its row.
    """
    summary = result.summary
    if AUDIO_VISUAL not in summary["scores"]:  # retrieval: directions, not maps
        return {**summary, "rows": result.table.rename_columns({"key": "name"}).to_pylist()}
    own = {name: value for name, value in summary["scores"][AUDIO_VISUAL].items() if name != "interval95"}
    pairs = summary.get("extended", {}).get(AUDIO_VISUAL, {})
    negatives = {name: pairs[name] for name in ("ap", "max_f1", "locacc", "always_on_f1") if name in pairs}
    return {**own, **negatives, **summary, "rows": _rows(result)}


def _rows(result: Result) -> list[dict[str, Any]]:
    maps: dict[str, list[dict[str, Any]]] = {}
    for row in result.table.to_pylist():
        maps.setdefault(row["map"], []).append(row)
    found = [
        {"name": row["key"], **{name: row[name] for name in ("iou", "confidence", "area", "boxes", "label", "flags")}}
        for row in maps[AUDIO_VISUAL]
    ]
    for other in (name for name in result.summary["scores"] if name != AUDIO_VISUAL):
        for row, its in zip(found, maps[other], strict=True):
            row[other] = {"iou": its["iou"], "confidence": its["confidence"]}
    return found
