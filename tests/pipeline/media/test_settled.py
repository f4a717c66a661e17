"""Sound lies where its file says, wherever decoding began: times that jitter are smoothed, holes are not."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.front_ends import find_front_end
from pipeline.media.one_pass import OnePass
from pipeline.media.reader import MediaFile
from pipeline.media.settled import settled

SECONDS, FPS, PIECES = 6, 10, 5  # PIECES: of sound beside an image
RISES, FROM = 500.0, 400.0  # Hz a second, and Hz at the beginning
FINE = 1 << 14  # points of a spectrum, between which its peak is found
SCALES = {"flt": 1, "s16": 2**15 - 1, "s32": 2**31 - 2**8}  # what of each form of samples stands for 1
RATE, SAMPLES = find_front_end().sample_rate, find_front_end().samples
LENGTHS = (0.0025, 0.01, 0.02, 1024 / 48000, 1024 / 44100, 1152 / 44100, 1536 / 44100, 2048 / 44100, 0.06, 0.128)
FRAMES = [length for length in LENGTHS if length >= 0.02]  # shorter ones are less long than their times jitter
JITTER = ("uniform 5", "uniform 8", "normal 2", "normal 4", "timer 10", "timer 15.625")  # milliseconds
Times = Callable[[int], float]


def _milliseconds(times: np.ndarray) -> list[float]:
    return [round(time, 3) for time in times.tolist()]


def _jittering(jitter: str, length: float, seed: int) -> np.ndarray:
    """Times of frames from about 0 on: with noise, or read off a clock that has only so many steps a second."""
    kind, milliseconds = jitter.split()
    times, size, draw = length * np.arange(int(3.7 / length)), float(milliseconds) / 1000, np.random.default_rng(seed)
    if kind == "timer":
        begin = draw.uniform(0, size)
        return np.ceil((times + begin) / size) * size - begin
    noise = draw.uniform(-1, 1, len(times)) if kind == "uniform" else draw.normal(size=len(times))
    return times + size * noise


class TestRule:
    @pytest.mark.parametrize("length", LENGTHS)
    def test_times_that_are_rounded_part_no_frames(self, length: float) -> None:
        times = 7.0104 + length * np.arange(int(3.7 / length))
        for stated, step in ((_milliseconds(times), 1e-3), (times.tolist(), length)):
            assert settled(stated, [length] * len(stated), step) == {0: pytest.approx(7.0104, abs=6e-4)}

    def test_a_clock_of_coarse_steps(self) -> None:
        times = np.arange(60) * 0.06
        assert len(settled((np.round(times * 50) / 50).tolist(), [0.06] * 60, 0.02)) == 1

    def test_jitter_of_a_recorder(self) -> None:
        """As in a video of VGGSound: some frames in a row are stated 10 to 20 ms too early."""
        times = 1024 / 44100 * np.arange(160)
        late = np.zeros(160)
        late[[13, 31, 50, 62, 63, 90, 91, 92, 120, 122, 124]] = -0.0204
        late[[12, 33, 64, 121, 123]] = -0.0102
        assert settled((times + late).tolist(), [1024 / 44100] * 160, 1 / 44100) == {0: pytest.approx(0.0, abs=1e-9)}

    def test_a_wrong_time_moves_nothing(self) -> None:
        stated = (0.02 * np.arange(150)).tolist()
        stated[70] = 900.0
        assert settled(stated, [0.02] * 150, 0.0) == {0: pytest.approx(0.0, abs=1e-9)}

    @pytest.mark.parametrize("length", LENGTHS)
    @pytest.mark.parametrize("round_to", [_milliseconds, np.ndarray.tolist])
    def test_a_hole_of_one_frame_stays_where_it_is(self, length: float, round_to) -> None:
        whole = length * np.arange(int(3.7 / length))
        at = len(whole) // 3
        times = np.delete(whole, at)
        found = settled(round_to(times), [length] * len(times), 1e-3)
        assert found == {0: pytest.approx(0.0, abs=6e-4), at: pytest.approx(times[at], abs=6e-4)}

    def test_sound_that_is_stated_twice(self) -> None:
        times = np.concatenate([0.02 * np.arange(80), 0.02 * np.arange(75, 150)])
        assert settled(times.tolist(), [0.02] * len(times), 0.0) == {0: pytest.approx(0.0), 80: pytest.approx(1.5)}

    @pytest.mark.parametrize("length", LENGTHS)
    @pytest.mark.parametrize("drift", [-5e-3, 5e-4, 1e-3, 5e-3])
    def test_a_clock_that_drifts_parts_no_frames(self, length: float, drift: float) -> None:
        stated = length * (1 + drift) * np.arange(int(3.7 / length))
        middle = drift * length * (len(stated) - 1) / 2
        for times in (stated.tolist(), _milliseconds(stated)):
            assert settled(times, [length] * len(times), 1e-3) == {0: pytest.approx(middle, abs=6e-4)}

    @pytest.mark.parametrize("length", FRAMES)
    @pytest.mark.parametrize("jitter", JITTER)
    def test_times_that_all_jitter_part_no_frames(self, jitter: str, length: float) -> None:
        for seed in range(40):
            stated = _jittering(jitter, length, seed)
            for times in (stated.tolist(), _milliseconds(stated)):
                found = settled(times, [length] * len(times), 1e-3)
                assert list(found) == [0], seed
                assert found[0] == pytest.approx(np.mean(stated - length * np.arange(len(stated))), abs=5e-3)

    @pytest.mark.parametrize("length", FRAMES)
    @pytest.mark.parametrize("jitter", ["uniform 5", "normal 2"])
    def test_a_hole_of_one_frame_between_times_that_jitter(self, jitter: str, length: float) -> None:
        for seed in range(20):
            times = _jittering(jitter, length, seed)
            at = len(times) // 3
            times[at:] += length
            first, second = settled(times.tolist(), [length] * len(times), 0.0).items()
            assert first == (0, pytest.approx(0.0, abs=6e-3))
            assert second == (pytest.approx(at, abs=1), pytest.approx((at + 1) * length, abs=length + 6e-3))
            assert second[1] - second[0] * length == pytest.approx(length, abs=6e-3)

    @pytest.mark.parametrize("length", LENGTHS)
    def test_a_hole_of_one_frame_by_a_clock_that_drifts(self, length: float) -> None:
        whole = length * 1.001 * np.arange(int(3.7 / length))
        at = len(whole) // 3
        found = settled(np.delete(whole, at).tolist(), [length] * (len(whole) - 1), 0.0)
        assert list(found) == [0, at]
        assert found[at] - found[0] == pytest.approx(whole[at + 1], abs=3e-3)

    @pytest.mark.parametrize("between", [8, 12])
    @pytest.mark.parametrize("hole", [1024 / 48000, 3.0])  # seconds
    def test_sound_between_two_holes(self, between: int, hole: float) -> None:
        length = 1024 / 48000
        times = length * np.arange(170)
        times[60:] += hole
        times[60 + between :] += hole
        found = settled(times.tolist(), [length] * 170, 1e-3)
        assert found == {number: pytest.approx(times[number], abs=1e-3) for number in (0, 60, 60 + between)}

    def test_a_few_frames_at_the_beginning_that_lie_elsewhere(self) -> None:
        """As in MP4 without an edit list: the first frame is said to last until the image begins."""
        length = 1024 / 44100
        for few in (1, 2, 3):
            times = length * np.arange(160)
            times[:few] -= 0.046
            assert settled(times.tolist(), [length] * 160, 1 / 44100) == {0: pytest.approx(0.0, abs=1e-9)}
            assert list(settled(times[:6].tolist(), [length] * 6, 1 / 44100)) == [0]

    def test_a_long_hole_between_times_of_which_many_are_wrong(self) -> None:
        length, wrong = 1024 / 44100, np.random.default_rng(0).random(160) < 0.15
        times = length * np.arange(160) - 0.0204 * wrong
        times[70:] += 1.0
        found = settled(times.tolist(), [length] * 160, 1 / 44100)
        assert found == {0: pytest.approx(0.0, abs=2e-3), 70: pytest.approx(70 * length + 1.0, abs=2e-3)}

    def test_frames_without_a_time_follow_those_before(self) -> None:
        stated: list[float | None] = [5.0, *[None] * 60]
        assert settled(stated, [0.02] * 61, 0.0) == {0: pytest.approx(5.0)}
        stated[40] = 5.9
        assert settled(stated, [0.02] * 61, 0.0)[40] == pytest.approx(5.9)

    def test_the_same_wherever_it_begins(self) -> None:
        times = np.delete(1024 / 44100 * np.arange(400), [100, 180, 181])
        times[[30, 31, 150, 260]] -= 0.02
        laid = []
        for first in (0, 20, 50):
            found, own = settled(times[first:].tolist(), [1024 / 44100] * (len(times) - first), 0.0), {}
            for number in range(len(times) - first):
                own[number + first] = found.get(number, own.get(number + first - 1, 0.0) + 1024 / 44100)
            laid.append([own[number] for number in range(70, 390)])
        assert np.ptp(laid, axis=0).max() < 1e-6


def _rising(seconds: np.ndarray) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * (FROM * seconds + RISES / 2 * seconds**2))).astype(np.float32)


def _late(waveform: np.ndarray, moment: float, at: float) -> float:
    """By how many seconds the tone is late that is heard `at` seconds beside the moment."""
    middle, half = len(waveform) // 2 + round(at * RATE), round(0.12 * RATE)
    times = np.arange(-half, half) / RATE
    straight = waveform[middle - half : middle + half] * np.exp(-1j * np.pi * RISES * times**2) * np.hanning(2 * half)
    spectrum = np.abs(np.fft.fft(straight, FINE))[: FINE // 2]
    peak = int(np.argmax(spectrum))
    before, top, after = np.log(spectrum[peak - 1 : peak + 2])
    hertz = (peak + (before - after) / 2 / (before - 2 * top + after)) * RATE / FINE
    return moment + at - (hertz - FROM) / RISES


FILES = {
    "mp4": ("mp4", "aac", {}), "mp4-fragments": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "mp4-no-edits": ("mp4", "aac", {"use_editlist": "0"}), "mov": ("mov", "pcm_s16le", {}),
    "mkv-pcm": ("matroska", "pcm_s16le", {}),
    "mkv": ("matroska", "aac", {}), "mkv-mp3": ("matroska", "libmp3lame", {}), "webm": ("webm", "libopus", {}),
    "flv": ("flv", "aac", {}), "ts": ("mpegts", "mp2", {}),
    "asf": ("asf", "wmav2", {}), "nut": ("nut", "aac", {}), "avi": ("avi", "libmp3lame", {}),
}  # fmt: skip


def _packets(audio: av.AudioStream, begin: int, rate: int) -> Iterator[av.Packet]:
    """The tone beside one image, in pieces of 20 ms, of which plain samples make packets."""
    length, form = rate // FPS // PIECES, audio.codec_context.format.name
    for piece in range(begin, begin + PIECES):
        tone = _rising((piece * length + np.arange(length)) / rate)[None]
        samples = (tone * SCALES[form[:3]]).astype({"flt": np.float32, "s16": np.int16, "s32": np.int32}[form[:3]])
        sound = av.AudioFrame.from_ndarray(samples, format=form, layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = rate, piece * length, Fraction(1, rate)
        yield from audio.encode(sound)


def _write(path: Path, name: str, lost: range = range(0), moved: Times = lambda number: 0) -> None:
    """A rising tone. lost: which packets of it are left out. moved: by number, by how many milliseconds one is."""
    kind, codec, options = FILES[name]
    with av.open(str(path), "w", format=kind, container_options=options) as out:
        images = {"webm": "libvpx", "asf": "wmv2", "flv": "flv"}.get(kind, "mpeg4")
        encoder = {"deadline": "realtime", "cpu-used": "8"} if images == "libvpx" else {}
        if kind in ("mp4", "nut") or name == "mkv":
            images, encoder = "libx264", {"preset": "ultrafast", "x264-params": "bframes=2:b-adapt=0"}
        video = out.add_stream(images, rate=FPS, options=encoder)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        rate = 48000 if codec == "libopus" else 44100
        audio, numbers = out.add_stream(codec, rate=rate, layout="mono"), count()
        audio.bit_rate = 160_000
        for number in range(SECONDS * FPS):
            image = av.VideoFrame(64, 48, "yuv420p")
            image.pts, image.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(image))
            for packet in _packets(audio, number * PIECES, rate):
                if (place := next(numbers)) not in lost:
                    ticks = round(moved(place) / 1000 / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    out.mux(packet)
        out.mux(video.encode(None))


def _heard(path: Path) -> list[tuple[float, np.ndarray]]:
    """The sound around moments of either decoder, and of one pass."""
    found = [
        (moment, decode(path, DecodeOptions(moment=moment)).waveform)
        for decode, moments in ((decode_clip, (0.5, 1.7, 2.2, 2.93, 4.4)), (decode_clip_ffmpeg, (0.5, 2.93)))
        for moment in moments
    ]
    with OnePass(path) as media:
        moments = [0.5, 2.2, 4.4]
        spans = media.audio_spans([moment - SAMPLES / RATE / 2 for moment in moments], RATE, SAMPLES)
        return found + [(moment, span.samples) for moment, span in zip(moments, spans, strict=True)]


def _check(path: Path, hole: tuple[float, float] = (9.0, 9.0), step: float = 0.0) -> None:
    """The sound of all moments is equally late, but for the hole (its bounds in seconds), where there is none."""
    late = []
    for moment, waveform in _heard(path):
        for at in (-1.3, -0.9, -0.5, 0.0, 0.5, 0.9, 1.3):
            if 0.4 < moment + at < hole[0] - 0.2 or hole[1] + 0.2 < moment + at < SECONDS - 0.3:
                late.append(_late(waveform, moment, at))
    assert len(late) > 20
    assert max(late) - min(late) < 1e-3 + step


def _step(name: str) -> float:
    return 1.1e-3 if name.startswith(("mkv", "webm", "asf", "flv")) else 0.0


@pytest.mark.parametrize("name", FILES)
def test_sound_is_as_late_at_every_moment(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "clip", name)
    _check(tmp_path / "clip", step=_step(name))


@pytest.mark.parametrize("lost", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [name for name in FILES if name not in ("avi", "mov")])  # which count samples
def test_a_hole_of_a_packet_or_two_stays_where_it_is(tmp_path: Path, name: str, lost: int) -> None:
    _write(tmp_path / "clip", name, range(90, 90 + lost))
    with av.open(str(tmp_path / "clip")) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
        zero, base = (container.start_time or 0) / av.time_base, float(packets[0].time_base)
        times = [packet.pts * base - zero for packet in packets]
    steps = np.diff(times)
    at = 1 + int(np.argmax(steps[10:])) + 10
    assert steps[at - 1] > 1.5 * np.median(steps)
    begin, end = times[at] - lost * float(np.median(steps)), times[at]
    _check(tmp_path / "clip", (begin, end), _step(name))


def test_what_is_missing_is_silent(tmp_path: Path) -> None:
    _write(tmp_path / "clip", "mkv-pcm", range(90, 91))
    for decode in (decode_clip, decode_clip_ffmpeg):
        loud = np.abs(decode(tmp_path / "clip", DecodeOptions(moment=2.0)).waveform)
        inside = loud[round((90 * 0.02 - 0.5 + 2e-3) * RATE) : round((91 * 0.02 - 0.5 - 2e-3) * RATE)]
        assert inside.max() < 0.02
        assert min(loud[: 89 * 220 - 5512].max(), loud[92 * 221 - 5512 :].max()) > 0.3


@pytest.mark.parametrize("name", ["mp4", "mkv", "mkv-mp3", "ts"])
def test_times_that_jitter_leave_neither_clicks_nor_holes(tmp_path: Path, name: str) -> None:
    early = {number: -10 * (1 + number % 2) for number in range(20, 240, 13) for number in (number, number + 1)}
    _write(tmp_path / "steady", name)
    _write(tmp_path / "jitters", name, moved=lambda number: early.get(number, 0))
    _check(tmp_path / "jitters", step=_step(name))
    _check_no_clicks(tmp_path / "jitters", tmp_path / "steady")


NOISE = np.random.default_rng(3).uniform(-5, 5, 2 * SECONDS * FPS * PIECES).tolist()


@pytest.mark.parametrize("moved", [NOISE.__getitem__, lambda number: 0.1 * number, lambda number: -0.02 * number])
@pytest.mark.parametrize("name", ["mp4", "mkv"])
def test_clocks_that_all_jitter_or_drift_leave_no_clicks(tmp_path: Path, name: str, moved: Times) -> None:
    _write(tmp_path / "steady", name)
    _write(tmp_path / "moved", name, moved=moved)
    _check_no_clicks(tmp_path / "moved", tmp_path / "steady")


@pytest.mark.parametrize("lost", [range(0), range(90, 91)])
def test_one_pass_gives_what_each_span_gives_by_itself(tmp_path: Path, lost: range) -> None:
    _write(tmp_path / "clip", "mp4", lost, NOISE.__getitem__)
    starts = [0.0, 0.7, 1.1, 1.9, 2.6]
    with OnePass(tmp_path / "clip") as media, MediaFile(tmp_path / "clip") as other:
        for start, span in zip(starts, media.audio_spans(starts, RATE, SAMPLES), strict=True):
            assert np.abs(span.samples - other.audio_between(start, RATE, SAMPLES).samples).max() < 1e-3


def _check_no_clicks(path: Path, steady: Path) -> None:
    for decode in (decode_clip, decode_clip_ffmpeg):
        for moment in (1.7, 2.93):
            calm, found = (decode(each, DecodeOptions(moment=moment)).waveform for each in (steady, path))
            assert np.abs(np.diff(found, 3)).max() < 1.2 * np.abs(np.diff(calm, 3)).max() + 1e-3
