"""The overlay of a video, with a stand-in for a trained run that finds what is bright and hears what is loud."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from bright_localizer import FPS, HEIGHT, RATE, SECONDS, WIDTH, BrightAndLoud, square_video, stand_in
from places import SHARED

from manifests.errors import InputError
from pipeline.media.front_ends import DEFAULT
from training.localize import command
from training.localize.options import Options
from training.localizer import opening as module
from training.methods.contract import Batch, Prediction
from training.overlay import carriage
from training.parts.regions import apart, responses


def localize(run: Path, video: Path, out: Path, **options: Any) -> dict[str, object]:
    """The command for one video."""
    return command.localize(Options(run, (video,), out, **options))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A run folder whose loading gives the stand-in; a parameter is its front end."""
    stand_in(monkeypatch, front_end=getattr(request, "param", DEFAULT))
    return tmp_path / "bright" / "0123abcd-s0"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return square_video(tmp_path_factory.mktemp("video") / "clip.mp4")


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Times and images of a video's frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(frame.time) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


def audio_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(round(float(packet.pts * packet.time_base), 4), bytes(packet)) for packet in packets]


def test_peaks_follow_the_object_and_confidence_the_audio(run: Path, video: Path, tmp_path: Path) -> None:
    localize(run, video, tmp_path / "overlay.mp4", maps_per_second=2)
    facts = json.loads((tmp_path / "overlay.json").read_text())
    moments = facts["moments"]
    assert [moment["seconds"] for moment in moments] == [number / 2 for number in range(13)]
    assert all(0.6 < moment["y"] < 0.85 for moment in moments)
    across = [moment["x"] for moment in moments]
    expected = [(10 + (WIDTH - 20) * min(moment["seconds"] * FPS, 59) / 59) / WIDTH for moment in moments]
    assert np.abs(np.subtract(across, expected)).max() < 0.11  # a cell is 0.125 wide
    assert moments[3]["confidence"] > moments[6]["confidence"] > moments[-1]["confidence"]
    assert facts["run"] == "bright/0123abcd-s0"
    assert facts["scale"]["transparent"] < facts["scale"]["brightest"]


@pytest.mark.parametrize("run", ["log-power-16000-512-238-10s-v1", "mel-decibel-16000-512-239-v1"], indirect=True)
def test_ten_seconds_are_heard_of_a_video_of_six(run: Path, video: Path, tmp_path: Path) -> None:
    """Every moment has its map. The sound lasts half of the video, repeated to ten seconds around each moment."""
    facts = localize(run, video, tmp_path / "overlay.mp4", maps_per_second=1)
    moments = json.loads((tmp_path / "overlay.json").read_text())["moments"]
    assert facts["frames"] == FPS * SECONDS
    assert len(moments) == SECONDS + 1
    assert all(np.isfinite(moment["confidence"]) for moment in moments)
    heard = [moment["confidence"] for moment in moments]
    assert max(heard) - min(heard) < 0.2 * abs(np.mean(heard))


def test_overlay_keeps_frame_times_and_audio(run: Path, video: Path, tmp_path: Path) -> None:
    facts = localize(run, video, tmp_path / "overlay.mp4")
    before, _ = decoded(video)
    after, images = decoded(tmp_path / "overlay.mp4")
    assert after == pytest.approx(before, abs=1e-3)
    assert audio_packets(tmp_path / "overlay.mp4") == audio_packets(video)
    assert facts["sound"] == "copied"
    assert facts["frames"] == len(images) == FPS * SECONDS
    assert not list(tmp_path.glob(".*"))


def test_heat_lies_on_the_object(run: Path, video: Path, tmp_path: Path) -> None:
    localize(run, video, tmp_path / "overlay.mp4")
    _, images = decoded(tmp_path / "overlay.mp4")
    image = images[30].astype(int)
    image[:, 90:] = 0  # there stands the bar of the colours
    warmth = image[:, :, 0] - image[:, :, 2]  # the brightest colours of the scale are yellow
    row, column = np.unravel_index(warmth.argmax(), warmth.shape)
    assert 50 <= row <= 90
    assert 40 <= column <= 90
    assert abs(warmth[:30].mean()) < 8


