"""The comparison's JSON as a page of Markdown tables, mean over seeds with the lowest and the highest:

python -m benchmarks.methods.summary benchmarks/methods/cpu.json > benchmarks/methods/cpu.md
"""

import argparse
import inspect
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

# test sets, after the name of the bed
HEARD, UNHEARD, EXTENDED = "{}-vggss-heard", "{}-vggss-unheard", "extended_{}-extended"
# column -> test set, protocol, map or direction, score
MAIN = {
    "heard, `ezvsl`": (HEARD, "ezvsl", "audio_visual", "ciou50"),
    "heard, `adaptive`": (HEARD, "adaptive", "audio_visual", "ciou50"),
    "unheard, `ezvsl`": (UNHEARD, "ezvsl", "audio_visual", "ciou50"),
    "unheard, `adaptive`": (UNHEARD, "adaptive", "audio_visual", "ciou50"),
    "AP textbook": (EXTENDED, "slavc_relative", "audio_visual", "ap_textbook"),
    "max-F1 textbook": (EXTENDED, "slavc_relative", "audio_visual", "max_f1_textbook"),
    "R@1 class, sound to image": (HEARD, "retrieval", "audio_to_image_class", "R@1"),
    "R@10 instance": (HEARD, "retrieval", "audio_to_image", "R@10"),
}
ABLATED = ("heard, `ezvsl`", "heard, `adaptive`", "unheard, `adaptive`", "AP textbook", "R@1 class, sound to image")
HEAD = 2  # lines of a table without any row
# column -> protocol, rule; d_on's threshold is fixed
SAYS = {
    "m_on, these pairs": ("onscreen", "m_on"),
    "m_on, validation pairs": ("onscreen_validated", "m_on"),
    "d_on": ("onscreen", "d_on"),
    "either, these pairs": ("onscreen", "either"),
    "either, validation pairs": ("onscreen_validated", "either"),
}
Line = Mapping[str, Any]


def on_bed(result: Mapping[str, Any], test_set: str) -> str:
    """A test set's name on the bed of a file of figures."""
    return test_set.format(result["plan"].get("bed", "synth"))


def methods_table(result: Mapping[str, Any]) -> list[str]:
    """Every method at its chosen temperature, best first by the first column; floors and ceiling below."""
    entries = _measured(result)
    columns = list(MAIN)
    ordered = sorted(entries, key=lambda name: -fmean(_values(entries[name], columns[0])))
    chosen = result["chosen_temperatures"]
    rows = [
        [f"{name} ({chosen[name]})" if chosen[name] else name, *(spread(_values(entries[name], c)) for c in columns)]
        for name in ordered
    ]
    floors = _floors(result, on_bed(result, HEARD), "ezvsl")
    rows += [[called(floor), *(_floor(result, floor, c) for c in columns)] for floor in floors]
    rows.append(["floor: chance", *(_floor(result, "chance", c) for c in columns)])
    rows.append(["ceiling", *(_ceiling(result, c) for c in columns)])
    return markdown(["method (temperature)", *columns], rows)


def ablations_table(result: Mapping[str, Any]) -> list[str]:
    """Every ablation beside what it is like, on the seeds both have."""
    rows = []
    for name, given in result["plan"]["ablations"].items():
        own = _runs_of(result, name)
        if not own:
            continue  # of a method measured again, not yet of this
        seeds = [line["seed"] for line in own]
        base = [line for line in _runs_of(result, given["like"]) if line["seed"] in seeds]
        cells = [f"{_mean(own, column)} ({_gap(own, base, column)})" for column in ABLATED]
        rows.append([name, given["like"], str(len(seeds)), *cells])
    return markdown(["ablation", "of", "seeds", *ABLATED], rows)


