"""One pass over a video answers as `MediaFile` does for each moment by itself."""

from pathlib import Path

import av
import numpy as np
import pytest
from places import VIDEOS, needed

from pipeline.media.encode import encode_video
from pipeline.media.front_ends import find_front_end
from pipeline.media.one_pass import OnePass
from pipeline.media.reader import MediaFile
from pipeline.shards.record import Rejected

RATE, FPS, SECONDS = 16000, 12, 4
MOMENTS = (0.0, 0.04, 0.5, 1.31, 1.31, 2.9, 3.99, 4.0)
FRONT_END = find_front_end()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise that wanders, so that images depend on one another, under a tone that rises."""
    draw = np.random.default_rng(0)
    ground = draw.integers(0, 255, (96, 200, 3), np.uint8)
    frames = np.stack([np.roll(ground, 3 * number, axis=1)[:, :96] for number in range(FPS * SECONDS)])
    seconds = np.arange(RATE * SECONDS) / RATE
    waveform = (0.3 * np.sin(2 * np.pi * (200 + 300 * seconds) * seconds)).astype(np.float32)
    path = tmp_path_factory.mktemp("one-pass") / "clip.mp4"
    encode_video(path, frames, FPS, waveform, RATE)
    return path


def in_one_pass(path: Path, moments: tuple[float, ...] = MOMENTS) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images and sounds of all moments."""
    with OnePass(path) as media:
        images = [media.pixels(frame, 64)[0] for frame in media.shown_at(moments)]
    starts = [moment - FRONT_END.seconds / 2 for moment in moments]
    with OnePass(path) as media:
        sounds = [span.samples for span in media.audio_spans(starts, FRONT_END.sample_rate, FRONT_END.samples)]
    return images, sounds


def one_by_one(path: Path, moments: tuple[float, ...] = MOMENTS) -> tuple[list[np.ndarray], list[np.ndarray]]:
    images, sounds = [], []
    for moment in moments:
        with MediaFile(path) as media:
            images.append(media.frame_at(moment, 64).pixels)
            start = moment - FRONT_END.seconds / 2
            sounds.append(media.audio_between(start, FRONT_END.sample_rate, FRONT_END.samples).samples)
    return images, sounds


def assert_same(path: Path, moments: tuple[float, ...] = MOMENTS) -> None:
    (images, sounds), (wanted_images, wanted_sounds) = in_one_pass(path, moments), one_by_one(path, moments)
    assert len(images) == len(sounds) == len(moments)
    assert all(np.array_equal(*pair) for pair in zip(images, wanted_images, strict=True))
    assert all(np.abs(own - other).max() < 1e-4 for own, other in zip(sounds, wanted_sounds, strict=True))


def test_as_each_moment_by_itself(video: Path) -> None:
    assert_same(video)


def test_images_that_nobody_asks_for_are_skipped(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnePass, "_shown_by_full_decode", lambda self, moments: iter(()))
    assert len(in_one_pass(video)[0]) == len(MOMENTS)
    with OnePass(video) as media:
        decoded = sum(1 for _ in media._frames_of([0]))
    assert decoded < FPS * SECONDS / 2


@pytest.mark.parametrize(("suffix", "kind"), [(".ts", "mpegts"), (".mkv", "matroska")])
def test_other_containers(video: Path, tmp_path: Path, suffix: str, kind: str) -> None:
    copied = tmp_path / f"copy{suffix}"
    with av.open(str(video)) as source, av.open(str(copied), "w", format=kind) as result:
        streams = {each.index: result.add_stream_from_template(each) for each in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                result.mux(packet)
    assert_same(copied, (0.0, 0.5, 1.31, 3.5))


def test_a_damaged_image_is_replaced_by_the_one_before(video: Path, tmp_path: Path) -> None:
    """As by a full decode, which leaves out what cannot be decoded."""
    content = bytearray(video.read_bytes())
    with av.open(str(video)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][20]
        begin = content.find(bytes(packet))
    content[begin + 4 : begin + packet.size] = bytes(packet.size - 4)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    with OnePass(damaged) as media:
        own = [media.pixels(frame, 64)[0] for frame in media.shown_at(MOMENTS)]
    with OnePass(damaged) as media:
        whole = [media.pixels(frame, 64)[0] for frame in media._shown_by_full_decode(MOMENTS)]
    assert len(own) == len(whole) == len(MOMENTS)


def test_whether_anything_is_heard(video: Path, tmp_path: Path) -> None:
    frames = np.zeros((10, 16, 16, 3), np.uint8)
    encode_video(tmp_path / "silent.mp4", frames, 10, np.zeros(RATE, np.float32), RATE)
    for path, heard in ((video, True), (tmp_path / "silent.mp4", False)):
        with OnePass(path) as media:
            assert media.is_heard() is heard


def test_a_sound_stream_without_sound_is_refused(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnePass, "_heard", lambda self, needed: iter(()))
    with OnePass(video) as media, pytest.raises(Rejected, match="gives no sound"):
        next(media.audio_spans([0.0], RATE, RATE))


@pytest.mark.parametrize(
    "name",
    [
        "edge/ts_start140.ts",
        "edge/rot90_phone_1s.mp4",
        "good/exo_fragmented.mp4",
        "good/exo_sample_mpeg4_mp3.avi",
        "good/bbb_10s_vfr24.mp4",
    ],
)
def test_real_files(name: str) -> None:
    assert_same(needed(VIDEOS / name), (0.0, 0.3, 0.9))
