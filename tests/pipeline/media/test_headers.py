"""The data are believed where a header's number says otherwise: lengths, rates, channels, sample formats."""

import io
import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.media.announced import PLACEHOLDERS
from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.encode import encode_video
from pipeline.media.ffmpeg import file_input
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.layouts import mixed, mixing_weights
from pipeline.media.reader import MediaFile
from pipeline.media.still import decode_pair
from pipeline.shards.record import Rejected

RATE = 11025
SCALES = {">i2": 2**15 - 1, ">i4": 2**31 - 1}  # what of each type stands for 1
CASES = Path(__file__).parents[4] / "shared" / "cases"
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:50,000 --> 00:01:00,000\nb\n"
DECODERS = pytest.mark.parametrize("decode", [decode_clip, decode_clip_ffmpeg])


def _image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 40, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def _encoded(kind: str, codec: str, parts: list[tuple[int, str, np.ndarray]]) -> bytes:
    """Parts of (rate, layout, float32 (n,)), each encoded for itself, their packets one after the other."""
    found = b""
    for rate, layout, samples in parts:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=kind) as out:
            stream = out.add_stream(codec, rate=rate, layout=layout)
            stream.bit_rate = 96_000
            both = np.stack([samples] * (2 if layout == "stereo" else 1))
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(both), format="fltp", layout=layout)
            frame.sample_rate = rate
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        found += buffer.getvalue()
    return found


class _Pipe(io.BytesIO):
    """What a writer cannot go back in."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("a pipe")


def _written(kind: str, target: io.BytesIO, **options: str) -> bytes:
    """Ten seconds of a rising tone, 16 kHz, not compressed where the format can, in 16 bits."""
    codec = {"au": "pcm_s16be", "aiff": "pcm_s16be", "caf": "pcm_s16be", "flac": "flac"}.get(kind, "pcm_s16le")
    with av.open(target, "w", format=kind, options=options) as out:
        stream = out.add_stream(codec, rate=16000, layout="mono")
        samples = (30000 * _chirp(0, 10, 16000)).astype(np.int16)
        for begin in range(0, len(samples), 4096):
            part = np.ascontiguousarray(samples[None, begin : begin + 4096])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, begin
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target.getvalue()


def _chirp(begin: float, seconds: float, rate: int) -> np.ndarray:
    """A tone that rises 200 Hz a second from 500 Hz on."""
    times = begin + np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (500 * times + 100 * times**2))).astype(np.float32)


def _pitch(waveform: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))).argmax() * RATE / len(waveform))


def _chunk(raw: bytes) -> bytes:
    return struct.pack(">4sI", b"data", len(raw)) + raw


def _with_size(kind: str, size: int, has_header: bool) -> bytes:
    """Three seconds at 16 kHz in 16 bits under a header that says another number of bytes of sound; of the whole file
    as much, or its own bytes as well. What has no room is cut off, or is the largest number."""
    order = "<" if kind == "wav" else ">"
    raw = (32767 * _chirp(0, 3, 16000)).astype(order + "i2").tobytes()
    if kind == "au":
        return struct.pack(">4s5I", b".snd", 24, size, 3, 16000, 1) + raw
    form = struct.pack(">hIhHQ", 1, size // 2 & 0xFFFFFFFF, 16, 16383 + 13, 16000 << 50)  # the rate as 80-bit float
    form += struct.pack(">4sH", b"NONE", 0) if kind == "aifc" else b""
    head = {
        "wav": b"WAVE" + struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", size),
        "aiff": b"AIFF" + struct.pack(">4sI", b"COMM", len(form)) + form + _sound_of_aiff(size),
        "aifc": b"AIFC" + struct.pack(">4sI", b"COMM", len(form)) + form + _sound_of_aiff(size),
    }[kind]
    whole = min(size + len(head) * has_header, 0xFFFFFFFF)
    return (b"RIFF" if kind == "wav" else b"FORM") + struct.pack(order + "I", whole) + head + raw


def _sound_of_aiff(size: int) -> bytes:
    return struct.pack(">4s3I", b"SSND", min(size + 8, 0xFFFFFFFF), 0, 0)


def _marked(content: bytearray) -> bytes:
    """An mp4 with its index at the end, and the box of first-order ambisonic sound in its sound's entry."""
    box = struct.pack(">I4sBBIBBI4I", 36, b"SA3D", 0, 0, 1, 0, 0, 4, 0, 1, 2, 3)
    entry = content.index(b"mp4a", content.index(b"stsd", content.index(b"soun"))) - 4
    after = entry + int.from_bytes(content[entry : entry + 4])
    content[after:after] = box
    begins = [entry, *(content.rindex(name, 0, entry) - 4 for name in (b"stsd", b"stbl", b"minf", b"mdia", b"trak"))]
    for begin in (*begins, content.rindex(b"moov", 0, entry) - 4):
        content[begin : begin + 4] = (int.from_bytes(content[begin : begin + 4]) + len(box)).to_bytes(4)
    return bytes(content)