def temperatures_table(result: Mapping[str, Any]) -> list[str]:
    """The first seed at every temperature tried."""
    first = result["plan"]["seeds"][0]
    tried = [line for line in result["runs"] if line["seed"] == first and line["temperature"] is not None]
    tried = [line for line in tried if line["entry"] in result["plan"]["methods"]]
    rows = [
        [
            line["entry"],
            str(line["temperature"]),
            percent(line["validation"][-1]),
            *(_mean([line], c) for c in ABLATED),
        ]
        for line in tried
    ]
    return markdown(["method", "temperature", "validation", *ABLATED], rows)


def stopping_table(result: Mapping[str, Any]) -> list[str]:
    """The last epoch against the one that was best on the validation clips, heard test clips."""
    rows = []
    heard = on_bed(result, HEARD)
    for name, lines in _measured(result).items():
        cells: list[str] = []
        for protocol in ("ezvsl", "adaptive"):
            last = [line["scores"][heard][protocol]["audio_visual"]["ciou50"] for line in lines]
            best = [line["best_epoch"][heard][protocol]["audio_visual"]["ciou50"] for line in lines]
            cells += [percent(fmean(last)), percent(fmean(best))]
        rows.append([name, *cells])
    return markdown(["method", "`ezvsl` last", "`ezvsl` best", "`adaptive` last", "`adaptive` best"], rows)


def boxes_table(result: Mapping[str, Any]) -> list[str]:
    """Answers that are boxes, as boxes; their maps are in the first table."""
    entries = {name: _runs_of(result, name) for part in ("methods", "ablations") for name in result["plan"][part]}
    sets = {part: on_bed(result, test_set) for part, test_set in (("heard", HEARD), ("unheard", UNHEARD))}
    answering = {
        name: lines for name, lines in entries.items() if lines and all(_boxes(line, sets["heard"]) for line in lines)
    }
    rows = [
        [name, *(spread([_boxes(line, test_set)["ciou50"] for line in lines]) for test_set in sets.values())]
        for name, lines in answering.items()
    ]
    known = [_floors(result, test_set, "boxes") for test_set in sets.values()]
    rows += [[called(floor), *(percent(each[floor]["ciou50"]) for each in known)] for floor in known[0]]
    return markdown(["method", *(f"{part}, `boxes`" for part in sets)], rows)


def _boxes(line: Line, test_set: str) -> Mapping[str, float]:
    """A run's scores as boxes; empty where it has none."""
    return line["scores"][test_set].get("boxes", {}).get("audio_visual", {})


def onscreen_table(result: Mapping[str, Any]) -> list[str]:
    """Does the sound belong to the image? Accuracy of three rules on the heard test clips and as many mismatches; the
    threshold of m_on is the middle of the two medians of these pairs themselves or of those of the validation clips,
    d_on's is 0.2."""
    heard = on_bed(result, HEARD)
    measured = {
        name: [line["scores"][heard] for line in lines]
        for name, lines in _measured(result).items()
        if all("onscreen" in line["scores"][heard] for line in lines)
    }
    rows = [[name, *(_said(scores, *asked) for asked in SAYS.values())] for name, scores in measured.items()]
    known = _floors(result, heard, "onscreen")
    rows += [[called(floor), *[percent(scores["accuracy"])] * len(SAYS)] for floor, scores in known.items()]
    return markdown(["method", *SAYS], rows)


def _said(scores: Sequence[Mapping[str, Any]], protocol: str, rule: str) -> str:
    """Accuracy of a rule over seeds; empty where a seed has not been asked."""
    if not all(protocol in own for own in scores):
        return ""
    return spread([own[protocol][rule]["accuracy"] for own in scores])


def alpha_table(result: Mapping[str, Any]) -> list[str]:
    """EZ-VSL's map mixed with the object prior, mean over seeds."""
    seeds = list(result["alpha"].values())
    rows = [
        [alpha, *(spread([seed[alpha][protocol] for seed in seeds]) for protocol in ("ezvsl", "adaptive"))]
        for alpha in seeds[0]
    ]
    return markdown(["alpha", "`ezvsl`", "`adaptive`"], rows)


TABLES = (
    methods_table,
    boxes_table,
    onscreen_table,
    ablations_table,
    temperatures_table,
    stopping_table,
    alpha_table,
)


