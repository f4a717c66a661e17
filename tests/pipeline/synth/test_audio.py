"""What is heard: classes, levels, envelopes."""

import numpy as np
import pytest
from synth_seed import SEED

from pipeline.media.front_ends import find_front_end
from pipeline.synth.audio import SAMPLE_RATE, mix, perform
from pipeline.synth.classes import LABELS, SOUND_CLASSES, SoundClass
from pipeline.synth.corpus import waveform
from pipeline.synth.scene import draw_scene


def hear(number: int, copy: int) -> np.ndarray:
    """A short description of a class's sound: spectrum, its spread over time, and the rhythm of its loudness."""
    rng = np.random.default_rng([SEED, number, copy])
    performance = perform(SOUND_CLASSES[number].voice, 3.0, rng)
    audio = mix([(performance, 1.0)], 3.0, rng, hiss=0.1, level=0.1)[::2]
    heard = np.pad(audio, (0, 33075 - len(audio)))
    image = find_front_end().spectrogram(heard).astype(np.float32)[:256].reshape(32, 8, 300).mean(1)
    rhythm = np.abs(np.fft.rfft(image.mean(0) - image.mean()))[1:40]
    return np.concatenate([image.mean(1), 2 * image.std(1), 4 * rhythm / (rhythm.sum() + 1e-6)])


def test_classes_can_be_told_by_ear() -> None:
    known = np.stack([np.mean([hear(number, copy) for copy in range(6)], 0) for number in range(len(LABELS))])
    right = [
        int(np.argmin(np.linalg.norm(known - hear(number, copy), axis=1)) == number)
        for number in range(len(LABELS))
        for copy in (100, 101)
    ]
    assert np.mean(right) > 0.8


def test_waveforms_stay_in_range_and_silence_is_digital() -> None:
    scenes = [draw_scene(SEED, index) for index in range(400)]
    assert all(np.abs(waveform(scene)).max() <= 0.951 for scene in scenes[:20])
    silent = [scene for scene in scenes if scene.kind == "silent"]
    assert {scene.hiss == 0 for scene in silent} == {True, False}
    assert all((not waveform(scene).any()) == (scene.hiss == 0) for scene in silent)


@pytest.mark.parametrize("one", SOUND_CLASSES, ids=LABELS)
def test_activity_is_the_envelope_of_the_audio(one: SoundClass) -> None:
    performance = perform(one.voice, 2.0, np.random.default_rng(SEED))
    activity = performance.activity(np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    power = np.square(performance.waveform())
    assert activity.min() >= 0
    assert 0.3 < activity.max() <= 1
    assert not power[activity == 0].any()
    assert np.average(activity, weights=power) >= activity.mean()
