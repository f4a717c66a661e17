"""Decoding truth: every real file's verdict, the frame of a full decode, sound in its place, and made-up oddities."""

import io
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import av
import ffmpeg
import numpy as np
import pytest
import scipy.signal

from pipeline.media import reader as media_file
from pipeline.media.audio import AudioSpan
from pipeline.media.decode import DecodeOptions, decode_clip, fill_span, is_static
from pipeline.media.ffmpeg import file_input
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.image import SCALING, Run
from pipeline.media.layouts import mixing_weights
from pipeline.media.opening import open_container
from pipeline.media.reader import MediaFile
from pipeline.shards.record import FLAGS, Rejected

RATE = 11025
DECODERS = pytest.mark.parametrize("decode", [decode_clip, decode_clip_ffmpeg])

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


def _reason(decode, content: bytes | Path, options: DecodeOptions = DecodeOptions()) -> str:
    with pytest.raises(Rejected) as verdict:
        decode(content, options)
    return verdict.value.reason


def _shown(path: Path, moments: Sequence[float]) -> list[tuple[np.ndarray, float]]:
    """By decoding everything: the frames presented at these moments, unscaled and upright, and when each began."""
    shown: list[tuple[float, av.VideoFrame]] = []
    with av.open(str(path)) as container:
        zero = container.start_time / av.time_base
        for frame in container.decode(video=0):
            time = float(frame.pts * frame.time_base) - zero
            shown = shown or [(time, frame)] * len(moments)  # the first one stands where a moment comes before it
            shown = [
                (time, frame) if time <= moment + 1e-5 else old for moment, old in zip(moments, shown, strict=True)
            ]
    return [(_upright(frame), time) for time, frame in shown]


def _upright(frame: av.VideoFrame) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24", interpolation=SCALING), round(frame.rotation / 90))


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """The same image, but for how chroma was interpolated: mean difference below 1 of 255."""
    return one.shape == other.shape and bool(np.abs(one.astype(int) - other).mean() < 1.0)


def _loud(waveform: np.ndarray) -> float:
    """Seconds at which a burst starts in a waveform."""
    return int(np.flatnonzero(np.abs(waveform) > 0.1)[0]) / RATE


def _aligned_error(one: np.ndarray, other: np.ndarray, fine: int = 4) -> float:
    """Root mean square difference over level, at the best shift of up to a millisecond in steps of 23 microseconds."""
    one, other = (scipy.signal.resample_poly(waveform, fine, 1) for waveform in (one, other))
    most = fine * RATE // 1000
    inner = one[most:-most]
    shifted = (other[most + shift : len(other) - most + shift] for shift in range(-most, most + 1))
    return min(np.mean((inner - part) ** 2) for part in shifted) ** 0.5 / max(np.mean(inner**2) ** 0.5, 1e-9)


