"""The image of a moment is that of a full decode, in every container, also where times after a seek are guesses."""

import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import ffmpeg
import moving
import pytest
from moving import Form

from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg import file_input, run
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.one_pass import OnePass
from pipeline.media.reader import MediaFile
from pipeline.media.times import Clock, presented
from pipeline.shards.record import Rejected

CASES = Path(__file__).parents[4] / "shared" / "cases"
MOMENTS = 12

CHOSEN = [
    Form("avi", "libx264", 3, gap=True), Form("avi", "libx264", 0, gap=True), Form("avi", "mpeg4", 2, True),
    Form("avi", "h263p"), Form("mpeg", "mpeg2video", 2), Form("mpeg", "mpeg1video", 2, True),
    Form("mpeg", "libx264", 2), Form("vob", "mpeg2video", 2, True), Form("mpegts", "libx264", 3, True),
    Form("mpegts", "libx265", 3, True, gap=True), Form("mp4", "libx264", 3, True, gop=60, gap=True),
    Form("mp4", "libx265", 3, True), Form("matroska", "libx264", 2, True, gap=True), Form("matroska", "mpeg2video", 2),
    Form("flv", "libx264", 2), Form("asf", "libx264", 2, gap=True), Form("mxf", "libx264", 2), Form("nut", "mpeg4", 2),
    Form("webm", "libvpx", gap=True), Form("mpeg", "libx265", 3, True), Form("mpeg", "mpeg2video", 2, gop=60),
]  # fmt: skip


def _check(path: Path, form: Form, clips: ModuleType) -> None:
    """Twelve moments against a full decode, two of them with the second decoder too."""
    frames = moving.full_decode(path, form, clips)
    chance = random.Random(str(form))
    with MediaFile(path) as media:
        moments = [round(chance.uniform(0.05, media.facts.duration - 0.2), 3) for _ in range(MOMENTS)]
        shown = [media.frame_at(moment) for moment in moments]
    found = [clips.number_of(image.pixels) for image in shown]
    expected = [moving.shown_at(frames, moment) for moment in moments]
    assert [number for _, number in frames] == form.numbers
    assert found == [number for _, number in expected]
    assert [image.seconds for image in shown] == pytest.approx([seconds for seconds, _ in expected], abs=2e-3)
    for moment, (seconds, number) in zip(moments[:2], expected[:2], strict=True):
        clip = decode_clip_ffmpeg(path, DecodeOptions(moment=moment, short_side=0))
        assert (clips.number_of(clip.frame), clip.frame_pts) == (number, pytest.approx(seconds, abs=2e-3))


@pytest.mark.parametrize("form", CHOSEN, ids=str)
def test_the_image_is_that_of_a_full_decode(tmp_path: Path, clip_maker: ModuleType, form: Form) -> None:
    moving.write(tmp_path / "video", form, clip_maker)
    _check(tmp_path / "video", form, clip_maker)


