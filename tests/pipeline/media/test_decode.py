"""The moment a clip shows and the image at it, of videos made for the purpose."""

import shutil
from pathlib import Path

import av
import ffmpeg
import numpy as np
import pytest
from decoded import DECODERS, alike, shown, verdict

from pipeline.media.decode import DecodeOptions, decode_clip, is_static
from pipeline.media.ffmpeg import file_input
from pipeline.media.image import PacketRun
from pipeline.media.reader import MediaFile


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
        for moment, (pixels, began) in zip(moments, shown(path, moments), strict=True):
            clip = decode(path, DecodeOptions(moment=moment, short_side=0))
            assert clip.frame_pts == pytest.approx(began, abs=1e-3)
            assert clip_maker.number_of(clip.frame) == clip_maker.number_of(pixels)
            assert alike(clip.frame, pixels)

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
        assert alike(clip.frame, expected)
        assert (clip.source_height, clip.source_width) == expected.shape[:2]

    @DECODERS
    def test_mirrored(self, clips, decode) -> None:
        plain = clips.plain("unmirrored.mp4", seconds=2.0)
        path = clips.turned(plain, "mirrored.mp4", display_rotation=90, display_hflip=None)
        mirrored = decode(plain, DecodeOptions(short_side=0)).frame[:, ::-1]
        turned = decode(path, DecodeOptions(short_side=0)).frame
        assert alike(turned, np.rot90(mirrored, -1)) or alike(turned, np.rot90(mirrored, 1))
        assert alike(turned, decode_clip(path, DecodeOptions(short_side=0)).frame)

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
        assert verdict(decode_clip, clips.join(black, audio, name="wide_9000.mp4")) == "too_large"


def test_a_run_of_large_packets_is_not_calm() -> None:
    """The look at bits only spares the comparison; it must not call a moving image calm for its keyframe's sake."""
    keyframe, small = av.Packet(50_000), av.Packet(40)
    keyframe.is_keyframe = True
    keyframe.pts, small.pts = 0, 10
    assert PacketRun([keyframe, small], 10, small, keyframe, passed=True, timed=True).is_calm(25, 640 * 360)
    large = av.Packet(5_000)
    large.pts = 11
    assert not PacketRun([keyframe, small, large], 11, large, keyframe, passed=True, timed=True).is_calm(25, 640 * 360)
