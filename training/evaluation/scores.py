"""How every score is called, shown and explained: one table, which prints, comparisons, pages and docs take words from.

The entries stand in the modules that compute the scores, as `SCORES` of a module of `tasks/` or `metrics/`; here they
meet. Columns stand in the table's order: tasks first, then what metrics add, each in its module's order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from training.evaluation.found import found_modules

KIND = "*"  # the last part of an entry's key that stands for any name: max_f1_* is max_f1_real, max_f1_hard ...


@dataclass(frozen=True)
class Score:
    """A number of a result. `key` is its name in files; a value times `scale` is shown in `unit`."""

    key: str
    title: str
    meaning: str
    higher_is_better: bool = True
    scale: float = 100.0
    unit: str = "%"

    @property
    def heading(self) -> str:
        """The title as a column's head: with its unit where that is not per cent, and said where lower is better."""
        unit = f" [{self.unit}]" if self.unit != "%" else ""
        return f"{self.title}{unit}" + ("" if self.higher_is_better else " (lower is better)")

    def shown(self, value: float | None, digits: int = 2, sign: str = "") -> str:
        """A value, a fraction where the unit is per cent, in the table's unit; "-" for None."""
        return "-" if value is None else f"{self.scale * value:{sign}.{digits}f}"


def score_table() -> dict[str, Score]:
    """Every score by its key, in the order of columns."""
    modules = [*found_modules("tasks").values(), *found_modules("metrics").values()]
    return {score.key: score for module in modules for score in module.SCORES}


def score_of(key: str) -> Score:
    """The entry of a score; for a key that no module declares its own words, in per cent."""
    known = score_table()
    kind = next((one for one in known if one.endswith(KIND) and key.startswith(one[:-1])), None)
    if key in known or kind is None:
        return known.get(key) or Score(key, key.replace("_", " "), "a score that no module explains")
    name = key.removeprefix(kind[:-1]).replace("_", " ")
    pattern = known[kind]
    return Score(key, pattern.title.replace(KIND, name), pattern.meaning.replace(KIND, name), pattern.higher_is_better,
                 pattern.scale, pattern.unit)  # fmt: skip


def in_order(keys: Iterable[str]) -> list[str]:
    """Keys in the order of the table; those of one pattern as they come, unknown ones last."""
    known = [one.rstrip(KIND) for one in score_table()]
    patterns = {one[:-1] for one in score_table() if one.endswith(KIND)}

    def place(key: str) -> int:
        if key in known:
            return known.index(key)
        return next((known.index(one) for one in patterns if key.startswith(one)), len(known))

    return sorted(dict.fromkeys(keys), key=place)


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """The plain numbers of a block of scores: no counts, no intervals. What was not reached (null) is left out."""
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def values_of(facts: Mapping[str, Any], map_name: str) -> dict[str, float]:
    """Every score of one map (or direction, or rule) of a result's document: its task's, then what metrics added."""
    return task_values(facts["scores"][map_name]) | {
        key: value for found in added(facts, map_name).values() for key, value in found.items()
    }


def added(facts: Mapping[str, Any], map_name: str) -> dict[str, dict[str, float]]:
    """The numbers each metric added to one map of a result, by the metric's name."""
    metrics = {name: metric for name, metric in found_modules("metrics").items() if name in facts}
    found = {name: numbers(metric.values(facts[name], map_name)) for name, metric in metrics.items()}
    return {name: values for name, values in found.items() if values}


def heading(metric: str, facts: Mapping[str, Any], map_name: str) -> str:
    """The words before what a metric added to a map: "against 30 negatives"."""
    return found_modules("metrics")[metric].heading(facts[metric], map_name)


def task_values(scores: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of a map's block, and of a score that is given twice: as coded (its own name) and textbook."""
    twice = {name: value for name, value in scores.items() if isinstance(value, dict) and "coded" in value}
    return numbers(scores) | numbers(coded_and_textbook(twice))


def coded_and_textbook(pairs: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """`{"ap": {"coded": a, "textbook": b}}` as columns: ap and ap_textbook."""
    return {f"{name}{end}": pair[way] for name, pair in pairs.items()
            for way, end in (("coded", ""), ("textbook", "_textbook"))}  # fmt: skip