class TestLength:
    @staticmethod
    def _wave() -> bytes:
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as handle:
            handle.setparams((1, 2, 16000, 0, "NONE", ""))
            handle.writeframes((30000 * _chirp(0, 10, 16000)).astype("<i2").tobytes())
        return buffer.getvalue()

    @pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFF0000, 640_000])
    def test_a_size_beyond_the_file_is_until_the_end(self, size: int) -> None:
        whole = self._wave()
        piped = whole[:4] + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + whole[8:40] + struct.pack("<I", size)
        piped += whole[44:]
        expected, found = decode_pair(_image(), whole), decode_pair(_image(), piped)
        assert np.array_equal(found.waveform, expected.waveform)
        assert (found.moment, found.duration, found.flags) == (expected.moment, expected.duration, expected.flags)

    @pytest.mark.parametrize("frame", [2, 12, 64])
    @pytest.mark.parametrize("has_header", [False, True])
    @pytest.mark.parametrize("kind", ["wav", "aiff", "aifc"])
    @pytest.mark.parametrize("size", PLACEHOLDERS)
    def test_what_writers_leave_in_a_pipe(self, size: int, kind: str, has_header: bool, frame: int) -> None:
        self._check_three_seconds(_with_size(kind, size // frame * frame, has_header))

    @pytest.mark.parametrize("size", [size for size in PLACEHOLDERS if size != 1 << 31])
    def test_the_same_of_au_where_a_decoder_takes_no_other_negative_size(self, size: int) -> None:
        self._check_three_seconds(_with_size("au", size, False))

    @staticmethod
    def _check_three_seconds(piped: bytes) -> None:
        clip = decode_pair(_image(), piped)
        assert (clip.moment, clip.duration) == (pytest.approx(1.5), pytest.approx(3.0))
        assert np.abs(clip.waveform - _chirp(0, 3, RATE)).max() < 0.05

    @pytest.mark.parametrize("kind", ["wav", "aiff", "aifc", "au"])
    @pytest.mark.parametrize("size", [200_000, 1 << 30, 0x7E000000, 0x7F800000])
    def test_other_sizes_are_those_of_a_file_that_was_cut_off(self, size: int, kind: str) -> None:
        with pytest.raises(Rejected, match="announces"):
            decode_pair(_image(), _with_size(kind, size, True))

    @pytest.mark.parametrize("size", [0x90000000, 0xF0000000])
    def test_a_cut_off_file_of_more_than_two_gigabytes(self, size: int) -> None:
        with pytest.raises(Rejected, match="announces"):
            decode_pair(_image(), _with_size("wav", size, True))

    @pytest.mark.parametrize("kind", ["au", "wav", "rf64", "flac", "matroska", "caf"])
    def test_a_writer_that_could_not_go_back(self, kind: str) -> None:
        options = {"rf64": "always"} if kind == "rf64" else {}
        found = decode_pair(_image(), _written("wav" if kind == "rf64" else kind, _Pipe(), **options))
        assert (found.moment, found.duration) == (5.0, pytest.approx(10.0, abs=0.01))
        assert np.abs(found.waveform - decode_pair(_image(), self._wave()).waveform).max() < 0.02

    @pytest.mark.parametrize("kind", ["aiff", "w64"])
    def test_a_size_of_nothing_that_no_decoder_takes_is_refused(self, kind: str) -> None:
        with pytest.raises(Rejected) as refused:
            decode_pair(_image(), _written(kind, _Pipe()))
        assert refused.value.reason == "unreadable"

    @pytest.mark.parametrize(
        ("kind", "mark", "offset", "size"),
        [
            ("w64", b"data\xf3\xac\xd3\x11", 16, (2**40).to_bytes(8, "little")),
            ("wav", b"ds64", 16, (2**40).to_bytes(8, "little")),
            ("aiff", b"SSND", 4, (0x7FFFFFFF).to_bytes(4)),
            ("au", b".snd", 8, (0xFFFFFFFF).to_bytes(4)),
            ("caf", b"data", 4, (-1).to_bytes(8, signed=True)),
            ("caf", b"data", 4, (2**62).to_bytes(8)),
        ],
    )
    def test_a_size_beyond_the_file_is_until_its_end(self, kind: str, mark: bytes, offset: int, size: bytes) -> None:
        content = bytearray(_written(kind, io.BytesIO(), **({"rf64": "always"} if mark == b"ds64" else {})))
        place = content.index(mark) + offset
        content[place : place + len(size)] = size
        found, expected = decode_pair(_image(), bytes(content)), decode_pair(_image(), self._wave())
        assert np.array_equal(found.waveform, expected.waveform)
        assert (found.moment, found.duration, found.flags) == (expected.moment, expected.duration, expected.flags)

    @pytest.mark.parametrize("kind", ["wav", "rf64", "w64", "aiff", "au", "caf", "flac", "matroska", "mp3"])
    def test_what_was_cut_off_before_the_moment_is_refused(self, kind: str) -> None:
        options = {"rf64": "always"} if kind == "rf64" else {}
        whole = (
            _encoded("mp3", "libmp3lame", [(16000, "mono", _chirp(0, 10, 16000))])
            if kind == "mp3"
            else _written("wav" if kind == "rf64" else kind, io.BytesIO(), **options)
        )
        cut = whole[: len(whole) * 45 // 100]
        with pytest.raises(Rejected, match="announces"):
            decode_pair(_image(), cut)
        centre = decode_pair(_image(), cut, DecodeOptions(moment="centre"))  # no moment of the whole is meant
        assert (centre.moment, centre.duration) == (pytest.approx(2.2, abs=0.3), pytest.approx(4.4, abs=0.6))

    @pytest.mark.parametrize("kind", ["ogg", "adts"])
    def test_forms_that_state_no_length_are_taken_as_they_are(self, kind: str) -> None:
        codec, rate = {"ogg": ("libopus", 48000), "adts": ("aac", 16000)}[kind]
        whole = _encoded(kind, codec, [(rate, "mono", _chirp(0, 10, rate))])
        clip = decode_pair(_image(), whole[: len(whole) * 45 // 100])
        assert clip.moment == pytest.approx(clip.duration / 2)
        assert 3.5 < clip.duration < 5.5

    def test_a_count_of_frames_that_is_too_small(self) -> None:
        whole = _encoded("mp3", "libmp3lame", [(44100, "mono", _chirp(0, 6, 44100))])
        place = max(whole.find(b"Xing"), whole.find(b"Info")) + 8
        few = whole[:place] + (int.from_bytes(whole[place : place + 4]) // 2).to_bytes(4) + whole[place + 4 :]
        for moment in (3.0, 4.4):
            expected, found = (decode_pair(_image(), each, DecodeOptions(moment=moment)) for each in (whole, few))
            assert np.abs(found.waveform - expected.waveform).max() < 1e-3
            assert np.abs(found.waveform - _chirp(moment - 1.5, 3, RATE)).max() < 0.05

    @pytest.mark.parametrize("suffix", ["mkv", "mp4"])
    def test_subtitles_that_go_on_are_no_part_of_the_clip(self, clips, tmp_path: Path, suffix: str) -> None:
        (tmp_path / "long.srt").write_text(
            "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:50,000 --> 00:01:00,000\nb\n"
        )
        source, text = file_input(clips.once("spoken.mp4")), file_input(tmp_path / "long.srt")
        codec = "mov_text" if suffix == "mp4" else "srt"
        path = clips.join(source.video, source.audio, text, name=f"subtitled.{suffix}", c="copy", **{"c:s": codec})
        for decode in (decode_clip, decode_clip_ffmpeg):
            clip = decode(path)
            assert (clip.duration, clip.moment) == (pytest.approx(6.0, abs=0.05), pytest.approx(3.0, abs=0.03))


class TestHighByteFirst:
    """RIFX: a WAV whose numbers have their high byte first, those of its header as well."""

    @staticmethod
    def _rifx(kind: str, tag: int = 0) -> bytes:
        raw, bits = (_chirp(0, 10, 16000) * SCALES.get(kind, 1)).astype(kind).tobytes(), 8 * np.dtype(kind).itemsize
        tag = tag or (3 if "f" in kind else 1)
        form = struct.pack(">IHHIIHH", 16, tag, 1, 16000, 2000 * bits, bits // 8, bits)
        return struct.pack(">4sI4s4s", b"RIFX", 36 + len(raw), b"WAVE", b"fmt ") + form + _chunk(raw)

    @pytest.mark.parametrize("kind", [">i2", ">i4", ">f4", ">f8"])
    def test_its_samples_are_those_of_the_same_wav(self, kind: str) -> None:
        found = decode_pair(_image(), self._rifx(kind))
        assert (found.duration, found.flags) == (pytest.approx(10.0), ())
        assert np.abs(found.waveform - _chirp(3.5, 3, RATE)).max() < 0.01

    def test_one_that_was_cut_off_is_refused(self) -> None:
        with pytest.raises(Rejected, match="announces"):
            decode_pair(_image(), self._rifx(">i2")[:100_000])

    def test_what_is_more_than_plain_numbers_is_refused(self) -> None:
        with pytest.raises(Rejected, match="write it anew as WAV"):
            decode_pair(_image(), self._rifx(">i2", tag=2))


class TestChanges:
    @pytest.mark.parametrize(("kind", "codec"), [("mp3", "libmp3lame"), ("adts", "aac")])
    @pytest.mark.parametrize("second", [(48000, "mono"), (44100, "stereo"), (22050, "stereo")])
    def test_the_pitch_is_right_on_either_side(self, kind: str, codec: str, second: tuple[int, str]) -> None:
        content = _encoded(kind, codec, [(44100, "mono", _chirp(0, 5, 44100)), (*second, _chirp(5, 5, second[0]))])
        for moment in (2.5, 5.0, 7.5):
            heard = decode_pair(_image(), content, DecodeOptions(moment=moment)).waveform
            for begin in (0.0, 1.0, 2.0):
                middle = moment - 1.5 + begin + 0.25
                part = heard[round(begin * RATE) : round((begin + 0.5) * RATE)]
                assert _pitch(part) == pytest.approx(500 + 200 * middle, abs=30)

    def test_the_reported_file(self) -> None:
        folder = CASES / "mixed_rate_mp3"
        if not folder.is_dir():
            pytest.skip("the reported files are not in ../shared/cases")
        clip = decode_pair(folder / "frames/mixedrate5.jpg", folder / "audio/mixedrate5.mp3")
        assert _pitch(clip.waveform[:5512]) == pytest.approx(500 + 200 * 3.75, abs=15)
        assert _pitch(clip.waveform[-5512:]) == pytest.approx(500 + 200 * 6.25, abs=15)


class TestLayouts:
    def test_ambisonic_is_heard_through_w(self) -> None:
        first = [f"AMBI{number}" for number in range(4)]
        assert mixing_weights(first).tolist() == [1, 0, 0, 0]
        assert mixing_weights([f"AMBI{number}" for number in range(16)]).tolist() == [1] + [0] * 15
        assert mixing_weights([*first, "FL", "FR"]).tolist() == [0.5, 0, 0, 0, 0.25, 0.25]

    def test_opposite_phases_do_not_cancel(self) -> None:
        tone = _chirp(0, 1, RATE)
        assert np.array_equal(mixed(np.stack([tone, -tone]), ["FL", "FR"]), tone)
        assert np.allclose(mixed(np.stack([tone, 0 * tone]), ["FL", "FR"]), tone / 2)
        assert np.array_equal(mixed(np.stack([0 * tone, 0 * tone]), ["FL", "FR"]), 0 * tone)
        surround = np.zeros((6, len(tone)), np.float32)
        surround[3] = tone
        assert np.array_equal(mixed(surround, ["FL", "FR", "FC", "LFE", "SL", "SR"]), tone)

    @DECODERS
    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    def test_a_marked_file_to_the_right_and_behind(self, clips, clip_maker, decode, sign: float) -> None:
        tone = clip_maker.tone(6.0)
        path = clips.plain(f"phase{sign:+g}.mp4", waveform=np.stack([tone, sign * tone], axis=1))
        assert np.abs(decode(path).waveform).max() == pytest.approx(0.5, rel=0.1)

    @DECODERS
    @pytest.mark.parametrize("x", [-1.0, 1.0])
    def test_a_mark_of_spatial_audio_is_read_where_decoders_overlook_it(self, clips, clip_maker, decode, x) -> None:
        tone = clip_maker.tone(6.0)
        channels = np.stack([tone, x * tone, 0 * tone, x * tone], axis=1)
        path = clips.folder / f"spatial{x:+g}.mp4"
        encode_video(path, clip_maker.numbered_frames(150), 25, channels, audio_bitrate="320k")
        content = bytearray(path.read_bytes())
        assert np.abs(decode(_marked(content)).waveform).max() == pytest.approx(0.5, rel=0.1)


@DECODERS
@pytest.mark.parametrize(
    ("kind", "codec", "pixels"),
    [
        ("mp4", "libx264", "yuvj420p"), ("mp4", "libx264", "yuv420p10le"), ("mp4", "libx264", "yuv444p"),
        ("mp4", "libx265", "yuv420p12le"), ("matroska", "libx264rgb", "rgb24"), ("mov", "prores_ks", "yuva444p10le"),
        ("mov", "qtrle", "argb"), ("matroska", "ffv1", "gbrp16le"), ("mov", "mjpeg", "yuvj422p"),
    ],
)  # fmt: skip
def test_every_format_of_moving_images(tmp_path: Path, decode, kind: str, codec: str, pixels: str) -> None:
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[:, :32], colours[:, 32:64] = 255, (200, 40, 90)
    with av.open(str(tmp_path / "video"), "w", format=kind) as out:
        options = {"libx264": {"crf": "1"}, "libx265": {"x265-params": "crf=1:log-level=none"}}.get(codec, {})
        video, audio = out.add_stream(codec, rate=25, options=options), out.add_stream("aac", rate=48000, layout="mono")
        video.width, video.height, video.pix_fmt = 96, 64, pixels
        tone = av.AudioFrame.from_ndarray(_chirp(0, 2, 48000)[None], format="fltp", layout="mono")
        tone.sample_rate = 48000
        out.mux(audio.encode(tone))
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    found = decode(tmp_path / "video", DecodeOptions(short_side=0)).frame[32, [16, 48, 80]].astype(int)
    assert np.abs(found - colours[32, [16, 48, 80]]).max() <= 4


def test_the_reported_subtitles() -> None:
    path = CASES / "mkv_long_subtitles" / "longsubs_own.mkv"
    if not path.is_file():
        pytest.skip("the reported files are not in ../shared/cases")
    with MediaFile(path) as media:
        assert media.facts.duration == 8.0
