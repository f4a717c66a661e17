"""A result for the screen: every map between its floors and its ceiling, in per cent; and the pages of protocols."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import training.evaluation
from manifests.commands.counting import counted, have
from manifests.views import IN_WORDS, VIEWS
from training.evaluation.earlier import earlier_rules
from training.evaluation.metrics.interactive import INCOMPLETE
from training.evaluation.protocol_choices import choices_in_words
from training.evaluation.protocols import find_protocol, known_protocols
from training.evaluation.scores import added, heading, in_order, score_of, task_values
from training.evaluation.truth import FLAGS

NAMED_MISSING = 12
TIES_WORTH_A_WARNING = 0.01  # of the pixels
CUT = {  # where a threshold of listening comes from
    "level": "a constant of the protocol",
    "negatives": "below which {share} of the maps' maxima under negative sounds lie",
    "other_half": "below which {share} of those maxima lie, of the other half of the clips each",
    "validation": "below which {share} of those maxima lie on a validation set",
}


COUNTED = {  # what only some tasks count
    "n_padding": "frames past the end of their video: scored as released, left out of the textbook's numbers",
    "n_without_hit": "frames without a class in its right place: 0/0 and left out of the mIoU of frames as coded",
    "n_alone": "images with one sound, which test nothing interactive",
    "n_incomplete": f"images left out of IIoU and IAUC, {INCOMPLETE}",
    "n_incomplete_videos": "videos of which some frames have no map: their numbers are of the other frames",
    "n_without_boxes": "frames without boxes: not scored",
    "n_of_another_pairing": "cases of another pairing than the released one",
    "n_maps": "maps of these cases: one for each source that was found, or one for a mixture",
    "n_without_maps": "cases without a map: no entry as released, a miss for every image in the textbook's numbers",
}
NAMED = {
    "unknown_classes": "classes that the run was trained on and the set does not have; no pixel is called so",
    "classes_never_visible": "classes are visible in no image: as released they count 0",
}


def table(facts: Mapping[str, Any]) -> str:
    """The document of a result as aligned lines: its counts, then floors, maps and ceiling."""
    view = facts["protocol"].get("view", VIEWS[0])
    rows = [(f"floor: {name}", scores) for name, scores in facts["floors"].items()]
    rows += [*facts["scores"].items(), ("ceiling", facts["ceiling"])]
    names = in_order(name for scores in facts["scores"].values() for name in task_values(scores))
    lines = [
        f"{facts['test_set']} under {facts['protocol']['name']}: {facts['n_scored']} of {facts['n_expected']} clips "
        f"scored, {facts.get('n_empty_truth', 0)} with empty truth",
        f"  view: {view}, {IN_WORDS[view]}",
        *_missing(facts),
        *(f"  the array {name} of the maps' file is not used" for name in facts.get("unused_arrays", ())),
        *_counted(facts),
        *(f"  the run {said}" for said in trained_in_words(facts)),
        *_controls(facts),
        *_dirt(facts.get("flags", {})),
        *(f"  {said}" for said in ties_in_words(facts)),
        _line("", {name: score_of(name).heading for name in names}, "95 %"),
    ]
    for name, scores in rows:
        values = task_values(scores)
        shown = {each: score_of(each).shown(values.get(each)) for each in names}
        lines.append(_line(name, shown, _interval(scores, names[0])))
    return "\n".join([*lines, *_extras(facts)])


def protocols_page() -> str:
    """Every protocol with its source, how variants are named, and the answers to degenerate input."""
    width = max(map(len, known_protocols()))
    lines = [f"{name:<{width}} {protocol.source}" for name, protocol in known_protocols().items()]
    lines += [
        "",
        "Variants: NAME+exact breaks ties so that exactly the asked pixels are predicted, NAME+maximum takes the",
        "map's maximum as confidence (the Extended VGG-SS paper's text; its code takes the top quarter's mean). Of a",
        "protocol of foreign sounds NAME+seed7 draws others and NAME+seeds0..9 ten times, all scored together;",
        "NAME+byclass draws a class first, NAME+unlogged gives silence and noise without the logarithm, as vssl_eval.",
        "NAME+FIELD=VALUE chooses what `training protocols NAME` lists as a choice, and has a column of its own.",
        "",
    ]
    return "\n".join(lines) + (training.evaluation.__doc__ or "").rstrip()


def protocol_page(name: str) -> str:
    """The fields of one protocol, as they stand in every result; how frames are shown is a matter of the run."""
    protocol = find_protocol(name)
    fields = asdict(protocol) | protocol.as_json() | {"view": f"the run's evaluation.view: {' or '.join(VIEWS)}"}
    choices = [("choice", each) for each in choices_in_words(protocol)]
    return "\n".join(f"{field:<18} {value}" for field, value in [*fields.items(), *choices])


def names_of_missing(missing: list[str]) -> str:
    """The first dozen names, and how many more there are."""
    more = f" and {len(missing) - NAMED_MISSING} more" if len(missing) > NAMED_MISSING else ""
    return f"{', '.join(missing[:NAMED_MISSING])}{more}"


def missing_in_words(facts: Mapping[str, Any]) -> str:
    """The end of a sentence that names the missing clips; nothing where none is missing."""
    missing = facts.get("missing") or []
    return f"; missing: {names_of_missing(missing)}" if missing else ""


def trained_in_words(facts: Mapping[str, Any]) -> list[str]:
    """What a run's training clips have to do with the test clips, as ends of sentences about the run."""
    training = facts.get("lists", {}).get("training") or {}
    shared, unknown = training.get("test_clips_trained_on"), training.get("unknown") or ()
    known = [f"was trained on {shared} of these test clips"] if shared else []
    more = "more of them" if shared else "test clips"
    return known + [f"has weights of {run}, of which it is not known whether {more} were trained on" for run in unknown]


