"""The mel scale against torchaudio's, and there and back."""

import numpy as np
import torchaudio

from pipeline.media.mel import hertz_of, mel


def test_a_thousand_hertz_are_a_thousand_mels_and_zero_is_zero():
    np.testing.assert_allclose(mel([0, 1000]), [0, 1000], atol=0.02)


def test_the_inverse_undoes_the_scale():
    frequencies = np.linspace(0, 24_000, 97)
    np.testing.assert_allclose(hertz_of(mel(frequencies)), frequencies, atol=1e-8)


def test_bands_evenly_spaced_in_mels_are_torchaudios():
    edges = hertz_of(np.linspace(mel(125), mel(7500), 12))
    peaks = torchaudio.functional.melscale_fbanks(20_001, 125.0, 7500.0, 10, 20_000, mel_scale="htk").argmax(dim=0)
    np.testing.assert_allclose(edges[1:-1], peaks * 0.5, atol=0.25)
