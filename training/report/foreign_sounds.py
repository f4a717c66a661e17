"""The same image under its own sound, silence and a foreign sound, side by side, with what is heard of each.

The three maps of a card share one range of colours: a map that fades under silence fades on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manifests.annotations import WHOLE, Box
from manifests.errors import InputError
from training.evaluation.control_maps import ListeningProtocol
from training.evaluation.listening import OFF_SCREEN, SILENCE
from training.evaluation.maps import upsample
from training.report.images import frame_uri, heat_uri
from training.report.masks import fields_of
from training.report.results import Evaluation, Run
from training.report.sources import Clips, PlayableAudio

CARDS = 4
NO_SOUND = "Silence: there is nothing to play."
ABSENT = "The clip whose sound this is has no record in the shards given."


@dataclass(frozen=True)
class Heard:
    """One map of a card, what was heard, and the player of it."""

    title: str
    heat: str
    audio: PlayableAudio


@dataclass(frozen=True)
class Triple:
    """One clip of one run; the maps lie at `place` (x, y, width, height in pixels of the image)."""

    run: str
    key: str
    label: str
    image: str
    width: int
    height: int
    place: Box
    overlap: float
    heard: tuple[Heard, ...]


def triples(runs: Sequence[Run], titles: Sequence[str], clips: Clips) -> list[Triple]:
    """A few clips of every run that was asked, from the one whose mask changes most to the one that changes least."""
    found = []
    for run, title in zip(runs, titles, strict=True):
        asked = [one for one in run.every_evaluation if one.facts.get("task") == "listening"]
        path = None if not asked else run.path / "evaluation" / f"{asked[0].file_set}.controls.npz"
        if path is not None and path.is_file():
            found += _of_run(run, title, asked[0], read_controls(path), clips)
    return found


def read_controls(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of controls. InputError when it is none."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        _ = arrays["names"], arrays["maps"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no file of maps under controls: {error}. Evaluate with --listen again.") from error
    return arrays


def _of_run(run: Run, title: str, one: Evaluation, arrays: dict[str, np.ndarray], clips: Clips) -> list[Triple]:
    if not {f"maps_{SILENCE}", f"maps_{OFF_SCREEN}", f"{OFF_SCREEN}_of"} <= arrays.keys():
        return []
    columns = (one.rows[name].to_pylist() for name in ("key", f"overlap_{OFF_SCREEN}"))
    overlaps = {key: value for key, value in zip(*columns, strict=True) if np.isfinite(value) and key in clips}
    rows = {name: row for row, name in enumerate(arrays["names"].tolist())}
    saved = run.maps(one)
    ranked = [key for key in sorted(overlaps, key=lambda key: (overlaps[key], key)) if key in rows]
    chosen = dict.fromkeys(ranked[round(at)] for at in np.linspace(0, len(ranked) - 1, CARDS)) if ranked else {}
    return [
        _triple(title, key, one, overlaps[key], rows[key], arrays, saved.part(key) if saved else WHOLE, clips)
        for key in chosen
    ]


def _triple(
    title: str,
    key: str,
    one: Evaluation,
    overlap: float,
    row: int,
    arrays: dict[str, np.ndarray],
    part: Box,
    clips: Clips,
) -> Triple:
    frame, donor = clips.frame(key), str(arrays[f"{OFF_SCREEN}_of"][row])
    protocol = ListeningProtocol(**fields_of(one.facts["protocol"]))
    raw = np.stack([arrays[name][row] for name in ("maps", f"maps_{SILENCE}", f"maps_{OFF_SCREEN}")])
    high = upsample(raw, protocol.interpolation, protocol.control_align_corners)
    low, spread = high.min(), high.max() - high.min()
    shown = (high - low) / spread if spread else np.zeros_like(high)
    label = one.labels.get(key) or "no label"
    foreign = one.labels.get(donor) or donor
    sounds = (
        (f"its own sound, {label}", clips.audio(key)),
        ("silence", PlayableAudio(None, NO_SOUND)),
        (
            f"a foreign sound, {foreign}",
            clips.audio(donor) if donor in clips else PlayableAudio(None, ABSENT),
        ),
    )
    heard = tuple(Heard(name, heat_uri(each), audio) for (name, audio), each in zip(sounds, shown, strict=True))
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = part
    place = (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)
    return Triple(title, key, label, frame_uri(frame), width, height, place, overlap, heard)