class TestRealFiles:
    def test_every_file_has_an_expected_verdict(self, real_videos: Path) -> None:
        files = {f"{path.parent.name}/{path.name}" for path in real_videos.glob("*/*")}
        assert files == REJECTED.keys() | KEPT.keys()

    @DECODERS
    @pytest.mark.parametrize(("name", "reason"), REJECTED.items())
    def test_bad_files_are_rejected_for_their_reason(self, real_videos: Path, name: str, reason: str, decode) -> None:
        assert _reason(decode, real_videos / name) == reason
        assert _reason(decode, (real_videos / name).read_bytes()) == reason

    @pytest.mark.parametrize("name", KEPT)
    def test_good_files_become_clips(self, real_videos: Path, name: str) -> None:
        clip = decode_clip(real_videos / name)
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
        for clip, (pixels, began) in zip(decoded, _shown(path, [clip.moment for clip in decoded]), strict=True):
            assert clip.frame_pts == pytest.approx(began, abs=1e-5)
            assert np.array_equal(clip.frame, pixels)

    @pytest.mark.parametrize("name", KEPT)
    def test_the_audio_is_exact_with_a_full_decode(
        self, real_videos: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fast = decode_clip(real_videos / name).waveform
        monkeypatch.setattr(media_file, "SEEK_LEADS", ())
        slow = decode_clip(real_videos / name).waveform
        assert np.abs(fast - slow).max() < 1e-3

    @pytest.mark.parametrize("name", KEPT)
    def test_both_decoders_agree(self, real_videos: Path, name: str) -> None:
        """The same frame, and sound equal to 5 % once aligned to within a millisecond (Matroska counts those)."""
        fast, slow = decode_clip(real_videos / name), decode_clip_ffmpeg(real_videos / name)
        assert fast.frame_pts == pytest.approx(slow.frame_pts, abs=2e-4)
        assert _alike(fast.frame, slow.frame)
        assert (fast.source_width, fast.source_height) == (slow.source_width, slow.source_height)
        assert fast.flags == slow.flags
        assert _aligned_error(fast.waveform, slow.waveform) < 0.05


class TestMoment:
    @pytest.fixture
    def plain(self, clips) -> Path:
        return clips.once("moments.mp4")

    @DECODERS
    @pytest.mark.parametrize(
        ("moment", "seconds"), [("annotated", 3.0), ("centre", 3.0), (1.5, 1.5), (0.0, 0.0), (4.99, 4.99), (60.0, 3.0)]
    )
    def test_frame_and_times(self, plain: Path, clip_maker, decode, moment, seconds: float) -> None:
        clip = decode(plain, DecodeOptions(moment=moment, short_side=0))
        assert clip.moment == pytest.approx(seconds)
        assert clip_maker.number_of(clip.frame) == int(seconds * 25 + 1e-6)
        assert clip.frame_pts == pytest.approx(int(seconds * 25 + 1e-6) / 25, abs=1e-5)

    def test_every_frame_of_a_group_of_images_is_found(self, plain: Path, clip_maker) -> None:
        with MediaFile(plain) as media:
            numbers = [clip_maker.number_of(media.frame_at(number / 25).pixels) for number in range(40, 110)]
        assert numbers == list(range(40, 110))

    def test_annotated_is_five_seconds_in_long_clips(self, clips, clip_maker) -> None:
        clip = decode_clip(clips.plain("long.mp4", seconds=10.2), DecodeOptions(short_side=0))
        assert (clip.moment, clip_maker.number_of(clip.frame)) == (5.0, 125)

    def test_the_short_side_is_reduced_but_never_enlarged(self, plain: Path) -> None:
        assert decode_clip(plain, DecodeOptions(short_side=64)).frame.shape == (64, 96, 3)
        assert decode_clip(plain, DecodeOptions(short_side=256)).frame.shape == (128, 192, 3)

    @pytest.mark.parametrize(
        "flags",
        [
            {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
            {"movflags": "frag_keyframe"},
            {"use_editlist": 0, "avoid_negative_ts": "make_zero"},
        ],
    )
    def test_a_header_without_times_begins_with_its_first_stream(self, clips, clip_maker, plain: Path, flags) -> None:
        """Images that are reordered start two frames late there, the sound at zero."""
        name = f"timeless-{'-'.join(map(str, flags.values()))}.mp4"
        cut = clips.remux(plain, name, **flags)
        with MediaFile(cut) as media:
            assert (media.facts.zero, media.facts.audio_start) == (0.0, 0.0)
            assert clip_maker.number_of(media.frame_at(3.0).pixels) == 75 - 2

    @DECODERS
    def test_pre_roll_hidden_by_an_edit_list(self, clips, clip_maker, plain: Path, decode) -> None:
        """A stream copy from 2.6 s starts at the keyframe of 2.0 s; players show 2.6 s first, and so do we."""
        cut = clips.remux(plain, "cut.mp4", seek=2.6, t=3.0)
        with av.open(str(cut)) as container:
            assert container.streams.video[0].frames > 75
        for moment in (0.0, 0.5, 1.0):
            clip = decode(cut, DecodeOptions(moment=moment, short_side=0))
            assert clip_maker.number_of(clip.frame) == 65 + round(moment * 25)

    @DECODERS
    def test_frames_are_chosen_by_time_not_number(self, clips, clip_maker, decode) -> None:
        source = clips.plain("even.mp4", gop=10)
        frames = file_input(source).video.filter("select", "not(between(n,40,68))*not(eq(mod(n,7),3))")
        path = clips.join(frames, file_input(source).audio, name="vfr.mp4", fps_mode="vfr", g=10)
        for moment, number in ((1.0, 25), (2.0, 39), (2.7, 39), (2.79, 69), (1.25, 30), (4.0, 100)):
            clip = decode(path, DecodeOptions(moment=moment, short_side=0))
            assert clip_maker.number_of(clip.frame) == number

    @DECODERS
    @pytest.mark.parametrize("suffix", ["ts", "mkv", "mov"])
    def test_other_containers(self, clips, clip_maker, plain: Path, decode, suffix: str) -> None:
        options = {"output_ts_offset": 140} if suffix == "ts" else {}
        path = clips.remux(plain, f"plain.{suffix}", **options)
        moments = (0.5, 3.0, 4.5)
        for moment, (pixels, began) in zip(moments, _shown(path, moments), strict=True):
            clip = decode(path, DecodeOptions(moment=moment, short_side=0))
            assert clip.frame_pts == pytest.approx(began, abs=1e-3)
            assert clip_maker.number_of(clip.frame) == clip_maker.number_of(pixels)
            assert _alike(clip.frame, pixels)

    @DECODERS
    def test_a_wrong_suffix_does_not_matter(self, clips, plain: Path, decode) -> None:
        path = clips.folder / "matroska.mp4"
        shutil.copy(clips.remux(plain, "right.mkv"), path)
        assert decode(path).duration == pytest.approx(6.0, abs=0.05)

    @DECODERS
    def test_a_name_is_data(self, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decode) -> None:
        monkeypatch.chdir(tmp_path)
        names = ("-0pJqpNjft4_000267.mp4", "concat:a|b.mp4", "a b'c.mp4", "new\nline.mp4", "%d.mp4", b"\xff\xfe.mp4")
        for name in names:
            path = Path(name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
            shutil.copy(plain, path)
            assert decode(path).moment == 3.0

    def test_a_recording_without_duration_is_measured(self, clips, plain: Path) -> None:
        path = clips.remux(plain, "live.mkv", live=1)
        with av.open(str(path)) as container:
            assert container.duration is None
        assert decode_clip(path).duration == pytest.approx(6.0, abs=0.05)


class TestImage:
    @DECODERS
    @pytest.mark.parametrize("degrees", [90, 180, -90])
    def test_rotation(self, clips, decode, degrees: int) -> None:
        plain = clips.plain("unturned.mp4", seconds=2.0)
        path = clips.turned(plain, f"turned{degrees}.mp4", display_rotation=degrees)
        options = DecodeOptions(short_side=0)
        expected = np.rot90(decode(plain, options).frame, degrees // 90)
        clip = decode(path, options)
        assert _alike(clip.frame, expected)
        assert (clip.source_height, clip.source_width) == expected.shape[:2]

    @DECODERS
    def test_mirrored(self, clips, decode) -> None:
        plain = clips.plain("unmirrored.mp4", seconds=2.0)
        path = clips.turned(plain, "mirrored.mp4", display_rotation=90, display_hflip=None)
        mirrored = decode(plain, DecodeOptions(short_side=0)).frame[:, ::-1]
        turned = decode(path, DecodeOptions(short_side=0)).frame
        assert _alike(turned, np.rot90(mirrored, -1)) or _alike(turned, np.rot90(mirrored, 1))
        assert _alike(turned, decode_clip(path, DecodeOptions(short_side=0)).frame)

    @DECODERS
    def test_pixels_become_square(self, clips, decode) -> None:
        source = file_input(clips.plain("square.mp4", seconds=2.0))
        path = clips.join(source.video.filter("setsar", "2/1"), source.audio, name="wide.mp4")
        clip = decode(path, DecodeOptions(short_side=64))
        assert (clip.source_width, clip.source_height) == (384, 128)
        assert clip.frame.shape == (64, 192, 3)

    @DECODERS
    def test_a_still_image_is_flagged(self, clips, clip_maker, decode) -> None:
        still = np.repeat(clip_maker.numbered_frames(1), 150, axis=0)
        moving = still.copy()
        for number, frame in enumerate(moving):
            frame[60:76, number : number + 16] = (250, 20, 20)
        assert "static" in decode(clips.plain("still.mp4", frames=still)).flags
        assert "static" not in decode(clips.plain("small_thing_moves.mp4", frames=moving)).flags

    def test_static_forgives_grain_and_sees_a_small_change(self) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(40, 200, (128, 192, 3)).astype(np.uint8)
        grain = (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
        changed = image.copy()
        changed[100:108, 100:108] //= 2
        assert is_static(image, grain)
        assert not is_static(image, changed)

    def test_an_absurd_size_is_refused(self, clips, clip_maker) -> None:
        black = ffmpeg.input("color=black:s=9000x64:d=1:r=5", format="lavfi")
        audio = ffmpeg.input("anoisesrc=d=1", format="lavfi")
        assert _reason(decode_clip, clips.join(black, audio, name="wide_9000.mp4")) == "too_large"


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

    def test_flags_are_the_records(self) -> None:
        assert {flag for flags in KEPT.values() for flag in flags} <= FLAGS.keys()


class TestBroken:
    @pytest.fixture
    def plain(self, clips) -> Path:
        return clips.once("whole.mp4", seconds=10.0)

    @DECODERS
    def test_truncated_with_the_index_at_the_end(self, plain: Path, decode) -> None:
        content = plain.read_bytes()
        assert _reason(decode, content[: len(content) * 6 // 10]) == "unreadable"

    @DECODERS
    @pytest.mark.parametrize(("suffix", "options"), [("mp4", {"movflags": "+faststart"}), ("mkv", {})])
    def test_truncated_where_it_is_needed(self, clips, plain: Path, decode, suffix: str, options: dict) -> None:
        content = clips.remux(plain, f"front.{suffix}", **options).read_bytes()
        assert _reason(decode, content[: len(content) * 4 // 10]) == "corrupt"
        assert decode(content[: len(content) * 9 // 10]).moment == 5.0

    def test_garbage_at_the_moment(self, clips, plain: Path) -> None:
        content = bytearray(clips.remux(plain, "garbled.mp4", movflags="+faststart").read_bytes())
        middle = len(content) // 2
        content[middle - 30_000 : middle] = np.random.default_rng(0).bytes(30_000)
        assert _reason(decode_clip, bytes(content)) == "corrupt"

    def test_a_stream_that_appears_on_the_way_ends_the_data(self, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """PyAV knows no stream that the header did not announce, and says IndexError where damage looks like one."""

        class Torn:
            def __init__(self, container: av.container.InputContainer) -> None:
                self.container = container

            def __getattr__(self, name: str) -> object:
                return getattr(self.container, name)

            def demux(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
                yield from islice(self.container.demux(*streams), 10)
                raise IndexError("list index out of range")

        monkeypatch.setattr(media_file, "open_container", lambda content: Torn(open_container(content)))
        assert _reason(decode_clip, plain) == "corrupt"

    def test_a_rate_that_nobody_records_with_is_refused(self) -> None:
        """Its three seconds would take 24 GB."""
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="matroska") as container:
            video = container.add_stream("mpeg4", rate=10)
            video.width = video.height = 64
            audio = container.add_stream("pcm_s16le", rate=2_000_000_000, layout="mono")
            for value in range(40):
                container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), value, np.uint8))))
            frame = av.AudioFrame.from_ndarray(np.full((1, 200_000), 1000, np.int16), "s16", "mono")
            frame.sample_rate = 2_000_000_000
            container.mux(audio.encode(frame))
        assert _reason(decode_clip, buffer.getvalue()) == "corrupt"

    @DECODERS
    def test_missing_streams(self, clips, plain: Path, decode) -> None:
        assert _reason(decode, clips.remux(plain, "mute.mp4", an=None)) == "no_audio"
        assert _reason(decode, clips.remux(plain, "blind.mp4", vn=None)) == "no_video"

    @DECODERS
    def test_cover_art_is_no_moving_image(self, clips, plain: Path, decode) -> None:
        opened = file_input(plain)
        cover = opened.video.filter("select", "eq(n,0)")
        options = {"c:v": "mjpeg", "frames:v": 1, "disposition:v:0": "attached_pic"}
        assert _reason(decode, clips.join(opened.audio, cover, name="song.m4a", format="mp4", **options)) == "no_video"

    @DECODERS
    def test_too_short(self, clips, decode) -> None:
        path = clips.plain("moment.mp4", seconds=0.4)
        assert _reason(decode, path) == "too_short"
        assert decode(path, DecodeOptions(minimum_seconds=0.2)).moment == pytest.approx(0.2, abs=0.02)

    @DECODERS
    def test_a_playlist_is_not_followed(self, plain: Path, tmp_path: Path, decode) -> None:
        for name, text in (
            ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{plain}\n#EXT-X-ENDLIST\n"),
            ("list.mp4", f"ffconcat version 1.0\nfile '{plain}'\n"),
        ):
            (tmp_path / name).write_text(text)
            assert _reason(decode, tmp_path / name) == "unreadable"

    @DECODERS
    def test_what_is_no_file(self, tmp_path: Path, decode) -> None:
        assert _reason(decode, tmp_path / "missing.mp4") == "unreadable"
        assert _reason(decode, tmp_path) == "unreadable"

    def test_nothing_stays_open(self, plain: Path) -> None:
        def opened() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        decode_clip(plain)
        before = opened()
        for _ in range(5):
            decode_clip(plain)
        _reason(decode_clip, b"nothing")
        assert opened() == before


def test_a_run_of_large_packets_is_not_calm() -> None:
    """The look at bits only spares the comparison; it must not call a moving image calm for its keyframe's sake."""
    keyframe, small = av.Packet(50_000), av.Packet(40)
    keyframe.is_keyframe = True
    keyframe.pts, small.pts = 0, 10
    assert Run([keyframe, small], 10, small, keyframe, passed=True, timed=True).is_calm(25, 640 * 360)
    large = av.Packet(5_000)
    large.pts = 11
    assert not Run([keyframe, small, large], 11, large, keyframe, passed=True, timed=True).is_calm(25, 640 * 360)
