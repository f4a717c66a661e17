"""Videos whose data end before the header says, or whose header does not say the truth of its length."""

import io
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import moving
import numpy as np
import pytest
from decoded import DECODERS, verdict
from moving import Form

from pipeline.media import recording
from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg import binary, file_input
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.matroska_index import has_index
from pipeline.media.promised import ASF_FILE_PROPERTIES

FORMS = [
    Form("matroska", "libx264", 2), Form("flv", "flv"), Form("asf", "wmv2"), Form("avi", "mpeg4"),
    Form("mxf", "mpeg2video", 2),
]  # fmt: skip
NEEDED = DecodeOptions(moment=2.6)  # of 4.33 s; the sound is needed up to 4.1 s
MATROSKA_CUES = b"\x1c\x53\xbb\x6b"
MATROSKA_DURATION = b"\x44\x89\x88"  # the name of the element, and that eight bytes follow


def _cut(content: bytes, fraction: float) -> bytes:
    return content[: int(len(content) * fraction)]


def _zeroed(content: bytes, fraction: float, index: int) -> bytes:
    """As a download leaves it that filled the file before it was broken off; the last bytes stay."""
    kept = int(len(content) * fraction)
    return content[:kept] + bytes(len(content) - kept - index) + content[len(content) - index :]


@pytest.fixture(params=FORMS, ids=str)
def whole(request: pytest.FixtureRequest, tmp_path: Path, clip_maker: ModuleType) -> bytes:
    moving.write(tmp_path / "whole", request.param, clip_maker)
    return (tmp_path / "whole").read_bytes()


class TestCutOff:
    def test_in_the_middle_of_the_sound_that_is_needed(self, whole: bytes) -> None:
        assert decode_clip(whole, NEEDED).flags == ()
        for decode in (decode_clip, decode_clip_ffmpeg):
            for fraction in (0.65, 0.8):  # the image of the moment is lost as well, and it is there
                assert verdict(decode, _cut(whole, fraction), NEEDED) == "corrupt"

    def test_zeros_in_place_of_what_is_missing(self, whole: bytes) -> None:
        assert verdict(decode_clip, _zeroed(whole, 0.8, 0), NEEDED) == "corrupt"

    def test_behind_what_is_needed(self, whole: bytes) -> None:
        options = DecodeOptions(moment=1.55)
        expected, clip = decode_clip(whole, options), decode_clip(_cut(whole, 0.9), options)
        assert (clip.moment, clip.flags) == (1.55, expected.flags)
        assert np.array_equal(clip.waveform, expected.waveform)

    def test_the_moment_is_that_of_the_whole(self, whole: bytes) -> None:
        """What is left is no clip of its own: its middle is not the middle that was meant."""
        meant = decode_clip(whole)
        cut = decode_clip(_cut(whole, 0.93))
        assert (cut.moment, cut.duration) == (meant.moment, meant.duration)
        assert np.array_equal(cut.frame, meant.frame)


@DECODERS
@pytest.mark.parametrize("suffix", ["mkv", "avi", "wmv", "flv"])
@pytest.mark.parametrize("shorter", ["image", "sound"])
def test_one_stream_that_is_shorter_by_itself(clips, decode, suffix: str, shorter: str) -> None:
    """No file was cut off where the other stream goes on up to the end."""
    long = file_input(clips.once("ten_seconds.mp4", seconds=10.0))
    short = file_input(clips.once("four_seconds.mp4", seconds=4.0))
    video, audio = (short.video, long.audio) if shorter == "image" else (long.video, short.audio)
    codec = {"wmv": "wmv2", "flv": "flv"}.get(suffix, "mpeg4")
    name = f"short_{shorter}.{suffix}"
    clip = decode(clips.join(video, audio, name=name, vcodec=codec, acodec="mp2" if suffix == "avi" else "aac"))
    assert clip.moment == 5.0
    assert ("tiled" in clip.flags) == (shorter == "sound")


def _slides(clips, rate: str, sound: float, suffix: str) -> Path:
    """A slide show of ten seconds, whose music ends earlier."""
    shown = file_input(clips.once("ten_seconds.mp4", seconds=10.0))
    codecs = {"wmv": ("wmv2", "wmav2"), "flv": ("flv", "aac"), "mxf": ("mpeg2video", "pcm_s16le")}
    vcodec, acodec = codecs.get(suffix, ("mpeg4", "mp2"))
    options = {"r": rate, "vcodec": vcodec, "acodec": acodec, "ar": 48000 if suffix == "mxf" else 44100}
    music = shown.audio.filter("atrim", end=sound)
    name = f"slides_{rate.replace('/', '_')}_{sound:g}.{suffix}"
    return clips.join(shown.video.filter("fps", rate), music, name=name, **options)


