"""Sound in its place: where a span lies, what is mixed, what is missing."""

import numpy as np
import pytest
from decoded import DECODERS

from pipeline.media.audio import AudioSpan
from pipeline.media.decode import DecodeOptions, fill_span
from pipeline.media.ffmpeg import file_input
from pipeline.media.layouts import mixing_weights

RATE = 11025


def _loud(waveform: np.ndarray) -> float:
    """Seconds at which a burst starts in a waveform."""
    return int(np.flatnonzero(np.abs(waveform) > 0.1)[0]) / RATE


class TestAudio:
    @DECODERS
    @pytest.mark.parametrize("at", [1.6, 3.0, 4.2])
    def test_the_offset_to_the_image_is_kept(self, clips, clip_maker, decode, at: float) -> None:
        path = clips.plain(f"burst{at}.mp4", waveform=clip_maker.burst(6.0, at))
        clip = decode(path)
        assert clip.moment == 3.0
        assert _loud(clip.waveform) == pytest.approx(at - 1.5, abs=0.01)

    @DECODERS
    def test_audio_that_starts_late_stays_late(self, clips, clip_maker, decode) -> None:
        plain = file_input(clips.plain("ontime.mp4", waveform=clip_maker.burst(6.0, 2.0)))
        late = file_input(clips.folder / "ontime.mp4", itsoffset=0.5)
        path = clips.join(plain.video, late.audio, name="late.mkv", c="copy")
        clip = decode(path)
        assert clip.audio_start == pytest.approx(0.5, abs=0.03)
        assert _loud(clip.waveform) == pytest.approx(2.5 - (clip.moment - 1.5), abs=0.01)

    @DECODERS
    def test_surround_is_mixed_not_concatenated(self, clips, clip_maker, decode) -> None:
        channels = np.stack([clip_maker.burst(6.0, 3.0)] * 6, axis=1)
        clip = decode(clips.plain("surround.mp4", waveform=channels))
        assert clip.waveform.shape == (33075,)
        assert _loud(clip.waveform) == pytest.approx(1.5, abs=0.01)
        assert np.abs(clip.waveform).max() == pytest.approx(0.5, rel=0.15)

    def test_mixing_weights(self) -> None:
        assert mixing_weights(["FC"]).tolist() == [1.0]
        assert mixing_weights(["FL", "FR"]).tolist() == [0.5, 0.5]
        weights = mixing_weights(["FL", "FR", "FC", "LFE", "SL", "SR"])
        assert weights.sum() == pytest.approx(1.0)
        assert weights[3] == 0
        assert weights[2] / weights[0] == pytest.approx(2**0.5)
        assert mixing_weights(["LFE"]).tolist() == [1.0]

    @DECODERS
    def test_peaks_are_clipped(self, clips, clip_maker, decode) -> None:
        opened = file_input(clips.plain("quiet.mp4", waveform=clip_maker.tone(6.0, 100)))
        louder = opened.audio.filter("volume", 3.0)
        path = clips.join(opened.video, louder, name="loud.mkv", acodec="pcm_f32le", vcodec="copy")
        waveform = decode(path).waveform
        assert waveform.max() == 1.0
        assert waveform.min() == -1.0
        assert np.mean(np.abs(waveform) == 1.0) > 0.3

    @DECODERS
    def test_a_short_clip_is_tiled_in_place(self, clips, clip_maker, decode) -> None:
        clip = decode(clips.plain("short.mp4", seconds=1.0, waveform=clip_maker.burst(1.0, 0.3)))
        assert set(clip.flags) == {"short", "tiled"}
        starts = np.flatnonzero(np.abs(clip.waveform) > 0.1) / RATE
        for second in (0, 1, 2):  # the clip itself lies at 1.0 .. 2.0 of the span, its copies on either side
            inside = starts[(starts >= second) & (starts < second + 1)]
            assert inside[0] == pytest.approx(second + 0.3, abs=0.03)

    def test_how_a_span_is_filled(self) -> None:
        front_end = DecodeOptions().front_end
        ramp = np.linspace(-2, 2, front_end.samples, dtype=np.float32)
        whole, flag = fill_span(AudioSpan(ramp, 0, len(ramp), 0.0, 0, None), front_end)
        assert flag is None
        assert np.array_equal(whole, ramp.clip(-1, 1))
        assert fill_span(AudioSpan(ramp, 1000, len(ramp), 0.0, 0, None), front_end)[1] == "padded"
        tiled, flag = fill_span(AudioSpan(ramp, 10000, 20000, 0.0, 0, None), front_end)
        assert flag == "tiled"
        assert np.array_equal(tiled[:10000], tiled[10000:20000])
        assert np.array_equal(tiled[20000:30000], tiled[10000:20000])
        assert np.array_equal(tiled[10000:20000], ramp[10000:20000].clip(-1, 1))
        assert fill_span(AudioSpan(ramp * 0, 0, 0, 0.0, 0, None), front_end)[1] == "padded"

    @DECODERS
    def test_audio_that_ended_long_before_is_silence(self, clips, clip_maker, decode) -> None:
        path = clips.plain("ended.mp4", seconds=10.0, waveform=clip_maker.tone(2.0))
        clip = decode(path)
        assert set(clip.flags) == {"padded", "silent"}
