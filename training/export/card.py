"""README.md of an exported model: its card, in the form the Hugging Face Hub reads.

The YAML head has licence, library, tags, data sets and the model's own results (`model-index`). The text below says
what they mean: every number with its floor and its ceiling, what it was trained on, and what it cannot do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from manifests.commands.counting import counted
from training.evaluation.postprocess import AUDIO_VISUAL, OBJECT_PRIOR
from training.evaluation.scores import in_order, score_of
from training.export.exported import CONFIG, PRIOR, WEIGHTS
from training.export.licences import hub_words, in_text
from training.methods import method_headline
from training.report.tables import FLOOR_TITLES, MAP_TITLES

LIBRARY = "sound-source-localization"
ANYWHERE = "path/of/this/folder"
USE = """```python
from training import Localizer  # of the project sound-source-localization, in its environment

model = Localizer.load("{place}")
model.localize("clip.mp4").overlay("overlay.mp4")
```"""
Document = Mapping[str, Any]


def card(document: Document, licence: str | None, repository: str | None, files: Iterable[str]) -> str:
    """The whole card. `repository`: the model's name on the Hub; `files`: the names of all files in the folder."""
    head = yaml.safe_dump(_head(document, licence), sort_keys=False, allow_unicode=True, width=120)
    parts = [
        f"# {document['name']}",
        f"Where in an image does a sound come from? A localizer of the method `{document['method']}`: "
        f"{method_headline(str(document['method']))}",
        "## How to use",
        USE.format(place=repository or ANYWHERE),
        _input_words(document),
        "## Data",
        _data_words(document),
        "## Numbers",
        *_number_parts(document),
        "## Limits",
        _listed(_limits(document)),
        "## Licence",
        in_text(licence),
        "## Files",
        _listed(f"`{name}`: {FILES.get(name, 'the map as a program of its own')}" for name in files),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(parts) + "\n"


FILES = {
    WEIGHTS: "the weights; their metadata repeats what they are",
    CONFIG: "settings, constants of the preprocessing, data and scores",
    PRIOR: "the classifier of the object prior, for the maps called combined",
}


def _head(document: Document, licence: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        **hub_words(licence),
        "library_name": LIBRARY,
        "tags": [LIBRARY, "audio-visual", str(document["method"])],
        "datasets": [_data_name(document)],
    }
    results = [_result(one) for one in document["evaluations"]]
    return found | ({"model-index": [{"name": document["name"], "results": results}]} if results else {})


def _data_name(document: Document) -> str:
    """The training list's name; of a whole split the shards, by their hash."""
    named = document["training"]["list"]
    return str(named).partition(".")[0] if named else f"shards-{document['shards']['manifest_sha256'][:12]}"


def _result(one: Document) -> dict[str, Any]:
    """One test set under one protocol, as an entry of `model-index`."""
    metrics = [
        {"type": key, "name": _metric_name(key, name), "value": round(value, 6)}
        for name, scores in one["scores"].items()
        if name != OBJECT_PRIOR  # a floor: it has not listened
        for key, value in scores.items()
    ]
    return {
        "task": {"type": "sound-source-localization", "name": f"Sound source localization ({one['protocol']})"},
        "dataset": {"type": one["test_set"], "name": one["test_set"], "args": {"protocol": one["protocol"]}},
        "metrics": metrics,
    }


def _metric_name(key: str, map_name: str) -> str:
    return f"{score_of(key).title} ({MAP_TITLES.get(map_name, map_name.replace('_', ' '))}, fraction)"


def _input_words(document: Document) -> str:
    image, front_end, map_ = document["image"], document["front_end"], document["map"]
    return (
        f"It sees {image['shown']}, {image['size']} x {image['size']} pixels, and hears {front_end['seconds']:g} s of "
        f"sound at {front_end['sample_rate']} Hz around the same moment (front end `{front_end['name']}`). It answers "
        f"with a map of {map_['rows']} x {map_['columns']} cells; larger means more sounding."
    )


def _data_words(document: Document) -> str:
    training = document["training"]
    clips = counted(training["clips"], "clip") if training["clips"] else "an unknown number of clips"
    named = f"the list `{training['list']}`" if training["list"] else f"the split `{training['split']}` of its shards"
    lines = [f"Trained on {clips} of {named}."]
    if training["sha256"]:
        lines.append(f"SHA-256 of the list of their names: `{training['sha256']}`.")
    if document["shards"]["manifest_sha256"]:
        lines.append(f"SHA-256 of the shards' manifest: `{document['shards']['manifest_sha256']}`.")
    if "imported" in document:
        lines = ["The weights are its authors' release; they say what it was trained on."]
    return " ".join(lines)


# --- numbers ---------------------------------------------------------------------------------------------------------


def _number_parts(document: Document) -> list[str]:
    if not document["evaluations"]:
        return ["It was not evaluated before it was exported. Nothing is known of how well it does."]
    return [part for one in document["evaluations"] for part in (_counted(one), _table(one))]


def _counted(one: Document) -> str:
    view = "" if one["view"] == "squash" else f", view {one['view']}"
    return (
        f"**{one['test_set']}**, protocol `{one['protocol']}`{view}: {one['n_scored']} of {one['n_expected']} clips "
        f"scored{_leaked(one)}. Truth `{one['truth']['sha256'][:12]}`."
        + "".join(f" {said[:1].upper()}{said[1:]}." for said in one["undefined"])
    )


def _leaked(one: Document) -> str:
    shared, unknown = one["trained_on"], ", ".join(one["trained_on_unknown"])
    known = "" if shared is None else f", {shared} of them were trained on"
    return f"{known}; what {unknown}, whose weights it has, was trained on is not known" if unknown else known


def _table(one: Document) -> str:
    keys = in_order(key for scores in one["scores"].values() for key in scores)
    floors = [(f"floor: {FLOOR_TITLES.get(name, name)}", scores) for name, scores in one["floors"].items()]
    heard = {name: scores for name, scores in one["scores"].items() if name != OBJECT_PRIOR}
    maps = [(f"**{MAP_TITLES.get(name, name)}**", scores) for name, scores in heard.items()]
    rows = [*floors, *maps, ("ceiling", one["ceiling"])]
    lines = [["", *(score_of(key).heading for key in keys)], ["---"] * (len(keys) + 1)]
    lines += [[title, *(score_of(key).shown(scores.get(key)) for key in keys)] for title, scores in rows if scores]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# --- limits ----------------------------------------------------------------------------------------------------------


def _limits(document: Document) -> list[str]:
    image, front_end, map_ = document["image"], document["front_end"], document["map"]
    limits = [
        f"A cell of the map is 1/{map_['rows']} of the height and 1/{map_['columns']} of the width of what is shown: "
        "smaller things are not told apart.",
        "A map has a highest cell whether or not anything sounds. Where the sound is silent, or its source is not in "
        "the image, the map means nothing.",
        f"It hears {front_end['seconds']:g} s at once and nothing above {front_end['sample_rate'] // 2} Hz.",
    ]
    if image["view"] != "squash":
        limits.append(f"It sees {image['shown']}.")
    return [*limits, *filter(None, map(_against_floor, document["evaluations"]))]


def _against_floor(one: Document) -> str | None:
    """How its map stands to the best guess without listening, where cIoU says so."""
    own = one["scores"].get(AUDIO_VISUAL, {}).get("ciou50")
    floors = {name: scores["ciou50"] for name, scores in one["floors"].items() if "ciou50" in scores}
    if own is None or not floors:
        return None
    best = max(floors, key=lambda name: floors[name])
    gap = 100 * (own - floors[best])
    stands = f"{gap:.1f} points above" if gap > 0 else f"{-gap:.1f} points below" if gap < 0 else "no better than"
    return (
        f"On {one['test_set']} under `{one['protocol']}` its cIoU@0.5 is {stands} the best guess that does not listen "
        f"({FLOOR_TITLES.get(best, best)})."
    )


def _listed(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