@pytest.mark.parametrize("suffix", ["wmv", "flv", "mkv", "avi", "nut"])
@pytest.mark.parametrize(("rate", "sound"), [("1/5", 6.0), ("1/2", 6.0), ("1", 3.0)])
def test_a_last_image_that_is_shown_for_long(clips, suffix: str, rate: str, sound: float) -> None:
    """ASF and FLV do not state how long it is; sound and the image's beginning are both well before the end."""
    content = _slides(clips, rate, sound, suffix).read_bytes()
    for decode in (decode_clip, decode_clip_ffmpeg):
        clip = decode(content)
        assert (clip.moment, clip.flags[-1]) == (pytest.approx(5.0, abs=0.1), "silent" if sound == 3.0 else "tiled")


def test_one_image_is_a_whole_video_while_its_sound_goes_on(clips) -> None:
    content = _slides(clips, "1/10", 6.0, "wmv").read_bytes()
    assert "tiled" in decode_clip(content).flags


@pytest.mark.parametrize(
    ("suffix", "rate"), [("wmv", "1/5"), ("mkv", "1/5"), ("avi", "1/5"), ("avi", "1"), ("wmv", "1")]
)
def test_slides_that_were_cut_off(clips, suffix: str, rate: str) -> None:
    """The file is smaller than it says: there is no doubt that lets a last image stay, or sound end by itself."""
    content = _slides(clips, rate, 9.0, suffix).read_bytes()
    decode_clip(content)
    for fraction in (0.3, 0.4):
        assert verdict(decode_clip, _cut(content, fraction)) == "corrupt"


def _held(content: bytes, first: int) -> bytes:
    """An AVI whose images from `first` on are the one before, still shown: in its index they have 0 bytes."""
    held, place, index = bytearray(content), content.index(b"movi") + 4, content.rindex(b"idx1")
    for number in range(content.count(b"00dc", place, index)):
        place = content.index(b"00dc", place) + 4
        if number >= first:
            held[place - 4 : place] = b"JUNK"
    entries = [at for at in range(index + 8, len(content), 16) if content[at : at + 4] == b"00dc"]
    for at in entries[first:]:
        held[at + 12 : at + 16] = bytes(4)
    return bytes(held)


def test_an_avi_whose_last_images_are_the_one_before_still_shown(clips) -> None:
    whole = _slides(clips, "25", 4.5, "avi").read_bytes()
    held = _held(whole, 110)
    assert "tiled" in decode_clip(held).flags
    assert verdict(decode_clip, held.replace(b"idx1", b"JUNK")) == "corrupt"


