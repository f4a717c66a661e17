"""What the toy world's objects sound like: a voice is a recipe, a performance one clip's drawing from it.

A voice fixes what makes a class recognisable by ear (rhythm, pitch contour, envelope) and leaves open what varies
within it (pitch, tempo, timbre, accents). A performance also tells the image how active its object is at any time,
so that things move when they sound. Everything lies below 5.5 kHz, the top of the default spectrogram.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from scipy import fft

SAMPLE_RATE = 22050
HIGHEST_PARTIAL = 7000.0  # Hz; far enough below half the sample rate that glides do not alias
EDGE_SECONDS = 0.012  # how long a held note takes to open and close
Range = tuple[float, float]


@dataclass(frozen=True)
class Timbre:
    """A spectrum: partials (multiple of the pitch, amplitude), and breath: noise `breath_width` Hz around it."""

    partials: tuple[tuple[float, float], ...]
    breath: float = 0.0
    breath_width: float = 200.0


def harmonics(count: int, slope: float, step: int = 1, breath: float = 0.0, breath_width: float = 200.0) -> Timbre:
    """Every `step`-th harmonic up to `count`, amplitudes falling as 1 / k ** slope."""
    return Timbre(tuple((float(k), k**-slope) for k in range(1, count + 1, step)), breath, breath_width)


@dataclass(frozen=True)
class Voice:
    """The recipe of one class's sound. Ranges are drawn from uniformly (pitch: on the log scale), once per clip."""

    pitch: Range  # Hz
    timbres: tuple[Timbre, ...]  # one of them is drawn
    rate: Range  # events per second
    rhythm: tuple[float, ...] = (1.0,)  # relative lengths of successive events, cycled
    accents: tuple[float, ...] = (1.0,)  # loudness of successive events, cycled; 0 is a rest
    envelope: Literal["strike", "swell", "hold"] = "hold"
    length: Range = (0.75, 0.9)  # share of the event that sounds; for a strike its decay in seconds
    glide: tuple[float, ...] = (0.0,)  # pitch in octaves at equal steps through an event
    melody: tuple[float, ...] = (0.0,)  # pitch of successive events in semitones, cycled
    melody_is_drawn: bool = False  # draw each event's pitch from the melody instead
    vibrato: tuple[float, float] = (0.0, 0.0)  # Hz, octaves
    tremolo: Range = (0.0, 0.0)  # Hz
    tremolo_sharpness: float = 1.0  # 1 swings like a sine, more makes pulses
    wander: float = 0.0  # octaves of slow random drift


@dataclass(frozen=True)
class Performance:
    """One clip's sound of one object. Event arrays have one value per event; events cover the whole clip."""

    voice: Voice
    timbre: Timbre
    seconds: float
    pitch: float
    length: float
    tremolo: float
    phase: float
    starts: np.ndarray = field(repr=False)
    spans: np.ndarray = field(repr=False)
    accents: np.ndarray = field(repr=False)
    semitones: np.ndarray = field(repr=False)
    noise_seed: int = 0

    @cached_property
    def _sample_times(self) -> np.ndarray:
        return np.arange(round(self.seconds * SAMPLE_RATE)) / SAMPLE_RATE

    def activity(self, times: np.ndarray) -> np.ndarray:
        """How strongly the object sounds at `times` (seconds, any shape), 0 ... 1."""
        event = np.searchsorted(self.starts, times, "right") - 1
        return self._envelope(times - self.starts[event], event)

    def waveform(self) -> np.ndarray:
        """Mono float32 at SAMPLE_RATE, root mean square 1."""
        times = self._sample_times
        event = np.searchsorted(self.starts, times, "right") - 1
        age = times - self.starts[event]
        cycles = np.cumsum(self.pitch * np.exp2(self._octaves(times, age, event))) / SAMPLE_RATE
        turning = ((cycles - np.floor(cycles)) * (2 * np.pi)).astype(np.float32)
        audio = self._spectrum(turning) * (self._envelope(age, event) * self._tremolo(times)).astype(np.float32)
        return audio / max(float(np.sqrt(np.mean(np.square(audio)))), 1e-6)

    def _envelope(self, age: np.ndarray, event: np.ndarray) -> np.ndarray:
        if self.voice.envelope == "strike":
            shape = np.exp(-age / self.length) * np.minimum(age / 0.004, 1)
        else:
            open_for = self.spans[event] * self.length
            if self.voice.envelope == "swell":
                shape = np.sin(np.pi * np.clip(age / open_for, 0, 1))
            else:
                shape = np.clip(np.minimum(age, open_for - age) / EDGE_SECONDS, 0, 1)
        return shape * self.accents[event]

    def _octaves(self, times: np.ndarray, age: np.ndarray, event: np.ndarray) -> np.ndarray:
        octaves = self.semitones[event] / 12
        if len(self.voice.glide) > 1:
            sounding = self.spans[event] * (1.0 if self.voice.envelope == "strike" else self.length)
            octaves = octaves + np.interp(age / sounding, np.linspace(0, 1, len(self.voice.glide)), self.voice.glide)
        if self.voice.vibrato[0]:
            octaves = octaves + self.voice.vibrato[1] * np.sin(2 * np.pi * self.voice.vibrato[0] * times + self.phase)
        if self.voice.wander:
            drift = np.sin(4.4 * times + 2 * np.sin(5.1 * times + self.phase))
            octaves = octaves + self.voice.wander * drift
        return octaves

    def _tremolo(self, times: np.ndarray) -> np.ndarray | float:
        if not self.tremolo:
            return 1.0
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * self.tremolo * times + self.phase)
        return 0.05 + 0.95 * swing**self.voice.tremolo_sharpness

    def _spectrum(self, turning: np.ndarray) -> np.ndarray:
        ceiling = HIGHEST_PARTIAL / (self.pitch * 2 ** max(self.voice.glide))
        audio = np.zeros_like(turning)
        for multiple, amplitude in self.timbre.partials:
            if multiple <= ceiling:
                audio += np.float32(amplitude) * np.sin(np.float32(multiple) * turning)
        if self.timbre.breath:  # low-passed noise carried at the pitch: noise around the pitch that follows its glides
            noise = coloured_noise(np.random.default_rng(self.noise_seed), len(turning), self.timbre.breath_width)
            audio += np.float32(self.timbre.breath) * noise * np.sin(turning)
        return audio


