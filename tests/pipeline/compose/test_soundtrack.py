"""What is heard: short recordings fill the clip, and are equally loud, whatever they were."""

from pathlib import Path

import numpy as np
import pytest
from material import write_tone

from pipeline.compose.material import ready_recording
from pipeline.compose.pieces import Motion, Thing
from pipeline.compose.soundtrack import SAMPLES, Passage
from pipeline.synth.audio import SAMPLE_RATE

STILL = Motion((0, 0), (0, 0), 1, 0, 0)


def passage(folder: Path, recordings: tuple[int, ...]) -> Passage:
    return Passage(Thing("a", None, (0, 0, 1, 1), False, 1.0, recordings, 1.0, STILL), folder, (0, 0))


@pytest.mark.parametrize("seconds", [0.15, 1.4, 9.0])
def test_a_recording_fills_the_clip(tmp_path: Path, seconds: float) -> None:
    write_tone(tmp_path / "a.wav", 440, seconds)
    ready = ready_recording(tmp_path / "0.npy", tmp_path / "a.wav")
    assert ready.size[0] == pytest.approx(seconds * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
    sound = passage(tmp_path, (0,)).waveform()
    assert sound.shape == (SAMPLES,)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1, abs=0.01)
    blocks = np.sqrt(np.mean(sound[: SAMPLES // 4410 * 4410].reshape(-1, 4410) ** 2, axis=1))
    assert (blocks > 0.2).mean() > 0.5
    quiet = np.flatnonzero(blocks < 0.1)
    assert not len(quiet) or np.diff(np.flatnonzero(blocks >= 0.1)).max() <= 3


def test_several_recordings_follow_each_other(tmp_path: Path) -> None:
    for number, pitch in enumerate((440, 1760)):
        write_tone(tmp_path / f"{number}.wav", pitch, 1.0)
        ready_recording(tmp_path / f"{number}.npy", tmp_path / f"{number}.wav")
    heard = passage(tmp_path, (0, 1))
    spectrum = np.abs(np.fft.rfft(heard.waveform()))
    peaks = [spectrum[int(pitch * SAMPLES / SAMPLE_RATE) - 9 :][:18].max() for pitch in (440, 1760)]
    assert min(peaks) > 0.3 * max(peaks)
    levels = [heard.activity(second) for second in np.linspace(0, 4.12, 60)]
    assert 0 <= min(levels) < max(levels) <= 1