def _in_pipe(source: Path, *options: str) -> bytes:
    command = [binary(), "-v", "error", "-i", source, *options, "-f", "avi", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _with_counts(content: bytes, count: int) -> bytes:
    """An AVI that counts so many images."""
    patched = bytearray(content)
    for place in (content.index(b"avih") + 24, content.index(b"vids") + 32):
        struct.pack_into("<I", patched, place, count)
    return bytes(patched)


@pytest.mark.parametrize("decode", [decode_clip, decode_clip_ffmpeg])
def test_an_avi_out_of_a_pipe_is_as_long_as_its_data(clips, decode) -> None:
    """ffmpeg leaves 2^30 images in it. The image may be the longer one, or the sound."""
    source = clips.once("ten_seconds.mp4", seconds=10.0)
    content = _in_pipe(source, "-c:v", "mpeg4", "-c:a", "mp2", "-af", "atrim=end=4")
    clip = decode(content, DecodeOptions(moment=9.0))
    assert (clip.duration, clip.moment) == (pytest.approx(10.0, abs=0.1), 9.0)
    clip = decode(_in_pipe(source, "-c:v", "mpeg4", "-c:a", "mp2", "-t", "3"))
    assert (clip.duration, clip.flags) == (pytest.approx(3.0, abs=0.1), ())


@pytest.mark.parametrize("count", [0, 1 << 30, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 10_000_000])
def test_counts_of_images_that_stand_for_none_or_are_absurd(clips, count: int) -> None:
    content = _with_counts(_slides(clips, "25", 10.0, "avi").read_bytes(), count)
    clip = decode_clip(content, DecodeOptions(moment=9.0))
    assert (clip.duration, clip.moment) == (pytest.approx(10.0, abs=0.1), 9.0)


def test_a_length_beyond_all_a_file_of_its_size_can_hold(clips) -> None:
    content = bytearray(_slides(clips, "25", 10.0, "wmv").read_bytes())
    place = content.index(ASF_FILE_PROPERTIES) + 24
    content[place + 40 : place + 48] = b"\xff" * 8
    assert decode_clip(bytes(content)).duration == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("seconds", [0.0, -5.0, 3.0, float("nan")])
def test_a_length_that_the_data_of_a_matroska_file_contradict(clips, seconds: float) -> None:
    content = clips.remux(clips.once("ten_seconds.mp4", seconds=10.0), "ten_seconds.mkv").read_bytes()
    place = content.index(MATROSKA_DURATION) + len(MATROSKA_DURATION)
    clip = decode_clip(content[:place] + struct.pack(">d", seconds * 1000) + content[place + 8 :])
    assert (clip.moment, clip.duration) == (5.0, pytest.approx(10.0, abs=0.05))


class _Counted(io.BytesIO):
    """A file that counts the bytes read of it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        _Counted.count += len(piece)
        return piece


def _without_index(content: bytes, how: str) -> bytes:
    place = content.rindex(MATROSKA_CUES)
    match how:
        case "cut off before it":
            return content[:place]
        case "free room":  # as a live writer leaves it
            return content[:place] + b"\xec" + content[place + 4 : place + 5] + content[place + 5 :]
        case "nowhere named":
            entry = content.index(b"\x53\xab\x84" + MATROSKA_CUES) - 3  # its own name and length
            return content[:entry] + bytes([0xEC, content[entry + 2] + 1]) + content[entry + 2 :]
        case _:
            return content


@pytest.mark.parametrize("how", ["cut off before it", "free room", "nowhere named", "whole"])
def test_a_matroska_file_is_not_read_whole_for_its_length(clips, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Without an index ffmpeg would go through all of it to its end; with one a wrong length is found out."""
    long = clips.remux(clips.once("one_minute.mp4", seconds=60.0), "one_minute.mkv").read_bytes()
    content = _without_index(long, how)
    monkeypatch.setattr(recording, "nameless", _Counted)
    monkeypatch.setattr(_Counted, "count", 0)
    clip = decode_clip(content)
    assert (clip.moment, clip.duration) == (5.0, pytest.approx(60.0, abs=0.1))
    assert _Counted.count < len(long) / 2


@pytest.mark.parametrize("options", [{"reserve_index_space": 20_000}, {"cues_to_front": 1}, {}])
def test_the_index_of_a_matroska_file_lies_before_or_behind_the_data(clips, options: dict[str, int]) -> None:
    name = "_".join(["index", *options])
    content = clips.remux(clips.once("ten_seconds.mp4", seconds=10.0), f"{name}.mkv", **options).read_bytes()
    (handle := io.BytesIO(content)).seek(7)
    assert (has_index(handle), handle.tell()) == (True, 7)
    content = content.replace(MATROSKA_CUES, b"\x1c\x53\xbb\x6a")
    assert not has_index(io.BytesIO(content))
    assert not any(has_index(io.BytesIO(content[:size])) for size in range(0, 400, 7))


@pytest.mark.parametrize("count", [1, 2])
def test_a_length_of_an_mp4_that_was_never_filled_in(clips, count: int) -> None:
    """Of the first stream, or of both."""
    content, place = bytearray(clips.once("ten_seconds.mp4", seconds=10.0).read_bytes()), 0
    for _ in range(count):
        place = content.index(b"mdhd", place) + 4
        content[place + 16 : place + 20] = bytes(4)
    clip = decode_clip(bytes(content))
    assert (clip.moment, clip.duration) == (5.0, pytest.approx(10.0, abs=0.05))


def test_an_avi_that_lacks_only_its_index(clips) -> None:
    content = clips.join(
        *(file_input(clips.once("ten_seconds.mp4", seconds=10.0))[kind] for kind in "va"), name="ten_seconds.avi"
    ).read_bytes()
    clip = decode_clip(content[: content.rindex(b"idx1")])
    assert (clip.moment, clip.duration) == (5.0, pytest.approx(10.0, abs=0.1))


def test_a_header_that_points_beyond_all_files_is_unreadable(tmp_path: Path, clip_maker: ModuleType) -> None:
    moving.write(tmp_path / "whole", Form("nut", "mpeg4", 2), clip_maker)
    content = (tmp_path / "whole").read_bytes()[:-12]
    (tmp_path / "broken").write_bytes(content + (-(2**62)).to_bytes(8, signed=True) + bytes(4))
    assert verdict(decode_clip, tmp_path / "broken") == "unreadable"