def perform(voice: Voice, seconds: float, rng: np.random.Generator) -> Performance:
    """Draw one clip's performance of a voice."""
    starts, spans = _schedule(voice, seconds, rng)
    number = np.arange(len(starts))
    loudness = np.resize(voice.accents, len(starts)) * rng.uniform(0.8, 1.0, len(starts))
    step = rng.integers(len(voice.melody), size=len(starts)) if voice.melody_is_drawn else number % len(voice.melody)
    return Performance(
        voice=voice,
        timbre=voice.timbres[rng.integers(len(voice.timbres))],
        seconds=seconds,
        pitch=float(np.exp(rng.uniform(*np.log(voice.pitch)))),
        length=float(rng.uniform(*voice.length)),
        tremolo=float(rng.uniform(*voice.tremolo)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        starts=starts,
        spans=spans,
        accents=loudness,
        semitones=np.asarray(voice.melody)[step],
        noise_seed=int(rng.integers(2**32)),
    )


def _schedule(voice: Voice, seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths (seconds) of events from before 0 until after the end, at a drawn tempo, slightly uneven."""
    beat = 1 / rng.uniform(*voice.rate)
    count = int(np.ceil((seconds + beat * max(voice.rhythm)) / (beat * min(voice.rhythm)))) + len(voice.rhythm) + 1
    spans = beat * np.resize(voice.rhythm, count) * rng.uniform(0.95, 1.05, count)
    starts = np.concatenate([[0.0], np.cumsum(spans)[:-1]]) - rng.uniform(0, spans[0])
    return starts, spans


def coloured_noise(rng: np.random.Generator, samples: int, cutoff: float, slope: float = 0.0) -> np.ndarray:
    """Noise up to `cutoff` Hz whose amplitude falls as frequency ** -slope; float32 (samples,), root mean square 1."""
    length = fft.next_fast_len(samples, real=True)
    bins = max(2, min(length // 2, int(cutoff * length / SAMPLE_RATE)))
    spectrum = np.zeros(length // 2 + 1, np.complex64)
    parts = rng.standard_normal((2, bins), np.float32)
    spectrum[1 : bins + 1] = (parts[0] + 1j * parts[1]) * np.arange(1, bins + 1, dtype=np.float32) ** np.float32(-slope)
    noise = fft.irfft(spectrum, length)[:samples]
    return (noise / np.sqrt(np.mean(np.square(noise)))).astype(np.float32)


class Sounding(Protocol):
    """What can be mixed."""

    def waveform(self) -> np.ndarray:
        """Mono float32 at SAMPLE_RATE, as long as the clip, root mean square 1."""
        ...


def mix(
    voices: Sequence[tuple[Sounding, float]], seconds: float, rng: np.random.Generator, *, hiss: float, level: float
) -> np.ndarray:
    """Sum sounds at their gains over background noise of root mean square `hiss`; all of it times `level`.

    Returns mono float32 (round(seconds * SAMPLE_RATE),), quieter where it would leave -1 ... 1. Neither sounds
    nor hiss give digital silence.
    """
    samples = round(seconds * SAMPLE_RATE)
    total = np.zeros(samples, np.float32)
    for voice, gain in voices:
        total += np.float32(level * gain) * voice.waveform()
    if hiss:
        total += np.float32(level * hiss) * coloured_noise(rng, samples, 8000, rng.uniform(0.2, 0.9))
    return total * np.float32(0.95 / max(0.95, float(np.abs(total).max())))