def test_a_cropped_view_is_drawn_where_the_crop_was(run: Path, video: Path, tmp_path: Path) -> None:
    """Of 128 x 96 the middle 96 columns are shown: 0.125 to 0.875 of the frame's width. The rest is dark."""
    facts = localize(run, video, tmp_path / "overlay.mp4", view="centre_crop")
    assert str(facts["view"]).startswith("centre_crop")
    told = json.loads((tmp_path / "overlay.json").read_text())
    assert told["view"] == "centre_crop"
    middle = [moment for moment in told["moments"] if 1.5 <= moment["seconds"] <= 4.5]
    expected = [(10 + (WIDTH - 20) * moment["seconds"] * FPS / 59) / WIDTH for moment in middle]
    assert np.abs(np.subtract([moment["x"] for moment in middle], expected)).max() < 0.07  # a cell is 0.094 wide
    for moment in told["moments"]:
        assert moment["shown"] == pytest.approx([10 / 85, 0, 74 / 85, 1], abs=1e-5)  # 64 of 85 columns, from the 10th
        assert moment["shown"][0] < moment["x"] < moment["shown"][2]
    _, images = decoded(tmp_path / "overlay.mp4")
    whole = decoded(video)[1]
    outside, inside = (image[:, 2:12].mean() for image in (images[30], whole[30])), images[30][:, 20:100].mean()
    drawn, before = outside
    assert drawn < 0.6 * before
    assert inside > 2 * drawn


def test_an_unknown_view_is_refused(run: Path, video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean centre_crop"):
        localize(run, video, tmp_path / "overlay.mp4", view="center_crop")


def test_audio_the_container_cannot_hold_becomes_aac(run: Path, video: Path, tmp_path: Path) -> None:
    with av.open(str(video)) as source, av.open(str(tmp_path / "u8.mkv"), "w") as result:
        image = result.add_stream_from_template(source.streams.video[0])
        audio = result.add_stream("pcm_u8", rate=RATE, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = image
                result.mux(packet)
        tone = 128 + 50 * np.sin(2 * np.pi * 440 * np.arange(RATE * (SECONDS - 1)) / RATE)
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.uint8), format="u8", layout="mono")
        frame.sample_rate, frame.pts = RATE, RATE  # the sound begins a second late
        result.mux(audio.encode(frame))
        result.mux(audio.encode(None))
    facts = localize(run, tmp_path / "u8.mkv", tmp_path / "overlay.mp4", maps_per_second=1)
    assert facts["sound"] == "encoded again as AAC"
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        heard = [(float(frame.time), np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0)]
    loud = [seconds for seconds, peak in heard if peak > 0.1]
    assert loud[0] == pytest.approx(1.0, abs=0.15)
    assert loud[-1] == pytest.approx(SECONDS, abs=0.2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("edge/noaudio_hevc_10bit.mp4", "no_audio"),
        ("edge/novideo_eac3_5.1.mp4", "no_video"),
        ("edge/unopenable_no_moov.mp4", "unreadable"),
        ("made_broken/htmlerror_000010.mp4", "unreadable"),
    ],
)
def test_unusable_videos_are_refused(run: Path, tmp_path: Path, name: str, said: str) -> None:
    path = SHARED / "data" / "videos" / name
    if not path.is_file():
        pytest.skip(f"the test video {name} is not in ../shared/data/videos")
    with pytest.raises(InputError, match=said):
        localize(run, path, tmp_path / "overlay.mp4")
    assert not list(tmp_path.glob("overlay*"))


@pytest.mark.parametrize("name", ["edge/rot90_phone_1s.mp4", "edge/ts_start140.ts", "good/exo_sample_mpeg4_mp3.avi"])
def test_other_formats_upright_and_from_zero(run: Path, tmp_path: Path, name: str) -> None:
    path = SHARED / "data" / "videos" / name
    if not path.is_file():
        pytest.skip(f"the test video {name} is not in ../shared/data/videos")
    facts = localize(run, path, tmp_path / "overlay.mp4", maps_per_second=1)
    times, images = decoded(tmp_path / "overlay.mp4")
    assert len(times) == facts["frames"] > 0
    assert 0 <= times[0] < 2
    if "rot90" in name:
        assert images[0].shape[0] > images[0].shape[1]


def test_bad_options_are_refused(run: Path, video: Path, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"video": tmp_path / "absent.mp4"}, "there is no video"),
        ({"out": tmp_path / "overlay.gif"}, r"\.mp4, \.mov, \.mkv"),
        ({"out": tmp_path / "absent" / "overlay.mp4"}, "does not exist"),
        ({"out": video}, "overwritten"),
        ({"maps_per_second": 0.0}, "more than 0"),
    ]
    for changed, said in wrong:
        given = {"run": run, "video": video, "out": tmp_path / "overlay.mp4"} | changed
        with pytest.raises(InputError, match=said):
            localize(**given)


