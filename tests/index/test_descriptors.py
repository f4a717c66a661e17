"""Descriptors respond to what they claim to describe, and to nothing else that is checked here."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index.descriptors import (
    GRID,
    MEL_BANDS,
    ORIENTATIONS,
    SIDE,
    Descriptor,
    audio_statistics,
    image_statistics,
    mel_bands,
    mel_edges,
    modulation,
    oriented_gradients,
    standardised,
)
from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end, front_end_names
from pipeline.shards.store import ShardStore

FRONT_END = find_front_end()


@pytest.mark.parametrize("name", front_end_names())
def test_every_mel_band_hears_its_own_pitch(name: str) -> None:
    front_end = find_front_end(name)
    edges = mel_edges(front_end)
    assert (edges[0], edges[-1]) == (0, front_end.shape[0])
    assert (np.diff(edges) >= 1).all()
    widening = np.diff(edges[::5], 2)  # towards high pitch; not where the rows are mels already
    assert (widening > 0).all() if name.startswith("log-power") else (abs(widening) <= 1).all()
    for band in range(MEL_BANDS):
        spectrogram = np.full(front_end.shape, -9.0)
        spectrogram[edges[band] : edges[band + 1]] = 1
        assert np.flatnonzero((mel_bands(spectrogram, front_end) == 1).all(axis=1)).tolist() == [band]


def test_level_is_apart_from_timbre() -> None:
    spectrogram = np.random.default_rng(0).normal(-9, 1, FRONT_END.shape)
    quiet, loud = (audio_statistics(spectrogram + gain, FRONT_END) for gain in (0, 3))
    assert loud[0] - quiet[0] == pytest.approx(3)
    np.testing.assert_allclose(loud[1:], quiet[1:], atol=1e-9)


@pytest.mark.parametrize(("hertz", "slot"), [(1, 0), (3, 1), (6, 2), (12, 3), (25, 4)])
def test_modulation_finds_the_rate(hertz: float, slot: int) -> None:
    seconds = np.arange(FRONT_END.frames) * FRONT_END.hop / FRONT_END.sample_rate
    bands = np.tile(np.sin(2 * np.pi * hertz * seconds), (MEL_BANDS, 1))
    assert (modulation(bands, FRONT_END).argmax(axis=1) == slot).all()


def test_silence_has_finite_statistics() -> None:
    assert np.isfinite(audio_statistics(np.full(FRONT_END.shape, -16.118, np.float16), FRONT_END)).all()


@pytest.mark.parametrize(("angle", "slot"), [(0, 0), (45, 2), (90, 4), (135, 6)])
def test_gradients_find_the_orientation(angle: float, slot: int) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    ramp = columns * np.cos(np.radians(angle)) + rows * np.sin(np.radians(angle))
    for luma in (ramp, -ramp):
        strengths = oriented_gradients(luma)
        assert strengths.shape == (GRID**2, ORIENTATIONS)
        assert (strengths.argmax(axis=1) == slot).all()
        np.testing.assert_allclose(strengths[:, slot], 1 / SIDE)


def test_image_statistics_see_colour_and_place() -> None:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:16, :16] = 255
    statistics = image_statistics(Image.fromarray(image))
    luma = statistics[: 3 * GRID**2 : 3]
    assert luma.argmax() == 0
    assert (luma[1:] == 0).all()
    red = image_statistics(Image.fromarray(np.full_like(image, (255, 0, 0))))
    blue = image_statistics(Image.fromarray(np.full_like(image, (0, 0, 255))))
    assert np.abs(red - blue).max() > 0.3


def test_standardised_columns() -> None:
    values = standardised(np.array([[1.0, 5.0, 7.0], [3.0, 5.0, 9.0]]))
    np.testing.assert_allclose(values, [[-1, 0, -1], [1, 0, 1]])


def test_clips_of_a_kind_lie_together(make_shards: Callable[..., Path]) -> None:
    store = ShardStore.open(make_shards(splits=["train"] * 15))
    done = []
    for modality in ("image", "audio"):
        vectors = Descriptor(modality).vectors(store, range(15), done.append)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        kinds = np.arange(15) % 3
        same = kinds[:, None] == kinds
        similarity = vectors @ vectors.T
        assert similarity[same].min() > similarity[~same].max()
    assert sum(done) == 30


def test_damaged_members_are_told(make_shards: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    store = ShardStore.open(make_shards())
    monkeypatch.setattr(store, "read", lambda row, member: b"not an image")
    with pytest.raises(InputError, match=r"shard-000000.tar is damaged: clip00000.frame.jpg .* does not decode"):
        Descriptor("image").check(store, 0)
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "JPEG")
    monkeypatch.setattr(store, "read", lambda row, member: image.getvalue())
    with pytest.raises(InputError, match=r"shard-000000.tar is damaged: clip00000.spec.npy .* does not decode"):
        Descriptor("audio").check(store, 0)