def _missing(facts: Mapping[str, Any]) -> list[str]:
    """Clips, and negative pairs, that were expected and have no map: named."""
    of = {"clip": facts.get("missing", []), "negative pair": facts.get("negatives", {}).get("missing", [])}
    missing = [f"  {counted(len(keys), what)} missing: {names_of_missing(keys)}" for what, keys in of.items() if keys]
    return [*missing, *_left_out(facts)]


def _left_out(facts: Mapping[str, Any]) -> list[str]:
    """How many negative pairs a list leaves out."""
    kinds = facts.get("negatives", {}).get("left_out") or {}
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    pairs = counted(sum(kinds.values()), "negative pair")
    return [f"  {pairs} left out, of no video of the list: {by_kind}"] if kinds else []


def left_out_in_words(facts: Mapping[str, Any]) -> list[str]:
    """Which negative pairs and images have no part in the numbers, as ends of sentences about a run."""
    found = facts.get("negatives", {})
    missing = found.get("missing") or []
    scored = f"scored {found.get('n_scored')} of {found.get('n_expected')} negative pairs; missing: "
    left_out = (f"was scored under a list: {line.strip()}" for line in _left_out(facts))
    again = (f"was scored by an earlier version: it {rule}; evaluate it again" for rule in earlier_rules(facts))
    return [
        *([scored + names_of_missing(missing)] if missing else []), *left_out, *_incomplete(facts), *again,
        *_drawn_again(facts),
    ]  # fmt: skip


def _incomplete(facts: Mapping[str, Any]) -> list[str]:
    """What is said of images that lack the map of a sound."""
    blocks = [facts, *facts.get("interactive", {}).values()]
    count = max(block.get("n_incomplete", 0) for block in blocks)
    return [f"has {counted(count, 'image')} left out of IIoU and IAUC, {INCOMPLETE}"] if count else []


def _drawn_again(facts: Mapping[str, Any]) -> list[str]:
    """What is said of clips whose foreign sound is another one than it would be if no clip were missing."""
    return [
        f"has other sounds under {control} than with all clips of the set in {counted(count, 'clip')}"
        for control, count in facts.get("drawn_again", {}).items()
    ]


def _counted(facts: Mapping[str, Any]) -> list[str]:
    """What is special to a task: how many, or which."""
    numbers = [f"  {facts[name]} {meaning}" for name, meaning in COUNTED.items() if facts.get(name)]
    lists = [(list(map(str, facts.get(name) or ())), meaning) for name, meaning in NAMED.items()]
    return numbers + [f"  {len(found)} {meaning}: {names_of_missing(found)}" for found, meaning in lists if found]


def hears_in_words(share: str) -> str:
    """What a score of listening says, which is given as `share_heard` shows it."""
    return f"hears: {share} of what it shows depends on the sound"


def share_heard(heard: float) -> str:
    """A score of listening in words is a fraction."""
    return f"{heard:.2f}"