def _measured(result: Mapping[str, Any]) -> dict[str, list[Line]]:
    """Method -> its runs at the chosen temperature, of those that have any."""
    entries = {name: _runs_of(result, name) for name in result["plan"]["methods"]}
    return {name: lines for name, lines in entries.items() if lines}


def _runs_of(result: Mapping[str, Any], name: str) -> list[Line]:
    chosen = result["chosen_temperatures"].get(name)
    return [line for line in result["runs"] if line["entry"] == name and line["temperature"] == chosen]


def _values(lines: Iterable[Line], column: str) -> list[float]:
    part, protocol, row, score = MAIN[column]
    return [scores[protocol][row][score] for line in lines for scores in _of_part(line["scores"], part)]


def _of_part(scores: Mapping[str, Any], part: str) -> list[Any]:
    """Those of the set that is called so on whichever bed."""
    before, after = part.split("{}")
    return [found for name, found in scores.items() if name.startswith(before) and name.endswith(after)]


def _floors(result: Mapping[str, Any], test_set: str, protocol: str) -> Mapping[str, Any]:
    """Floor -> scores; none where nothing was measured so."""
    return result.get("context", {}).get(test_set, {}).get(protocol, {}).get("floors", {})


def called(floor: str) -> str:
    return f"floor: {floor.replace('_', ' ')}"


def _floor(result: Mapping[str, Any], floor: str, column: str) -> str:
    """Of the results' floors, else of the runs that have it beside their own map, as the object prior is."""
    test_set, protocol, row, score = MAIN[column]
    value = _floors(result, on_bed(result, test_set), protocol).get(floor, {}).get(score)
    if value is None:
        sets = (line["scores"].get(on_bed(result, test_set), {}) for line in result["runs"])
        value = next((scores[protocol][floor][score] for scores in sets if floor in scores.get(protocol, {})), None)
    return "" if value is None or row.endswith("_class") else percent(value)  # chance is that of single clips


def _ceiling(result: Mapping[str, Any], column: str) -> str:
    test_set, protocol, _, score = MAIN[column]
    value = result["context"][on_bed(result, test_set)][protocol]["ceiling"].get(score)
    return "" if value is None else percent(value)


def _mean(lines: Iterable[Line], column: str) -> str:
    return percent(fmean(_values(lines, column)))


def _means(lines: list[Line]) -> list[str]:
    return [_mean(lines, column) for column in ABLATED]


def _gap(own: Iterable[Line], base: Iterable[Line], column: str) -> str:
    return f"{100 * (fmean(_values(own, column)) - fmean(_values(base, column))):+.1f}"


def spread(values: list[float]) -> str:
    mean = percent(fmean(values))
    return mean if len(values) == 1 else f"{mean} ({percent(min(values))} .. {percent(max(values))})"


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table."""
    heads = list(heads)
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def page(result: Mapping[str, Any], name: str) -> str:
    """All tables of the comparison called `name` that have rows, each below its sentence."""
    heard, unheard = (_interval(result, on_bed(result, part)) for part in (HEARD, UNHEARD))
    parts: list[str] = [
        f"# The comparison of `{name}.yaml`",
        f"Made by `python -m benchmarks.methods.summary benchmarks/methods/{name}.json`. Per cent; one\n"
        f"score has a 95 % interval of about {heard} points on heard clips, {unheard} on unheard ones.",
    ]
    for make in TABLES:
        if len(table := make(result)) > HEAD:
            parts += [str(inspect.getdoc(make)), "\n".join(table)]
    return "\n\n".join(parts) + "\n"


def _interval(result: Mapping[str, Any], test_set: str) -> int:
    """Points by which a share of about a third of the clips of a test set is uncertain either way."""
    clips = result["context"][test_set]["ezvsl"]["n_scored"]
    return round(196 * math.sqrt(1 / 3 * 2 / 3 / clips))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="JSON file of a comparison")
    figures = parser.parse_args().figures
    print(page(json.loads(figures.read_text()), figures.stem), end="")


if __name__ == "__main__":
    main()