@pytest.mark.slow
@pytest.mark.timeout(900)  # the longest take 70 s on an idle core
@pytest.mark.parametrize("container", moving.CONTAINERS)
def test_every_form_that_can_be_written(tmp_path: Path, clip_maker: ModuleType, container: str) -> None:
    wrong, checked, path = [], 0, tmp_path / "video"
    for form in (form for form in moving.every_form() if form.container == container):
        try:
            moving.write(path, form, clip_maker)
            with MediaFile(path):
                pass
        except (av.FFmpegError, ValueError, Rejected):  # the container does not take the codec, or nothing reads it
            continue
        checked += 1
        try:
            _check(path, form, clip_maker)
        except (AssertionError, Rejected) as error:
            wrong.append(f"{form}: {str(error)[:200]}")
    assert checked
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("codec", "b_frames", "container", "options"),
    [("mpeg4", 2, "mp4", {}), ("mpeg2video", 2, "mov", {}), ("libx264", 3, "mov", {}),
     ("libx264", 3, "mp4", {"fflags": "+genpts"}), ("libx264", 3, "matroska", {"fflags": "+genpts"}),
     ("mpeg4", 2, "matroska", {"fflags": "+genpts"}), ("mpeg4", 0, "mp4", {})],
)  # fmt: skip
def test_an_avi_copied_into_a_container_of_times(
    tmp_path: Path, clip_maker: ModuleType, codec: str, b_frames: int, container: str, options: dict[str, str]
) -> None:
    """The copy has the times of decoding for those of presentation, or such as were made up from them."""
    moving.write(tmp_path / "avi", Form("avi", codec, b_frames), clip_maker)
    copied = ffmpeg.output(
        file_input(tmp_path / "avi", **options), f"file:{tmp_path / 'copy'}", format=container, c="copy"
    )
    run(copied, timeout=60)
    moments = [1.02, 2.5, 3.02, 3.05]
    with MediaFile(tmp_path / "avi") as media:
        own = [clip_maker.number_of(media.frame_at(moment).pixels) for moment in moments]
    with OnePass(tmp_path / "copy") as media:
        found = [clip_maker.number_of(media.frame_at(moment).pixels) for moment in moments]
        together = [clip_maker.number_of(media.pixels(frame, 0)[0]) for frame in media.shown_at(moments)]
        full = [(seconds, clip_maker.number_of(media.pixels(frame, 0)[0])) for seconds, frame in media.frames()]
    second = [decode_clip_ffmpeg(tmp_path / "copy", DecodeOptions(moment=each, short_side=0)) for each in moments]
    assert found == together == [moving.shown_at(full, moment)[1] for moment in moments]
    assert found == [clip_maker.number_of(clip.frame) for clip in second]
    assert max(abs(one - other) for one, other in zip(found, own, strict=True)) <= ("fflags" in options)


@pytest.mark.parametrize(("moment", "began"), [(2.005, 1.977578), (5.006, 4.977578)])
def test_program_stream_of_a_report(moment: float, began: float) -> None:
    path = CASES / "mpeg_ps" / "ps_mpeg2_b2.mpg"
    if not path.is_file():
        pytest.skip("the reported files are not in ../shared/cases")
    for decode in (decode_clip, decode_clip_ffmpeg):
        assert decode(path, DecodeOptions(moment=moment)).frame_pts == pytest.approx(began, abs=1e-4)


class TestPresented:
    """The rule itself, on frames that are only times."""

    @staticmethod
    def _times(
        *times: tuple[float | None, float | None], by_decoding: bool = False, start: float | None = None
    ) -> list[float]:
        frames: Iterator[SimpleNamespace] = (SimpleNamespace(pts=pts, dts=dts) for pts, dts in times)
        return [seconds for seconds, _ in presented(frames, Clock(float, 1.0, by_decoding, start))]

    def test_times_of_presentation_count(self) -> None:
        assert self._times((0, 2), (1, 3), (5, 4)) == [0, 1, 5]

    def test_without_them_the_packets_that_gave_the_frames_out(self) -> None:
        late = (None, 2), (None, 3), (None, 7), (None, 8), (None, None)
        assert self._times(*late, by_decoding=True) == [2, 3, 7, 8, 9]
        assert self._times(*late, by_decoding=True, start=1) == [1, 2, 6, 7, 8]

    def test_a_frame_without_a_time_follows_those_that_have_one_in_equal_steps(self) -> None:
        assert self._times((0, 0), (2, 1), (4, 2), (None, 5), (None, None), (10, 5), (12, 6)) == [*range(0, 13, 2)]
        assert self._times((None, 2), (None, 3), (5, 4)) == [2, 3, 5]

    def test_a_time_after_those_of_later_frames_is_wrong(self) -> None:
        assert self._times((0, 0), (1, 1), (9, 2), (3, 3), (4, 4)) == [0, 1, 2, 3, 4]

    def test_a_clock_that_starts_anew_goes_on(self) -> None:
        assert self._times(*((n, n) for n in (*range(20), *range(20)))) == list(range(40))
