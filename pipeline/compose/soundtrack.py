"""What a composed clip sounds like: recordings of a class one after the other, until the clip is full, and mixed.

Recordings were cut to what sounds and made equally loud (`material`). One that is longer than the clip gives a part of
itself; shorter ones follow each other, and begin again when all have been heard: a single note becomes a phrase.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.compose.pieces import Scene, Thing
from pipeline.shards.codecs import FULL_SCALE
from pipeline.synth.audio import SAMPLE_RATE, mix
from pipeline.synth.scene import SECONDS

SAMPLES = round(SECONDS * SAMPLE_RATE)
FADE = SAMPLE_RATE // 100
LONGEST_PAUSE = 0.25  # seconds between two recordings
ENVELOPE_BLOCK = SAMPLE_RATE // 20


@dataclass(frozen=True)
class Passage:
    """The sound of one thing for a whole clip."""

    thing: Thing
    folder: Path
    seed: tuple[int, int]

    def waveform(self) -> np.ndarray:
        """Mono float32 (SAMPLES,), root mean square 1."""
        return self._waveform

    @cached_property
    def _waveform(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        sound = np.zeros(SAMPLES, np.float32)
        filled = turn = 0
        while filled < SAMPLES:
            number = self.thing.recordings[turn % len(self.thing.recordings)]
            piece = _faded(np.load(self.folder / f"{number}.npy"), SAMPLES, rng, whole=turn > 0)
            end = min(filled + len(piece), SAMPLES)
            sound[filled:end] = piece[: end - filled]
            filled, turn = end + int(rng.uniform(0, LONGEST_PAUSE) * SAMPLE_RATE), turn + 1
        return sound / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-6)

    def activity(self, time: float) -> float:
        """How strongly it sounds at a second, 0 to 1."""
        return float(self._envelope[min(int(time * SAMPLE_RATE / ENVELOPE_BLOCK), len(self._envelope) - 1)])

    @cached_property
    def _envelope(self) -> np.ndarray:
        blocks = self.waveform()[: SAMPLES // ENVELOPE_BLOCK * ENVELOPE_BLOCK].reshape(-1, ENVELOPE_BLOCK)
        loudness = np.sqrt(np.mean(np.square(blocks), axis=1))
        return loudness / max(float(loudness.max()), 1e-6)


def _faded(recording: np.ndarray, longest: int, rng: np.random.Generator, *, whole: bool) -> np.ndarray:
    """float32: a recording, of a long one a part, with soft ends; unless `whole` it may start in its middle."""
    start = int(rng.integers(max(1, len(recording) - longest + 1)))
    if not whole and len(recording) < longest:
        start = int(rng.integers(max(1, len(recording) // 2)))
    piece = recording[start : start + longest].astype(np.float32) / FULL_SCALE
    ramp = np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / FADE
    return piece * np.minimum(ramp, 1).astype(np.float32)


def passages(scene: Scene, folder: Path) -> dict[int, Passage]:
    """What sounds, by its place among the scene's things."""
    return {
        number: Passage(thing, folder, (scene.audio_seed, number))
        for number, thing in enumerate(scene.things)
        if thing.sounding
    }


def soundtrack(scene: Scene, heard: dict[int, Passage]) -> np.ndarray:
    """The clip's sound, mono float32 (SAMPLES,) in [-1, 1] at SAMPLE_RATE."""
    voices = [(passage, scene.things[number].gain) for number, passage in heard.items()]
    return mix(voices, SECONDS, np.random.default_rng(scene.audio_seed), hiss=scene.hiss, level=scene.level)
