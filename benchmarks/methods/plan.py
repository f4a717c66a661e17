"""What the comparison runs: a plan file read into entries, each of which gives the description of a training run."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from manifests.files.content import read_content
from training.config import RunConfig, load_config

TRUTH = "corpus/vggss.json"


@dataclass(frozen=True)
class Entry:
    """One line of the comparison: a method as it is, or with one thing changed."""

    name: str
    sections: dict[str, Any]  # of a run's description, on top of the plan's `common`
    temperatures: tuple[float, ...] = ()  # tried with the first seed; none: the method has none
    neighbours: str | None = None  # the entry whose run mines them, or "random"
    seeds: tuple[int, ...] | None = None  # fewer than the plan's
    temperature_of: str | None = None  # the entry whose temperature it takes, with each seed
    begins_with: str | None = None  # the entry whose run of the same seed it goes on from


@dataclass(frozen=True)
class Plan:
    """A plan file."""

    bed: str  # names the test sets: <bed>-vggss-heard, <bed>-vggss-unheard, <bed>-extended
    corpus: dict[str, Any]  # options of `pipeline synth`, or of `pipeline compose` where the bed is real
    pretraining: dict[str, Any] | None  # options of `training pretrain`; None: the trunks are pretrained already
    ingest: dict[str, Any]  # options of `pipeline ingest`
    annotate: list[str]  # what `pipeline annotate` computes beside the shards
    collages: dict[str, Any]  # options of `pipeline collage`; none: no collages
    heard_classes: int
    validation_clips: int
    neighbours_k: int
    neighbours_pool: str
    seeds: tuple[int, ...]
    alphas: tuple[float, ...]
    common: dict[str, Any]
    methods: tuple[Entry, ...]
    ablations: tuple[Entry, ...]
    content: dict[str, Any] = field(repr=False)


DEFAULTS = {
    "bed": "synth",
    "pretraining": None,
    "ingest": {},
    "annotate": [],
    "collages": {},
    "neighbours_pool": "mean",
    "ablations": {},
}


def read_plan(path: Path, without: Collection[str] = ()) -> Plan:
    """The plan; an ablation's sections lie on top of those of the entry it is `like`, whose temperature it takes.

    A plan that `extends` another is laid over it; an entry that is null there is left out. without: methods left out,
    and their ablations with them.
    """
    content = _content(path)
    for name in without:
        del content["methods"][name]
    content["ablations"] = {k: v for k, v in content["ablations"].items() if v["like"] not in without}
    methods = {name: _entry(name, given) for name, given in content["methods"].items()}
    ablations = []
    for name, given in content["ablations"].items():
        base = {k: v for k, v in content["methods"][given["like"]].items() if k != "temperatures"}
        changes = {k: v for k, v in given.items() if k != "like"}
        ablations.append(_entry(name, merged(base, changes) | {"temperature_of": given["like"]}))
    lists = ("seeds", "alphas", "methods", "ablations")
    return Plan(
        **{name: value for name, value in content.items() if name not in lists},
        seeds=tuple(content["seeds"]),
        alphas=tuple(content["alphas"]),
        methods=tuple(methods.values()),
        ablations=tuple(ablations),
        content=content,
    )


def _content(path: Path) -> dict[str, Any]:
    own = read_content(path).yaml()
    below = own.pop("extends", None)
    whole = merged(_content(path.with_name(below)) if below else DEFAULTS, own)
    named = {part: {name: given for name, given in whole[part].items() if given} for part in ("methods", "ablations")}
    return whole | named


def _entry(name: str, given: dict[str, Any]) -> Entry:
    own = ("temperatures", "temperature_of", "neighbours", "seeds", "begins_with")
    sections = {key: value for key, value in given.items() if key not in own}
    return Entry(
        name,
        sections,
        temperatures=tuple(given.get("temperatures", ())),
        seeds=tuple(given["seeds"]) if "seeds" in given else None,
        **{key: given.get(key) for key in ("temperature_of", "neighbours", "begins_with")},
    )


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Sections laid over sections; any other value replaces the one below."""
    both = {key: value for key, value in above.items() if isinstance(value, dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: merged(below[key], value) for key, value in both.items()}}


def describe(plan: Plan, entry: Entry, seed: int, temperature: float | None, earlier: Path | None = None) -> RunConfig:
    """The run of an entry: `common`, the entry's sections, the temperature, where the prepared files lie, and the run
    that it goes on from, where it `begins_with` one."""
    prepared = {
        "data": {"shards": "shards", "train_list": "train.txt", "exclude_test": [TRUTH]},
        "evaluation": {"truth": TRUTH, "test_set": f"{plan.bed}-vggss"},
        "validation": {"truth": "validation.json", "protocol": "ezvsl"},
        "seed": seed,
    }
    content = merged(merged(plan.common, prepared), entry.sections)
    if entry.neighbours:
        content["data"]["neighbours"] = str(neighbours_folder(entry.neighbours, seed))
    if entry.begins_with:
        content["init_from"] = str(earlier or Path("runs") / entry.begins_with)
    if temperature is not None:
        content["method"] = content["method"] | {"temperature": temperature}
    content["name"] = run_name(entry.name, temperature)
    path = Path("configs") / f"{content['name']}-s{seed}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_config(path)


def run_name(entry: str, temperature: float | None) -> str:
    """What an entry's run at a temperature is called, and its folder."""
    return entry if temperature is None else f"{entry}_t{temperature}"


def neighbours_folder(miner: str, seed: int) -> Path:
    """Where the neighbours lie that an entry's run of one seed mined; random ones are drawn per seed."""
    return Path(f"knn-{miner}-s{seed}")
