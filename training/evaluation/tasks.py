"""Which measurement a protocol's name means, and whether it fits the truth: what `training evaluate` and
`training score` both call, so that a number made by either is the same number.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from manifests.errors import InputError
from manifests.truth import Truth
from training.evaluation import multi_source, segmentation
from training.evaluation.interactive import interactive_summary
from training.evaluation.multi_source import ClusterMaps, score_clusters
from training.evaluation.pair_scoring import RETRIEVAL
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.protocols import PROTOCOLS, acl_sweep, at_temperature, find_protocol
from training.evaluation.raw_maps import RawMaps
from training.evaluation.results import Result, columns_of
from training.evaluation.scoring import score_maps
from training.evaluation.segmentation import score_masks
from training.evaluation.sweep import sweep

AVSBENCH, SWEPT = segmentation.CHAIN.name, "acl"
KNOWN = (*PROTOCOLS, AVSBENCH, *multi_source.PROTOCOLS)
# what a test set is scored under when nobody says: its own authors' measurement first
DEFAULTS = {
    "vggss": ("ezvsl", "adaptive"),
    "flickr": ("ezvsl", "adaptive"),
    "extended": ("slavc_relative",),
    "avsbench": (AVSBENCH,),
    "music": ("dsol",),
    "is3": ("kaist", "adaptive"),
    "vpo": ("kaist", "adaptive"),
    "ave": (RETRIEVAL,),
    "parquet": ("ezvsl", "adaptive"),
}


def protocol_record(name: str) -> dict[str, Any]:
    """Every field of a protocol of maps. InputError lists the known ones."""
    if name == AVSBENCH:
        return segmentation.PROTOCOL
    if name in multi_source.PROTOCOLS:
        return asdict(multi_source.PROTOCOLS[name])
    return find_protocol(name).as_json()


def check_protocol(name: str, truth: Truth) -> None:
    """InputError when there is no such protocol, or the truth has not what it measures."""
    of_maps = name.partition("+")[0] in PROTOCOLS
    if not of_maps and name not in KNOWN:
        raise InputError(f"There is no protocol {name!r}. The known ones are {', '.join(KNOWN)}.")
    if of_maps:
        find_protocol(name)
    if truth.format == "ave":
        raise InputError(
            f"{truth.test_set.source} says when something sounds, not where: AVE has no boxes for the protocol {name}. "
            "Evaluate a run on it with --protocol retrieval."
        )
    if truth.masks is not None and name != AVSBENCH:
        raise InputError(
            f"{truth.test_set.source} holds pixel masks, which the protocol {AVSBENCH} measures; {name} needs boxes, "
            "for example s4_box.json."
        )
    if name in multi_source.PROTOCOLS and truth.music is None:
        raise InputError(f"The protocol {name} needs boxes by instrument: give --format music.")
    if truth.extended is not None and not of_maps:
        raise InputError(f"The protocol {name} has no confidence to tell negatives by; leave --negatives out.")


def score(
    raw: RawMaps | ClusterMaps,
    truth: Truth,
    protocol: str,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    run: str | None = None,
) -> Result:
    """Score maps under a named protocol. InputError when maps, truth and protocol do not belong together.

    `temperature`: what the maps' cosines were divided by, which matters where a protocol scales by a fixed range.
    """
    check_protocol(protocol, truth)
    several = protocol in multi_source.PROTOCOLS
    if several != isinstance(raw, ClusterMaps):
        raise InputError(
            f"The protocol {protocol} takes {'several maps' if several else 'one map'} a frame. The protocols for "
            f"several are {', '.join(multi_source.PROTOCOLS)}."
        )
    if isinstance(raw, ClusterMaps):
        return score_clusters(raw, truth, multi_source.PROTOCOLS[protocol], seed=seed, run=run)
    if protocol == AVSBENCH:
        return score_masks(raw, truth, seed=seed, run=run)
    result = score_maps(
        raw.names,
        raw.maps,
        truth.test_set,
        at_temperature(find_protocol(protocol), temperature) if temperature != 1 else find_protocol(protocol),
        object_maps=raw.object_maps,
        confidence=raw.confidence,
        alpha=raw.alpha,
        extended=truth.extended,
        seed=seed,
        run=run,
    )
    if protocol == SWEPT:
        result = Result(result.table, result.summary | {"sweep": sweep(raw, truth.test_set, acl_sweep())})
    return _interactive(result) if truth.format == "is3" else result


def _interactive(result: Result) -> Result:
    """The result with the scores of images all of whose sounds are localized, beside those of single sounds."""
    rows = {name: columns_of(result.table, name) for name in result.summary["scores"]}
    added = {name: interactive_summary(columns.keys, columns.iou) for name, columns in rows.items()}
    return Result(result.table, result.summary | {"interactive": added})


def document(result: Result) -> dict[str, Any]:
    """A result as one JSON document with its rows: what `training score` writes.

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


def raw_maps(arrays: dict[str, np.ndarray], alpha: float = 0.4) -> RawMaps | ClusterMaps:
    """The arrays of a `maps.npz` as what they are: one map a clip, or several a frame (four dimensions)."""
    if np.ndim(arrays["maps"]) == 4:
        return multi_source.cluster_maps(arrays)
    return RawMaps.of(arrays, alpha)