def test_unfinished_run_is_refused(video: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: begun\n")
    with pytest.raises(InputError, match="not finished"):
        localize(tmp_path, video, tmp_path / "overlay.mp4")


def written(path: Path, kind: str, codec: str, rate: int, options: dict[str, str] | None = None) -> Path:
    """Six seconds of images with a sound of any codec and rate."""
    with av.open(str(path), "w", format=kind) as out:
        image = out.add_stream("libx264" if options else "mjpeg", rate=FPS, options=options or {})
        image.width, image.height, image.pix_fmt = WIDTH, HEIGHT, "yuv420p" if options else "yuvj420p"
        audio = out.add_stream(codec, rate=rate, layout="mono")
        for number in range(FPS * SECONDS):
            pixels = np.full((HEIGHT, WIDTH, 3), 2 * number, np.uint8)
            out.mux(image.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        tone = 128 + 50 * np.sin(2 * np.pi * 440 * np.arange(rate * SECONDS) / rate)
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.uint8), format="u8", layout="mono")
        frame.sample_rate = rate
        for part in av.AudioResampler(audio.codec_context.format.name, "mono", rate).resample(frame):
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))
        out.mux(image.encode(None))
    return path


@pytest.mark.parametrize(("rate", "kept"), [(11024, 11025), (8000, 8000), (44099, 44100)])
def test_a_rate_that_aac_has_not_becomes_one_it_has(run: Path, tmp_path: Path, rate: int, kept: int) -> None:
    video = written(tmp_path / "camera.avi", "avi", "pcm_u8", rate)
    facts = localize(run, video, tmp_path / "overlay.mp4", maps_per_second=1)
    assert str(facts["sound"]).startswith("encoded again as AAC")
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert container.streams.audio[0].codec_context.sample_rate == kept
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(heard) / kept == pytest.approx(SECONDS, abs=0.2)
    assert (f"{rate} Hz" in str(facts["sound"])) == (rate != 8000)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_an_overlay_begins_when_its_video_does(run: Path, video: Path, tmp_path: Path, suffix: str) -> None:
    """AAC begins before zero, where Matroska has no time: that moves neither the images nor the sound."""
    localize(run, video, tmp_path / f"overlay{suffix}", maps_per_second=1)
    assert audio_packets(video)[0][0] < 0
    for path in (video, tmp_path / f"overlay{suffix}"):
        assert decoded(path)[0][0] == 0
    given, written = audio_packets(video), audio_packets(tmp_path / f"overlay{suffix}")
    assert len(given) - len(written) == (suffix == ".mkv")
    for (begin, content), (seconds, copied) in zip(reversed(given), reversed(written), strict=False):
        assert copied == content
        assert seconds == pytest.approx(begin, abs=2e-3)


def test_every_image_of_an_avi_with_b_frames_appears(run: Path, tmp_path: Path) -> None:
    options = {"x264-params": "bframes=3:b-adapt=0:keyint=20"}
    video = written(tmp_path / "reordered.avi", "avi", "pcm_s16le", RATE, options)
    facts = localize(run, video, tmp_path / "overlay.mp4", maps_per_second=1)
    assert (facts["frames"], facts["undecodable packets"]) == (FPS * SECONDS, 0)
    times, _ = decoded(tmp_path / "overlay.mp4")
    assert np.allclose(np.diff(times), 1 / FPS, atol=1e-3)


def test_a_sound_that_cannot_be_carried_is_refused_before_any_work(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriage, "_is_taken", lambda *given: ValueError("not here"))
    monkeypatch.setattr(module, "load_run", lambda *given: pytest.fail("work was begun"))
    with pytest.raises(InputError, match="cannot be carried"):
        localize(run, video, tmp_path / "overlay.mp4")


class BrightBoxes(BrightAndLoud):
    """Beside the map the two brightest proposals, with their brightness for a score."""

    needs = frozenset({"proposals"})

    def predict(self, batch: Batch) -> Prediction:
        found = self(batch["image"], batch["audio"])
        scores = responses(found.map, batch["proposals"], "mean")
        present = (batch["proposals"][..., 2:] > batch["proposals"][..., :2]).all(dim=2)
        return found._replace(boxes=apart(batch["proposals"], scores.masked_fill(~present, torch.nan), 2))


def test_boxes_are_drawn_and_listed_for_every_moment_that_is_heard(run, video, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("cv2.ximgproc", reason="OpenCV without its contrib modules finds no proposals")

    stand_in(monkeypatch, BrightBoxes())
    localize(run, video, tmp_path / "boxes.mp4", maps_per_second=1)
    moments = json.loads((tmp_path / "boxes.json").read_text())["moments"]
    assert [bool(moment["boxes"]) for moment in moments] == [not moment["silent"] for moment in moments]
    for moment in (moment for moment in moments if moment["boxes"]):
        x1, y1, x2, y2 = moment["boxes"][0]["box"]
        assert x1 - 0.1 <= moment["x"] <= x2 + 0.1
        assert y1 - 0.1 <= moment["y"] <= y2 + 0.1
