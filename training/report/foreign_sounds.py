"""The same image under its own sound, silence and a foreign sound, side by side, with what is heard of each.

The three maps of a card share one range of colours: a map that fades under silence fades on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from manifests.annotations import WHOLE, Box
from manifests.files.arrays import read_npz
from manifests.files.given import has_file, understood
from manifests.sound_draws import OFF_SCREEN, SILENCE, draws_of
from training.evaluation.control_protocols import ListeningProtocol
from training.evaluation.maps import upsample
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.stored import controls_kind
from training.report.images import frame_uri, heat_uri
from training.report.masks import as_protocol
from training.report.results import Evaluation, Run
from training.report.sources import Clips, PlayableAudio

CARDS = 4
OVERLAP = f"overlap_{OFF_SCREEN}"
MEASURED = (OVERLAP, "active", f"pia_{SILENCE}", f"pia_{OFF_SCREEN}")  # the last three in the order of a card's images
NO_SOUND = "Silence: there is nothing to play."
ABSENT = "The clip whose sound this is has no record in the shards given."


@dataclass(frozen=True)
class Heard:
    """One map of a card, what was heard, the player of it, and which share of the image passes the threshold."""

    title: str
    heat: str
    audio: PlayableAudio
    shown: float


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

    @property
    def agreement(self) -> str:
        """What the masks under the own and the foreign sound have in common, for whoever has not met IoU."""
        own, _, foreign = (heard.shown for heard in self.heard)
        if not own and not foreign:
            return "nothing passes the threshold under either sound, so the two masks agree"
        return f"masks under the own and the foreign sound share {self.overlap:.2f} of their pixels"


def triples(runs: Sequence[Run], titles: Sequence[str], clips: Clips) -> list[Triple]:
    """A few clips of every run that was asked, from the one whose mask changes most to the one that changes least."""
    found = []
    for run, title in zip(runs, titles, strict=True):
        asked = [one for one in run.every_evaluation if one.facts.get("task") == "listening"]
        once = [one for one in asked if len(draws_of(one.facts["protocol"])) == 1]  # a card shows one foreign sound
        kept = next((one for one in once if has_file(one.arrays(controls_kind(one.facts["protocol"])))), None)
        if kept is not None:
            told = f"{title}, best epoch" if kept.is_early_stopped else title
            arrays = read_controls(kept.arrays(controls_kind(kept.facts["protocol"])))
            found += _of_run(run, told, kept, arrays, clips)
    return found


def read_controls(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of controls. InputError when it is none."""
    with understood(path, "is no file of maps under controls", "Evaluate with --listen again."):
        arrays = read_npz(path)
        _ = arrays["names"], arrays["maps"]
    return arrays


def _of_run(run: Run, title: str, one: Evaluation, arrays: dict[str, np.ndarray], clips: Clips) -> list[Triple]:
    if not {f"maps_{SILENCE}", f"maps_{OFF_SCREEN}", f"{OFF_SCREEN}_of"} <= arrays.keys():
        return []
    measured = _measured(one, clips)
    rows = {name: row for row, name in enumerate(arrays["names"].tolist())}
    saved = run.maps(one)
    ranked = _ranked({key: values for key, values in measured.items() if key in rows})
    chosen = dict.fromkeys(ranked[round(at)] for at in np.linspace(0, len(ranked) - 1, CARDS)) if ranked else {}
    return [
        _triple(title, key, one, measured[key], rows[key], arrays, saved.part(key) if saved else WHOLE, clips)
        for key in chosen
    ]


def _measured(one: Evaluation, clips: Clips) -> dict[str, dict[str, float]]:
    """Of every clip with a foreign sound and an image at hand: the masks' agreement, and how much each shows."""
    own = one.rows.filter(pa.array(one.rows["map"].to_numpy() == AUDIO_VISUAL)).select(["key", *MEASURED]).to_pylist()
    return {row.pop("key"): row for row in own if np.isfinite(row[OVERLAP]) and row["key"] in clips}


def _ranked(measured: dict[str, dict[str, float]]) -> list[str]:
    """Clips from the one whose mask changes most; those that show nothing under either sound only where all do."""
    seen = {key: own for key, own in measured.items() if own["active"] or own[f"pia_{OFF_SCREEN}"]} or measured
    return sorted(seen, key=lambda key: (seen[key][OVERLAP], key))


def _triple(
    title: str,
    key: str,
    one: Evaluation,
    measured: dict[str, float],
    row: int,
    arrays: dict[str, np.ndarray],
    part: Box,
    clips: Clips,
) -> Triple:
    frame, donor = clips.frame(key), str(arrays[f"{OFF_SCREEN}_of"][row])
    protocol = as_protocol(one.facts["protocol"], ListeningProtocol)
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
    shares = [measured[name] for name in MEASURED[1:]]
    heard = tuple(
        Heard(name, heat_uri(each), audio, share)
        for (name, audio), each, share in zip(sounds, shown, shares, strict=True)
    )
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = part
    place = (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)
    return Triple(title, key, label, frame_uri(frame), width, height, place, measured[OVERLAP], heard)
