"""Recordings that were joined, cut or begun in the middle: frames and sound of a full decode, in both decoders."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType

import moving
import numpy as np
import pytest
from moving import Form, Part

from pipeline.media.decode import DecodedClip, DecodeOptions, decode_clip
from pipeline.media.ffmpeg import file_input
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.reader import MediaFile
from pipeline.media.still import AudioFile
from pipeline.shards.record import Rejected

DECODERS = pytest.mark.parametrize("decode", [decode_clip, decode_clip_ffmpeg])
JOINED = [Form("matroska", "libx264", 2, True), Form("webm", "libvpx")]
STREAMS = [Form("mpegts", "libx264", 2, True), Form("mpegts", "mpeg2video", 2), Form("mpeg", "mpeg2video", 2, True)]
LENGTH, RATE = 130, 11025
ALREADY = LENGTH / moving.FPS  # seconds of the first of two parts


@pytest.fixture
def written(tmp_path: Path, clip_maker: ModuleType) -> Callable[..., bytes]:
    """The bytes of a video of a form, or of several of them one after the other."""

    def write(form: Form, *parts: object, **options: str) -> bytes:
        content = b""
        for part in parts or (Part(),):
            moving.write(tmp_path / "part", form, clip_maker, part, **options)
            content += (tmp_path / "part").read_bytes()
        return content

    return write


def _shown(content: bytes, clips: ModuleType) -> list[tuple[float, int]]:
    with MediaFile(content) as media:
        return [(seconds, clips.number_of(media.pixels(frame, 0)[0])) for seconds, frame in media.frames()]


def _check_moments(content: bytes, frames: list[tuple[float, int]], clips: ModuleType) -> None:
    """Every 13th frame, which meets each place in a group of twelve; every 65th with the second decoder too."""
    with MediaFile(content) as media:
        for place, (seconds, number) in enumerate(frames[:-10:13]):
            image = media.frame_at(seconds + 0.01)
            assert (clips.number_of(image.pixels), image.seconds) == (number, pytest.approx(seconds, abs=2e-3))
            if place % 5 == 0 and 0 < seconds + 0.01 < media.facts.duration:
                clip = decode_clip_ffmpeg(content, DecodeOptions(moment=seconds + 0.01, short_side=0))
                assert (clips.number_of(clip.frame), clip.frame_pts) == (number, pytest.approx(seconds, abs=2e-3))


def _is_regular(frames: list[tuple[float, int]], rate: float = moving.FPS) -> bool:
    return bool(np.allclose(np.diff([seconds for seconds, _ in frames]), 1 / rate, atol=2e-3))


def _pitches(clip: DecodedClip) -> list[float]:
    """In six parts of the span, to about 2 Hz; 0 for silence."""
    parts = np.array_split(clip.waveform, 6)
    spectra = [np.abs(np.fft.rfft(part * np.hanning(len(part)), 65536)) for part in parts]
    return [float(one.argmax() * RATE / 65536) if np.abs(part).max() > 0.05 else 0.0
            for one, part in zip(spectra, parts, strict=True)]  # fmt: skip


@pytest.mark.parametrize("form", STREAMS, ids=str)
@pytest.mark.parametrize("before", [2.0, 1 / 15])
def test_a_clock_of_33_bits_runs_over(written, clip_maker, form: Form, before: float) -> None:
    begin = round((2**33 / 90000 - before) * moving.FPS) / moving.FPS
    content = written(form, Part(begin=begin))
    frames = _shown(content, clip_maker)
    assert [number for _, number in frames] == form.numbers
    assert _is_regular(frames)
    _check_moments(content, frames, clip_maker)


@pytest.mark.parametrize("form", [*STREAMS, Form("mpegts", "libx265", 3, True, gop=60)], ids=str)
def test_a_stream_from_the_middle_of_a_group_of_images(written, clip_maker, form: Form) -> None:
    content = written(form)
    unit = 188 if form.container == "mpegts" else 2048
    content = content[len(content) // 3 // unit * unit :]
    frames = _shown(content, clip_maker)
    assert [number for _, number in frames] == list(range(frames[0][1], LENGTH))
    assert len(frames) > LENGTH // 3
    assert _is_regular(frames)
    _check_moments(content, frames, clip_maker)


@pytest.mark.parametrize(
    ("form", "begin"), [*product(STREAMS, [0.0, ALREADY - 0.5]), *((form, 0.0) for form in JOINED)], ids=str
)
def test_the_second_of_two_joined_has_a_clock_of_its_own(written, clip_maker, form: Form, begin: float) -> None:
    content = written(form, Part(), Part(first=LENGTH - 10, begin=begin, hertz=880.0))
    frames = _shown(content, clip_maker)
    assert [number for _, number in frames] == [*range(LENGTH), *range(LENGTH - 10, 2 * LENGTH - 10)]
    assert _is_regular(frames)
    _check_moments(content, frames, clip_maker)
    heard = ((ALREADY - 1.6, [440.0] * 6), (ALREADY, [440.0] * 3 + [880.0] * 3), (ALREADY + 2.5, [880.0] * 6))
    for moment, pitches in heard:  # the end of the first part is not overlaid by the second
        options = DecodeOptions(moment=moment)
        clips = [decode(content, options) for decode in (decode_clip, decode_clip_ffmpeg)]
        for clip in clips:
            assert _pitches(clip)[:2] + _pitches(clip)[4:] == pytest.approx(pitches[:2] + pitches[4:], abs=3)
            assert (clip.duration, clip.flags) == (pytest.approx(2 * ALREADY, abs=0.05), ())
        assert np.abs(clips[0].waveform - clips[1].waveform).max() < 1e-4


@pytest.mark.parametrize(
    ("kind", "codec", "sound"),
    [
        ("mpegts", "libx264", "ac3"),
        ("avi", "mjpeg", "pcm_s16le"),
        ("nut", "mpeg4", "libmp3lame"),
        ("mp4", "libx264", "aac"),
    ],
)
def test_both_decoders_hear_the_same_samples(tmp_path: Path, clips, kind: str, codec: str, sound: str) -> None:
    source = clips.once("plain.mp4")
    content = clips.remux(source, f"{kind}-{sound}", **{"c:v": codec, "c:a": sound, "ac": 1, "ar": 48000}, format=kind)
    for moment in (0.3, 3.0, 5.8):
        one, other = (decode(content, DecodeOptions(moment=moment)) for decode in (decode_clip, decode_clip_ffmpeg))
        assert np.abs(one.waveform - other.waveform).max() < 1e-3
        assert (one.flags, one.duration, one.frame_pts) == (other.flags, other.duration, pytest.approx(other.frame_pts))


COARSE = {  # seconds of one step of the container's clock
    Form("matroska", "mjpeg"): 1e-3, Form("webm", "libvpx"): 1e-3, Form("flv", "flv"): 1e-3, Form("asf", "wmv2"): 1e-3,
    Form("mpegts", "mpeg2video"): 1 / 90_000, Form("mp4", "mjpeg"): 1 / 44_100,
}  # fmt: skip


@pytest.mark.parametrize("form", COARSE, ids=str)
def test_sound_lies_where_it_belongs_to_a_step_of_the_clock(tmp_path: Path, clip_maker, form: Form) -> None:
    """Matroska, WebM, FLV and ASF round the time of every frame to a millisecond, and ffmpeg counts on from the frame
    that it begins with: what it gives may differ by a step, and by no more."""
    moving.write(tmp_path / "video", form, clip_maker)
    late = []
    for moment in (1.7, 2.2501, 2.7):
        for decode in (decode_clip, decode_clip_ffmpeg):
            heard = decode(tmp_path / "video", DecodeOptions(moment=moment)).waveform[8000:24000]
            times = moment - 1.5 + np.arange(8000, 24000) / RATE
            late.append(-float(np.angle(1j * np.sum(heard * np.exp(-2j * np.pi * 440 * times)))) / (2 * np.pi * 440))
    assert max(late) - min(late) <= COARSE[form] + 5e-5


def test_a_clock_that_counts_images_moves_no_sound(clips) -> None:
    options = {"c:v": "mpeg2video", "c:a": "pcm_s16le", "ar": 48000, "ac": 1, "s": "720x576", "r": 25, "g": 12}
    content = clips.remux(clips.once("plain.mp4"), "fields.gxf", **options, format="gxf")
    for moment in (2.003, 4.1):
        one, other = (decode(content, DecodeOptions(moment=moment)) for decode in (decode_clip, decode_clip_ffmpeg))
        assert np.abs(one.waveform - other.waveform).max() < 1e-4
        assert one.frame_pts == pytest.approx(other.frame_pts, abs=1e-6)


def test_an_image_that_is_shown_at_both_moments_stands_still(tmp_path: Path, clip_maker) -> None:
    path = tmp_path / "hole.mkv"
    moving.write(path, Form("matroska", "libx264", 2, gap=True), clip_maker)
    for moment, flags in ((3.4, ("static",)), (1.5, ()), (4.1, ())):
        assert [decode(path, DecodeOptions(moment=moment)).flags for decode in (decode_clip, decode_clip_ffmpeg)] == [
            flags
        ] * 2


def test_damage_behind_the_moment_is_not_seen(written) -> None:
    content = written(Form("mpegts", "libx264", 2))
    damaged = content[: len(content) * 8 // 10] + bytes(byte ^ 0x5A for byte in content[len(content) * 8 // 10 :])
    for decode in (decode_clip, decode_clip_ffmpeg):
        assert _pitches(decode(damaged, DecodeOptions(moment=1.6))) == pytest.approx([440.0] * 6, abs=3)


@DECODERS
def test_ogg_put_end_to_end_is_refused(clips, decode) -> None:
    recording = clips.remux(clips.once("plain.mp4"), "one.ogv", **{"c:v": "libtheora", "c:a": "flac"}).read_bytes()
    with pytest.raises(Rejected, match="end to end"):
        decode(recording + recording)


@pytest.mark.parametrize("rates", [(48000, 44100), (48000, 48000)])
def test_sounds_in_ogg_put_end_to_end_are_refused(clips, rates: tuple[int, int]) -> None:
    whole = file_input(clips.once("plain.mp4")).audio
    parts = [clips.join(whole, name=f"part-{rate}.ogg", acodec="libvorbis", ar=rate).read_bytes() for rate in rates]
    with AudioFile(parts[0]) as media:
        assert media.facts.duration == pytest.approx(6.0, abs=0.1)
    with pytest.raises(Rejected, match="end to end"), AudioFile(b"".join(parts)) as media:
        assert media.facts


@DECODERS
@pytest.mark.parametrize("form", STREAMS, ids=str)
def test_the_rate_of_the_sound_changes_on_the_way(written, clip_maker, form: Form, decode) -> None:
    content = written(form, Part(), Part(first=LENGTH - 10, begin=ALREADY, rate=48000, hertz=880.0))
    for moment, pitches in ((2.0, [440.0] * 6), (ALREADY, [440.0] * 3 + [880.0] * 3), (6.5, [880.0] * 6)):
        clip = decode(content, DecodeOptions(moment=moment, short_side=0))
        assert _pitches(clip)[1:5] == pytest.approx(pitches[1:5], abs=15)
        expected = [number for seconds, number in _shown(content, clip_maker) if seconds <= moment][-1]
        assert clip_maker.number_of(clip.frame) == expected


@DECODERS
def test_the_size_of_the_images_changes_on_the_way(written, clip_maker, monkeypatch, decode) -> None:
    form = Form("mpegts", "libx264", 2)
    content = written(form)
    sizes = {"WIDTH": 256, "HEIGHT": 160, "CELL": 32}
    with monkeypatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(clip_maker, name, size)
        content += written(form, Part(first=LENGTH - 10, begin=ALREADY))
    assert decode(content, DecodeOptions(moment=4.0, short_side=0)).frame.shape == (128, 192, 3)
    clip = decode(content, DecodeOptions(moment=6.0, short_side=0))
    assert clip.frame.shape == (160, 256, 3)
    assert clip.frame_pts == pytest.approx(6.0, abs=1 / moving.FPS)


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "dash", "cmaf"])
@pytest.mark.parametrize("form", [Form("mp4", "libx264", 2, True), Form("mov", "libx265", 3, True)], ids=str)
def test_an_index_in_fragments(written, clip_maker, form: Form, flags: str) -> None:
    content = written(form, movflags=flags)
    frames = _shown(content, clip_maker)
    assert [number for _, number in frames] == form.numbers
    assert _is_regular(frames)
    _check_moments(content, frames, clip_maker)


@DECODERS
@pytest.mark.parametrize(("kind", "codec"), [("h264", "libx264"), ("hevc", "libx265"), ("mpeg2video", "mpeg2video")])
def test_a_raw_stream_has_no_sound(clips, kind: str, codec: str, decode) -> None:
    raw = clips.remux(clips.once("plain.mp4"), f"raw.{kind}", an=None, c=codec, format=kind)
    with pytest.raises(Rejected) as refused:
        decode(raw, DecodeOptions())
    assert refused.value.reason == "no_audio"
