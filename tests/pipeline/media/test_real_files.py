"""Every real file beside the repository: its verdict, the frame and sound of a full decode, both decoders alike."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from decoded import DECODERS, alike, shown, verdict

from pipeline.media import recording
from pipeline.media.decode import DecodedClip, DecodeOptions, decode_clip
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.shards.record import FLAGS

RATE = 11025

# Verdicts of the real files' README. Where it names two, the first of this order counts: unreadable, no_video,
# no_audio, too_short, corrupt; a rejected clip carries no flag.
REJECTED = {
    "edge/noaudio_1x1px_1fps.mp4": "no_audio",
    "edge/noaudio_av1.mkv": "no_audio",
    "edge/noaudio_corrupt_midstream.mp4": "no_audio",
    "edge/noaudio_hevc_10bit.mp4": "no_audio",
    "edge/noaudio_odd_161x121.webm": "no_audio",
    "edge/noaudio_rot90_3frames.mov": "no_audio",
    "edge/noaudio_vfr_gap.mp4": "no_audio",
    "edge/novideo_eac3_5.1.mp4": "no_video",
    "edge/novideo_vorbis_8khz_mono.mkv": "no_video",
    "edge/rot-90_hevc_datastreams_0.1s.MOV": "too_short",
    "edge/ts_start1.4_mpeg2_3frames.ts": "too_short",
    "edge/unopenable_no_moov.mp4": "unreadable",
    "made_broken/htmlerror_000010.mp4": "unreadable",
    "made_broken/zero_byte_000000.mp4": "unreadable",
}
KEPT = {
    "edge/aac_12khz_2s.mp4": {"short", "tiled"},
    "edge/all_zero_audio_5s.mp4": {"silent", "static"},
    "edge/mp3_in_mp4_audio_longer.mp4": set(),
    "edge/rot90_phone_1s.mp4": {"short", "tiled"},
    "edge/silent_audio_alpha.webm": {"silent"},
    "edge/ts_start140.ts": {"short", "tiled"},
    "good/bbb_10s_vfr24.mp4": set(),
    "good/big_buck_bunny_432_433.webm": {"short", "tiled"},
    "good/chaplin.mp4": set(),
    "good/exo_av1_aac.mp4": {"short", "tiled"},
    "good/exo_fragmented.mp4": {"short", "tiled"},
    "good/exo_h264_vorbis.mkv": {"short", "tiled"},
    "good/exo_sample_mpeg4_mp3.avi": set(),
    "good/flipping_a_pancake.mkv": set(),
    "good/tfio_small.mp4": set(),
    "vggsound_real/-0pJqpNjft4_000267.mp4": set(),
    "vggsound_real/3qesirWAGt4_20000_30000.mp4": set(),
    "vggsound_real/M1pPtg6a_g8_000230.mp4": set(),
    "vggsound_real/ZYc410CE4Rg_0_10000.mp4": set(),
    "vggsound_real/aEYwqY-Zt_k_000011.mp4": set(),
}


@cache
def plain(path: Path) -> DecodedClip:
    """A clip as it is decoded when nothing is asked for; once for all tests of this file."""
    return decode_clip(path)


def _aligned_error(one: np.ndarray, other: np.ndarray, fine: int = 4) -> float:
    """Root mean square difference over level, at the best shift of up to a millisecond in steps of 23 microseconds."""
    one, other = (scipy.signal.resample_poly(waveform, fine, 1) for waveform in (one, other))
    most = fine * RATE // 1000
    inner = one[most:-most]
    shifted = (other[most + shift : len(other) - most + shift] for shift in range(-most, most + 1))
    return min(np.mean((inner - part) ** 2) for part in shifted) ** 0.5 / max(np.mean(inner**2) ** 0.5, 1e-9)


def _own_sound(clip: DecodedClip) -> np.ndarray:
    """Without the copies that fill the span of a short clip, which follow one another after whole samples."""
    half = round(RATE * clip.duration / 2) - RATE // 50
    middle = len(clip.waveform) // 2
    return clip.waveform[max(0, middle - half) : middle + half]


class TestRealFiles:
    def test_every_file_has_an_expected_verdict(self, real_videos: Path) -> None:
        files = {f"{path.parent.name}/{path.name}" for path in real_videos.glob("*/*")}
        assert files == REJECTED.keys() | KEPT.keys()

    def test_flags_are_the_records(self) -> None:
        assert {flag for flags in KEPT.values() for flag in flags} <= FLAGS.keys()

    @DECODERS
    def test_bad_files_are_rejected_for_their_reason(self, real_videos: Path, decode) -> None:
        found = {name: verdict(decode, real_videos / name) for name in REJECTED}
        assert found == REJECTED
        assert {name: verdict(decode, (real_videos / name).read_bytes()) for name in REJECTED} == REJECTED

    @pytest.mark.parametrize("name", KEPT)
    def test_good_files_become_clips(self, real_videos: Path, name: str) -> None:
        clip = plain(real_videos / name)
        assert set(clip.flags) == KEPT[name]
        assert clip.frame.dtype == np.uint8
        assert min(clip.frame.shape[:2]) == min(256, clip.source_width, clip.source_height)
        assert clip.waveform.shape == (33075,)
        assert clip.waveform.dtype == np.float32
        assert np.abs(clip.waveform).max() <= 1.0
        assert clip.moment == pytest.approx(min(5.0, clip.duration / 2))
        again = decode_clip((real_videos / name).read_bytes())
        assert np.array_equal(again.frame, clip.frame)
        assert np.array_equal(again.waveform, clip.waveform)

    @pytest.mark.parametrize("name", KEPT)
    def test_the_frame_is_bit_exact_with_a_full_decode(self, real_videos: Path, name: str) -> None:
        path = real_videos / name
        decoded = [decode_clip(path, DecodeOptions(moment, short_side=0)) for moment in (0.3, "annotated", 1.001)]
        for clip, (pixels, began) in zip(decoded, shown(path, [clip.moment for clip in decoded]), strict=True):
            assert clip.frame_pts == pytest.approx(began, abs=1e-5)
            assert np.array_equal(clip.frame, pixels)

    @pytest.mark.parametrize("name", KEPT)
    def test_the_audio_is_exact_with_a_full_decode(
        self, real_videos: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fast = plain(real_videos / name).waveform
        monkeypatch.setattr(recording, "SEEK_LEADS", ())
        slow = decode_clip(real_videos / name).waveform
        assert np.abs(fast - slow).max() < 1e-3

    @pytest.mark.parametrize("name", KEPT)
    def test_both_decoders_agree(self, real_videos: Path, name: str) -> None:
        """The same frame, and sound equal to 5 % once aligned to within a millisecond (Matroska counts those)."""
        fast, slow = plain(real_videos / name), decode_clip_ffmpeg(real_videos / name)
        assert fast.frame_pts == pytest.approx(slow.frame_pts, abs=2e-4)
        assert alike(fast.frame, slow.frame)
        assert (fast.source_width, fast.source_height) == (slow.source_width, slow.source_height)
        assert fast.flags == slow.flags
        assert _aligned_error(_own_sound(fast), _own_sound(slow)) < 0.05