def _controls(facts: Mapping[str, Any]) -> list[str]:
    """How much is heard, and which clips a control could not be made for."""
    without = [
        f"  {have(len(found['without']), 'clip')} no map under {name}: {names_of_missing(found['without'])}"
        for name, found in facts.get("controls", {}).items()
        if found["without"]
    ]
    undefined = [f"  {said}" for said in undefined_in_words(facts)]
    again = [f"  the run {said}" for said in _drawn_again(facts)]
    return [*_heard(facts["scores"]), *_threshold(facts), *undefined, *without, *again]


def undefined_in_words(facts: Mapping[str, Any]) -> list[str]:
    """A clause for each map that lacks scores because the protocol takes no number for an IoU of 0/0."""
    if facts["protocol"].get("undefined") != "nan" or not facts.get("n_empty_truth"):
        return []
    why = "of a clip with no truth and nothing shown the IoU is 0/0, and undefined=nan makes it no number"
    found = []
    for name, own in facts["scores"].items():
        if own.get("vssl_ciou") is not None:  # what is absent then lacks a partner, which is said elsewhere
            continue
        absent = [score_of(key).title for key in in_order(own) if own[key] is None and key != "hears"]
        if absent:
            found.append(f"{name.replace('_', ' ')} has no {', '.join(absent)}: {why}")
    return found


def _heard(scores: Mapping[str, Any]) -> list[str]:
    """What each map's score of listening says; that it is not known, where it was asked and no clip could say."""
    heard = {name: own["hears"] for name, own in scores.items() if own.get("hears") is not None}
    if heard or not any("hears" in own for own in scores.values()):
        return [f"  {name.replace('_', ' ')} {hears_in_words(share_heard(own))}" for name, own in heard.items()]
    return ["  how much it hears is not known: no clip was shown with a sound of another class"]


def _threshold(facts: Mapping[str, Any]) -> list[str]:
    """At which value maps were cut, where one was taken for all of them."""
    found = facts.get("threshold")
    if found is None:
        return []
    low, high = (f"{found[end]:.4f}" for end in ("lowest", "highest"))
    protocol, quantile = facts["protocol"], facts["protocol"].get("quantile", 0.75)
    share = "three quarters" if quantile == 0.75 else f"{100 * quantile:g} %"
    of_kinds = ", the mean over kinds of sounds" if protocol.get("pooling") == "mean_of_kinds" else ""
    where = CUT[found["from"]].format(share=share)
    return [f"  cut at {low if low == high else f'{low} to {high}'}, {where}{of_kinds}"]


def _dirt(flags: Mapping[str, int]) -> list[str]:
    """What was odd about truth and maps, counted: a line each."""
    meanings = FLAGS | {"constant_map": "every pixel of the map has the same value"}
    return [f"  {count} with {name.replace('_', ' ')}: {meanings[name]}" for name, count in flags.items()]


def ties_in_words(facts: Mapping[str, Any]) -> list[str]:
    """A clause where the threshold fell among equal values so often that it matters which of them are in the mask."""
    share = facts.get("tie_share", 0.0)
    if share <= TIES_WORTH_A_WARNING:
        return []
    effect = "masks miss the area that is asked for, and scores may pass the ceiling, which assumes it"
    if facts["protocol"].get("exact"):
        effect = "they are taken row by row from the top left"
    return [f"{100 * share:.1f} % of the pixels tie at the threshold: {effect}"]


def _extras(facts: Mapping[str, Any]) -> list[str]:
    """What metrics add (negatives, a sweep, images with several sounds), a line per map and metric."""
    return [
        f"  {name.replace('_', ' ')} {heading(metric, facts, name)}: "
        + ", ".join(f"{score_of(key).heading} {score_of(key).shown(values[key])}" for key in in_order(values))
        for name in facts["scores"]
        for metric, values in added(facts, name).items()
    ]


def _line(name: str, cells: Mapping[str, str], interval: str) -> str:
    """A row: the first score with its interval, then the others, each as wide as its heading."""
    first, *others = (f"{cell:>{max(12, len(score_of(key).heading) + 2)}}" for key, cell in cells.items())
    return f"  {name.replace('_', ' '):<24}{first}{interval:>16}{''.join(others)}"


def _interval(scores: Mapping[str, Any], score: str) -> str:
    """The 95 % interval of a score."""
    low, high = (scores.get("interval95") or {}).get(score, (None, None))
    return "" if low is None else f"{score_of(score).shown(low, 1)} .. {score_of(score).shown(high, 1)}"
