"""The gallery: the same clips for every run, each an image with truth, heat map, scored mask and sound.

Reads the maps and per-sample rows of the runs and the clips' records from the shards. A clip without a record, a run
without maps or a source video that is gone is said on the page; nothing is drawn in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifests.annotations import Box
from manifests.commands.counting import have
from manifests.pixels import SIZE, box_votes
from manifests.views import VIEWS
from pipeline.console import Advance, progress
from training.evaluation.postprocess import AUDIO_VISUAL
from training.report.images import border, frame_uri, heat_uri, spectrogram_uri
from training.report.masks import drawn_heat, scored_mask
from training.report.results import Evaluation, Run, TestClips
from training.report.saved_maps import FoundBox, Maps
from training.report.selection import Choice, choose
from training.report.sources import Clips, PlayableAudio

CLIPS_ON_PAGE = 24
LEADING = "ezvsl"  # the field's standard protocol, first where a run was scored with it


@dataclass(frozen=True)
class Score:
    """IoU of one map under one protocol, with the border of the mask that was scored."""

    protocol: str
    iou: float
    border: str


@dataclass(frozen=True)
class Tile:
    """One run's map over the image: it lies at `place` (x, y, width, height, pixels of the card's image).

    `found` are the boxes that the run predicts, x, y, width, height in pixels of the card's image.
    """

    title: str
    run: int
    heat: str
    place: Box
    scores: tuple[Score, ...]
    found: tuple[FoundBox, ...] = ()


@dataclass(frozen=True)
class Card:
    """One clip: everything but `tiles` is the same for all runs. `boxes` are x, y, width, height as fractions."""

    key: str
    label: str
    image: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    flags: tuple[str, ...]
    spectrogram: str
    audio: PlayableAudio
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Section:
    title: str
    explanation: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Gallery:
    """All sections of one test set.

    `chosen_by` is the protocol whose IoU ranked the clips and whose mask is drawn solid; `dashed` is one that knows the
    truth's area, where the runs were scored with one.
    """

    test_set: str
    chosen_by: str
    dashed: str | None
    sections: tuple[Section, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """One run under one view that takes part in a gallery; its first evaluation ranks clips and shapes the heat map."""

    colour: int  # the run's number on the whole page
    title: str
    maps: Maps
    evaluations: tuple[Evaluation, ...]


def galleries(runs: Sequence[Run], titles: Sequence[str], clips: Clips) -> list[Gallery]:
    """One gallery per test set for which at least one run saved its maps; they share the page's budget of clips."""
    sets = dict.fromkeys(evaluation.clips for run in runs for evaluation in run.evaluations)
    shown = {one: _taking_part(runs, titles, one) for one in sets}
    shown = {one: found for one, found in shown.items() if found}
    chosen = {one: _chosen(found, clips, CLIPS_ON_PAGE // len(shown)) for one, found in shown.items()}
    count = sum(len(choice.keys) for choices in chosen.values() for choice in choices)
    with progress("drawing clips", count, "clips") as advance:
        sections = {one: [_section(each, shown[one], clips, advance) for each in chosen[one]] for one in shown}
    return [_gallery(one, found, runs, titles, clips, sections[one]) for one, found in shown.items()]


def _taking_part(runs: Sequence[Run], titles: Sequence[str], scored_on: TestClips) -> list[_Shown]:
    found = []
    for colour, (run, title) in enumerate(zip(runs, titles, strict=True)):
        scored = [one for one in run.evaluations if one.clips == scored_on]
        for view in dict.fromkeys(one.view for one in scored):
            of_view = (one for one in scored if one.view == view)
            evaluations = tuple(sorted(of_view, key=lambda one: one.protocol != LEADING))
            if (maps := run.maps(evaluations[0])) is not None:
                found.append(_Shown(colour, title if view == VIEWS[0] else f"{title}, {view}", maps, evaluations))
    return found


def _chosen(shown: list[_Shown], clips: Clips, budget: int) -> list[Choice]:
    first = shown[0].evaluations[0]
    return choose([_eligible(one, first.protocol, clips) for one in shown], first.labels, budget)


def _gallery(
    scored_on: TestClips,
    shown: list[_Shown],
    runs: Sequence[Run],
    titles: Sequence[str],
    clips: Clips,
    sections: list[Section],
) -> Gallery:
    scored = set().union(*(one.ious.get(AUDIO_VISUAL, {}) for run in shown for one in run.evaluations))
    absent = sorted(key for key in scored if key not in clips)
    drawn = {one.colour for one in shown}
    notes = [
        f"{title} saved no maps for {scored_on[0]} and is not drawn here."
        for colour, (run, title) in enumerate(zip(runs, titles, strict=True))
        if colour not in drawn and any(one.clips == scored_on for one in run.evaluations)
    ]
    if absent:
        notes.append(f"{have(len(absent), 'scored clip')} no record in the shards given and cannot be drawn.")
    oracles = [one.protocol for one in shown[0].evaluations if one.facts["protocol"].get("rule") == "adaptive"]
    chosen_by = shown[0].evaluations[0].protocol
    return Gallery(scored_on[0], chosen_by, next(iter(oracles), None), tuple(sections), tuple(notes))


def _eligible(run: _Shown, protocol: str, clips: Clips) -> dict[str, float]:
    """IoU by key under the ranking protocol, of clips that can be drawn and that have something to find."""
    chosen = next((one for one in run.evaluations if one.protocol == protocol), run.evaluations[0])
    return {
        key: iou
        for key, iou in chosen.ious.get(AUDIO_VISUAL, {}).items()
        if key in clips and key in run.maps.row_of and chosen.areas[key] > 0
    }


def _section(choice: Choice, shown: list[_Shown], clips: Clips, advance: Advance) -> Section:
    cards = []
    for key in choice.keys:
        cards.append(_card(key, shown, clips))
        advance(1)
    return Section(choice.title, choice.explanation, tuple(cards))


def _card(key: str, shown: list[_Shown], clips: Clips) -> Card:
    facts, frame = clips.facts(key), clips.frame(key)
    boxes = next((run.maps.boxes[key] for run in shown if key in run.maps.boxes), tuple(facts.get("boxes") or ()))
    return Card(
        key=key,
        label=_label(key, shown, facts),
        image=frame_uri(frame),
        width=frame.shape[1],
        height=frame.shape[0],
        boxes=tuple(_drawable(boxes)),
        flags=tuple(facts.get("flags") or ()),
        spectrogram=spectrogram_uri(clips.spectrogram(key)),
        audio=clips.audio(key),
        tiles=tuple(_tile(key, run, frame.shape[1], frame.shape[0]) for run in shown),
    )


def _label(key: str, shown: list[_Shown], facts: dict[str, Any]) -> str:
    return shown[0].evaluations[0].labels.get(key) or facts.get("label") or "no label"


def _drawable(boxes: Sequence[Box]) -> list[Box]:
    """x, y, width, height of the boxes clipped to the frame, without those that cover nothing."""
    clipped = [[min(max(float(value), 0.0), 1.0) for value in box] for box in boxes]
    return [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in clipped if x2 > x1 and y2 > y1]


def _tile(key: str, run: _Shown, width: int, height: int) -> Tile:
    raw = run.maps.of(key)
    assert raw is not None, key  # choose() was given keys with maps only
    scores = tuple(_score(key, raw, run.maps, evaluation) for evaluation in run.evaluations)
    x1, y1, x2, y2 = run.maps.part(key)
    place = (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)
    found = tuple(FoundBox(_placed(one.box, place), one.score) for one in run.maps.predicted.get(key, ()))
    heat = heat_uri(drawn_heat(raw, run.evaluations[0].facts["protocol"]))
    return Tile(run.title, run.colour, heat, place, scores, found)


def _placed(box: Box, place: Box) -> Box:
    """A box within what was shown, as x, y, width, height on the card's image."""
    (x1, y1, x2, y2), (left, top, width, height) = box, place
    return left + x1 * width, top + y1 * height, (x2 - x1) * width, (y2 - y1) * height


def _score(key: str, raw: np.ndarray, maps: Maps, evaluation: Evaluation) -> Score:
    mask = drawn_mask(key, raw, maps, evaluation)
    return Score(evaluation.protocol, evaluation.ious[AUDIO_VISUAL][key], border(mask))


def drawn_mask(key: str, raw: np.ndarray, maps: Maps, evaluation: Evaluation) -> np.ndarray:
    """bool (224, 224): the mask whose IoU the result holds, of a clip's raw map (h, w) or its predicted boxes."""
    boxes = [one.box for one in maps.predicted.get(key, ())]
    return scored_mask(raw, evaluation.facts["protocol"], _truth_pixels(key, maps, evaluation), boxes)


def _truth_pixels(key: str, maps: Maps, evaluation: Evaluation) -> int:
    """How many pixels any box of the truth covers. Where annotators have to agree that is more than its area, in which
    a pixel of one box counts half; files of maps without boxes leave the area alone."""
    if key not in maps.boxes:
        return round(evaluation.areas[key] * SIZE**2)
    return int((box_votes(maps.boxes[key], SIZE, maps.part(key)) > 0).sum())
