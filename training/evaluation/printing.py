"""A result for the screen: every map between its floors and its ceiling, in per cent."""

from collections.abc import Mapping
from typing import Any

import training.evaluation
from training.evaluation.pair_scoring import ONSCREEN, SIMILARITIES
from training.evaluation.tasks import KNOWN, protocol_record
from training.evaluation.truth import FLAGS

TITLES = {"ciou50": "cIoU@0.5", "ciou30": "cIoU@0.3", "auc": "AUC", "mean_iou": "mean IoU", "miou": "mIoU"}


def table(facts: Mapping[str, Any]) -> str:
    """The document of a result as aligned lines: its counts, then floors, maps and ceiling."""
    names = [name for name, value in next(iter(facts["scores"].values())).items() if isinstance(value, float)]
    lines = [
        f"{facts['test_set']} under {facts['protocol']['name']}: {facts['n_scored']} of {facts['n_expected']} clips "
        f"scored, {facts.get('n_empty_truth', 0)} with empty truth",
        *_dirt(facts.get("flags", {})),
        _line("", [TITLES.get(name, name.replace("_", " ")) for name in names], "95 %"),
    ]
    rows = [(f"floor: {name}", scores) for name, scores in facts["floors"].items()]
    rows += [*facts["scores"].items(), ("ceiling", facts["ceiling"])]
    lines += [_line(name, [_percent(scores.get(each)) for each in names], _interval(scores)) for name, scores in rows]
    return "\n".join([*lines, *_extras(facts)])


def protocols_page() -> str:
    """Every protocol with its source, how variants are named, and the answers to degenerate input."""
    lines = [f"{name:<22} {protocol_record(name)['source']}" for name in KNOWN]
    lines += [f"{name:<22} {similarity}" for name, similarity in SIMILARITIES.items()]
    lines += [f"{ONSCREEN:<22} does the sound belong to the image at all; three rules", ""]
    lines += ["Variants: NAME+exact breaks ties so that exactly the asked pixels are predicted, NAME+maximum takes the"]
    lines += [
        "map's maximum as confidence (the Extended VGG-SS paper's text; its code takes the top quarter's mean).",
        "",
    ]
    return "\n".join(lines) + (training.evaluation.__doc__ or "").rstrip()


def protocol_page(name: str) -> str:
    """The fields of one protocol, as they stand in every result."""
    return "\n".join(f"{field:<18} {value}" for field, value in protocol_record(name).items())


def _dirt(flags: Mapping[str, int]) -> list[str]:
    """What was odd about truth and maps, counted: a line each."""
    meanings = FLAGS | {"constant_map": "every pixel of the map has the same value"}
    return [f"  {count} with {name.replace('_', ' ')}: {meanings[name]}" for name, count in flags.items()]


def _extras(facts: Mapping[str, Any]) -> list[str]:
    """What silent clusters, an extended set, a sweep or interactive images add, a line per map."""
    lines = [
        f"  {name.replace('_', ' ')}, no-sounding area: {_percent(found['nsa']['coded'])} as coded, "
        f"{_percent(found['nsa']['textbook'])} textbook"
        for name, found in facts["scores"].items()
        if "nsa" in found
    ]
    if "sweep" in facts:
        best = facts["sweep"]["best_on_test"]
        found = ", ".join(f"{TITLES.get(name, name)} {_percent(value)}" for name, value in best.items())
        lines.append(f"  best of {len(facts['sweep']['levels'])} thresholds, chosen on the test set: {found}")
    for name, found in facts.get("extended", {}).items():
        ap, f1 = found["ap"], found["max_f1"]
        lines.append(
            f"  {name.replace('_', ' ')} against {found['n_negative']} negatives: AP {_percent(ap['coded'])} as coded, "
            f"{_percent(ap['textbook'])} textbook; max-F1 {_percent(f1['coded'])} as coded, "
            f"{_percent(f1['textbook'])} textbook (always on {_percent(found['always_on_f1'])})"
        )
    for name, found in facts.get("interactive", {}).items():
        lines.append(
            f"  {name.replace('_', ' ')} over {found['n_groups']} images, every sound right: "
            f"IIoU {_percent(found['iiou'])}, IAUC {_percent(found['iauc'])}"
        )
    return lines


def _line(name: str, values: list[str], interval: str) -> str:
    first, *others = values
    return f"  {name.replace('_', ' '):<24}{first:>10}{interval:>16}" + "".join(f"{value:>14}" for value in others)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _interval(scores: Mapping[str, Any]) -> str:
    low, high = next(iter((scores.get("interval95") or {}).values()), (None, None))
    return "" if low is None else f"{100 * low:.1f} .. {100 * high:.1f}"
