"""Descriptors without weights: what a clip sounds and looks like in classical statistics, straight from its shard.

The offline default of `index embed`: nothing is downloaded or trained. Sound: log-mel level, spread, change and
modulation of the stored spectrogram. Image: colour and gradient orientation on a coarse grid. They group clips by
timbre, rhythm, palette and layout, not by meaning: the papers mine with pretrained or trained encoders.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from index.clips import image
from index.embeddings import unit_rows
from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from pipeline.media.mel import hertz_of, mel
from pipeline.media.spectra import FrontEnd
from pipeline.shards.record import SPECTROGRAM

if TYPE_CHECKING:
    from pipeline.shards.store import ShardStore

NAME = "descriptor-v1"

MEL_BANDS = 40
MODULATION_GROUPS = 10  # neighbouring mel bands share one modulation spectrum
MODULATION_EDGES_HZ = (0.5, 2.0, 4.0, 8.0, 16.0, 32.0)  # from slow swells to fast tremolo and speech's 4 Hz between
QUIETEST = 1e-6  # added before logarithms of modulation energy

SIDE = 64  # pixels; the JPEG is decoded at the nearest reduced size, several times cheaper than in full
GRID = 4
ORIENTATIONS = 8
COLOUR_LEVELS = 4


@dataclass(frozen=True)
class Descriptor:
    """The encoder for one modality, see `index.encoders.Encoder`."""

    modality: str
    version = NAME

    def check(self, store: "ShardStore", row: int) -> None:
        self._statistics(store, row)

    def vectors(self, store: "ShardStore", rows: Sequence[int], advance: Callable[[int], None]) -> np.ndarray:
        """float32 (N, D) unit rows.

        Every statistic is standardised over these clips, so that all count alike, then each clip is scaled to length 1.
        InputError when the shards' front end is unknown or a stored member does not decode.
        """
        statistics = []
        for row in rows:
            statistics.append(self._statistics(store, row))
            advance(1)
        return unit_rows(standardised(np.stack(statistics)))

    def _statistics(self, store: "ShardStore", row: int) -> np.ndarray:
        if self.modality == "image":
            small = image(store, row, at_least=SIDE).resize((SIDE, SIDE), Image.Resampling.BOX)
            return image_statistics(small)
        front_end = _front_end(store)
        return audio_statistics(_spectrogram(store, row, front_end), front_end)


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Descriptor:
    """InputError when weights are given: it has none. `device` is for networks."""
    if weights is not None:
        raise InputError(f"the encoder {name} has no weights; leave out --{modality}-weights, or name its encoder.")
    return Descriptor(modality)


def standardised(statistics: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance per column (N, D); a column that is the same for all clips becomes zero."""
    centred = statistics - statistics.mean(axis=0)
    spread = centred.std(axis=0)
    return np.where(spread > 1e-8, centred / np.maximum(spread, 1e-8), 0.0)


def audio_statistics(spectrogram: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Log-power spectrogram (F, T) -> float64 (171,): level, then per mel band level, spread and change, modulation."""
    bands = mel_bands(spectrogram, front_end)
    means = bands.mean(axis=1)
    level = means.mean()
    change = np.abs(np.diff(bands, axis=1)).mean(axis=1)
    return np.concatenate([[level], means - level, bands.std(axis=1), change, modulation(bands, front_end).ravel()])


def modulation(bands: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """How strongly groups of bands fluctuate at each rate: mel bands (B, T) -> log energy (groups, rates)."""
    groups = bands.reshape(MODULATION_GROUPS, -1, bands.shape[1]).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(groups - groups.mean(axis=1, keepdims=True), axis=1)) ** 2 / bands.shape[1]
    rates = np.fft.rfftfreq(bands.shape[1], front_end.hop / front_end.sample_rate)
    slots = np.digitize(rates, MODULATION_EDGES_HZ)
    energies = [spectrum[:, slots == slot].sum(axis=1) for slot in range(1, len(MODULATION_EDGES_HZ))]
    return np.log(np.stack(energies, axis=1) + QUIETEST)


def mel_bands(spectrogram: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Mean log power of each mel band's bins: (F, T) -> float64 (MEL_BANDS, T).

    Summed, not multiplied by a filter bank: BLAS would wake all cores for a product this small.
    """
    edges = mel_edges(front_end)
    sums = np.add.reduceat(spectrogram.astype(np.float64), edges[:-1], axis=0)
    return sums / np.diff(edges)[:, None]


@cache
def mel_edges(front_end: FrontEnd) -> np.ndarray:
    """First bin of each band, evenly spaced on the mel scale, and the end: (MEL_BANDS + 1,) strictly increasing."""
    edges = hertz_of(np.linspace(0, mel(front_end.sample_rate / 2), MEL_BANDS + 1))
    return np.rint(front_end.rows_of(edges)).astype(int)


def image_statistics(image: Image.Image) -> np.ndarray:
    """SIDE x SIDE RGB image -> float64 (288,): colour and gradients per grid cell, colour histogram of the whole."""
    channels = np.asarray(image.convert("YCbCr"), dtype=np.float64) / 255
    cells = channels.reshape(GRID, SIDE // GRID, GRID, SIDE // GRID, 3).swapaxes(1, 2).reshape(GRID**2, -1, 3)
    return np.concatenate(
        [
            cells.mean(axis=1).ravel(),
            cells.std(axis=1).ravel(),
            np.sqrt(oriented_gradients(channels[..., 0])).ravel(),
            np.sqrt(colour_histogram(channels)),
        ]
    )


def oriented_gradients(luma: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) -> (GRID**2, ORIENTATIONS): mean gradient magnitude per cell and undirected orientation."""
    vertical, horizontal = np.gradient(luma)
    turn = np.arctan2(vertical, horizontal) / np.pi
    slot = np.rint(turn * ORIENTATIONS).astype(int) % ORIENTATIONS
    line = np.arange(SIDE) * GRID // SIDE
    cell = line[:, None] * GRID + line
    slots, strengths = (cell * ORIENTATIONS + slot).ravel(), np.hypot(vertical, horizontal).ravel()
    total = np.bincount(slots, strengths, GRID**2 * ORIENTATIONS)
    return total.reshape(GRID**2, ORIENTATIONS) / (SIDE // GRID) ** 2


def colour_histogram(channels: np.ndarray) -> np.ndarray:
    """Share of pixels per quantised colour: (H, W, 3) in [0, 1] -> (COLOUR_LEVELS ** 3,)."""
    levels = np.minimum((channels * COLOUR_LEVELS).astype(int), COLOUR_LEVELS - 1)
    colours = levels @ np.array([COLOUR_LEVELS**2, COLOUR_LEVELS, 1])
    return np.bincount(colours.ravel(), minlength=COLOUR_LEVELS**3) / colours.size


def _spectrogram(store: "ShardStore", row: int, front_end: FrontEnd) -> np.ndarray:
    spectrogram = store.spectrogram(row)
    if spectrogram.shape != front_end.shape or not np.isfinite(spectrogram).all():
        raise store.damaged(row, SPECTROGRAM, f"shape {spectrogram.shape}, or values that are not finite")
    return spectrogram


def _front_end(store: "ShardStore") -> FrontEnd:
    try:
        return find_front_end(store.front_end)
    except InputError as error:
        raise InputError(f"{store.folder} cannot be described by its spectrograms. {error}") from error
