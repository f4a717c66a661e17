"""`Localizer` and what it gives back, with a stand-in that finds what is bright and hears what is loud."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from bright_localizer import (
    FPS,
    HEIGHT,
    RATE,
    SECONDS,
    WIDTH,
    BrightAndLoud,
    Deaf,
    square_at,
    square_video,
    stand_in,
    tone,
)
from PIL import Image
from scipy.io import wavfile
from stills import audio
from untrained_run import write_run

from manifests.errors import InputError
from training import Localization, Localizer
from training.localizer import model as module


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return square_video(tmp_path_factory.mktemp("video") / "clip.mp4")


@pytest.fixture(scope="module")
def result(model: Localizer, video: Path) -> Localization:
    return model.localize(video, every=1)


def test_a_video_gives_arrays_of_the_documented_shapes(result: Localization) -> None:
    assert result.times.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert (result.frames.shape, result.frames.dtype) == ((7, HEIGHT, WIDTH, 3), np.uint8)
    assert (result.maps.shape, result.maps.dtype) == ((7, 8, 8), np.float32)
    assert result.responses.shape == result.maps.shape
    assert result.confidences.shape == result.silent.shape == result.unsure.shape == (7,)
    assert result.maps.min() == 0
    assert result.maps.max() == pytest.approx(1, abs=0.01)


def test_frames_are_those_shown_at_the_moments(result: Localization, video: Path) -> None:
    with av.open(str(video)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for number in range(SECONDS):
        assert np.abs(result.frames[number].astype(int) - images[number * FPS]).mean() < 3


def test_where_nothing_is_heard_nothing_is_shown(result: Localization) -> None:
    assert result.silent.tolist() == [False] * 5 + [True] * 2  # the model hears 1.5 s on either side
    assert not result.maps[result.silent].any()
    assert result.responses[result.silent].any()
    assert [bool(boxes) for boxes in result.boxes()] == [True] * 5 + [False] * 2
    assert ["silent" in warning for warning in result.warnings] == result.silent.tolist()
    assert not result.unsure.any()


def test_peaks_and_boxes_follow_the_object(result: Localization) -> None:
    for number, boxes in enumerate(result.boxes(threshold=0.3)[:5]):
        x, y = square_at(result.times[number])
        x1, y1, x2, y2, score = boxes[0]
        assert x1 <= x <= x2
        assert y1 <= y <= y2
        assert 0.3 <= score <= 1
        assert np.abs(result.peaks[number] - (x, y)).max() < 0.11
    with pytest.raises(InputError, match="threshold"):
        result.boxes(threshold=0)
    with pytest.raises(InputError, match="threshold"):
        result.to_json(threshold=0)


def test_boxes_of_a_method_are_the_same_wherever_they_are_shown(result: Localization) -> None:
    """On the maps' scale, best first, none of a silent moment: as they are given, listed and drawn."""
    low, high = result.scale
    own = np.array([[0.1, 0.1, 0.4, 0.4, low - 1], [0.5, 0.5, 0.9, 0.9, low + 0.8 * (high - low)]])
    found = replace(result, given_boxes=[own] * len(result))
    for threshold, count in ((None, 2), (0.5, 1), (0.9, 0)):
        told = json.loads(found.to_json(threshold))["moments"]
        listed = [[(*box["box"], box["score"]) for box in moment["boxes"]] for moment in told]
        assert [len(boxes) for boxes in listed] == [count] * 5 + [0] * 2
        assert [boxes[0][4] for boxes in listed[:5] if boxes] == pytest.approx([0.8] * 5 * bool(count))
        assert [len(boxes) for boxes in found.timeline(threshold).boxes] == [count] * 5 + [0] * 2
        if threshold:
            assert listed == [[tuple(box) for box in boxes] for boxes in found.boxes(threshold)]
    assert np.array_equal(found.drawn(6), result.drawn(6))


def test_moments_come_back_in_the_order_asked_for(model: Localizer, video: Path, result: Localization) -> None:
    own = model.localize(video, moments=[4.0, 1.0])
    assert own.times.tolist() == [4, 1]
    assert np.array_equal(own.responses, result.responses[[4, 1]])
    assert np.array_equal(own.frames, result.frames[[4, 1]])
    assert own.confidences == pytest.approx(result.confidences[[4, 1]])
    assert own.timeline().times.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"moments": [99]}, "the moment 99 s was asked for"),
        ({"moments": [float("nan")]}, "nan"),
        ({"moments": []}, "no moment"),
        ({"every": 0}, "every is 0"),
        ({"every": 1, "moments": [1]}, "one of the two"),
        ({"every": 1e10}, "every is 1"),
        ({"every": "1"}, "every is 1"),
        ({"moments": ["a"]}, "the moment a s"),
        ({"moments": [None]}, "the moment None s"),
        ({"moments": [[1], [1, 2]]}, "no array"),
    ],
)
def test_moments_that_are_none_are_refused(model: Localizer, video: Path, given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        model.localize(video, **given)


@pytest.mark.parametrize(("every", "count"), [(3, 4), (0.3, 31), (9, 2), (9.1, 1), (0.25, 37), (1 / 3, 28)])
def test_moments_reach_the_end(every: float, count: int) -> None:
    rate, times = module._moments(9.0, every, None)
    assert times == pytest.approx(every * np.arange(count))
    assert times[-1] <= 9.0
    assert rate == pytest.approx(1 / every)


def test_an_image_and_a_sound_are_a_moment_of_their_video(
    model: Localizer, video: Path, result: Localization, tmp_path: Path
) -> None:
    Image.fromarray(result.frames[2]).save(tmp_path / "frame.png")
    pair = model.localize_pair(tmp_path / "frame.png", video, moment=2.0)
    assert np.array_equal(pair.frames, result.frames[2:3])
    assert pair.responses == pytest.approx(result.responses[2:3])
    assert pair.confidences == pytest.approx(result.confidences[2:3], abs=1e-4)
    assert (len(pair), pair.source.name, pair.times.tolist()) == (1, "frame.png", [2.0])
    assert model.localize_pair(result.frames[2], video).times.tolist() == [video_seconds(video) / 2]
    assert model.localize_pair(result.frames[2], tone(6.0)[: 4 * RATE], RATE).times.tolist() == [2.0]
    assert model.localize_pair(result.frames[2], np.tile(tone(6.0), 2), RATE).times.tolist() == [5.0]


def video_seconds(video: Path) -> float:
    with av.open(str(video)) as container:
        return container.duration / av.time_base


def test_a_sound_that_was_cut_off_before_what_is_heard_is_refused(
    model: Localizer, result: Localization, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(audio(10.0)[:100_000])  # of ten seconds, three
    for moment in (None, 2.5):
        with pytest.raises(InputError, match=r"end at 3\.12 of the 10\.00 s"):
            model.localize_pair(result.frames[0], tmp_path / "a.wav", moment=moment)
    assert len(model.localize_pair(result.frames[0], tmp_path / "a.wav", moment=1.0)) == 1


def test_sounds_are_heard_alike_in_every_form_of_array(model: Localizer, result: Localization) -> None:
    image, sound = result.frames[0], tone(6.0)
    forms = (
        sound,
        np.round(sound * 2**15).astype(np.int16),
        np.round(sound * 2**31).astype(np.int32),
        np.round(sound * 2**7 + 128).astype(np.uint8),
        np.stack([sound, sound]),
        np.stack([sound, sound], axis=1),
    )
    heard = [model.localize_pair(image, form, RATE).confidences[0] for form in forms]
    assert heard == pytest.approx([heard[0]] * len(forms), abs=0.02)
    assert heard[0] > model.localize_pair(image, 0.01 * sound, RATE).confidences[0]
    short = model.localize_pair(image, sound[: RATE // 2], RATE)  # repeated to the seconds that the model hears
    assert short.confidences[0] == pytest.approx(heard[0], abs=0.3)


def test_what_cancels_or_is_transparent_is_taken_alike_from_files_and_arrays(
    model: Localizer, result: Localization, tmp_path: Path
) -> None:
    sound = np.stack([tone(4.0), -tone(4.0)], axis=1).astype(np.float32)
    wavfile.write(tmp_path / "opposite.wav", RATE, sound)
    pixels = np.dstack([result.frames[0], np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)])
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    of_files = model.localize_pair(tmp_path / "clear.png", tmp_path / "opposite.wav")
    of_arrays = model.localize_pair(pixels, sound, RATE)
    assert not of_arrays.silent[0]
    assert of_arrays.confidences == pytest.approx(of_files.confidences, abs=1e-4)
    assert np.array_equal(of_arrays.frames, of_files.frames)
    assert np.array_equal(of_arrays.responses, of_files.responses)


def test_arrays_of_other_libraries_are_arrays(model: Localizer, result: Localization) -> None:
    sound = tone(3.0)
    wanted = model.localize_pair(result.frames[0], sound, sampling_rate=RATE)
    image = torch.from_numpy(result.frames[0])
    np.testing.assert_array_equal(
        model.localize_pair(image, torch.from_numpy(sound), sampling_rate=RATE).responses, wanted.responses
    )


def test_a_rate_that_is_not_the_file_s_is_refused(model: Localizer, result: Localization, tmp_path: Path) -> None:
    wavfile.write(tmp_path / "tone.wav", RATE, tone(4.0).astype(np.float32))
    image, sound = result.frames[0], tmp_path / "tone.wav"
    same = model.localize_many([(image, sound), (image, sound, RATE)])
    assert np.array_equal(same[0].responses, same[1].responses)
    for rate in (RATE + 1, "48000", np.nan):
        with pytest.raises(InputError, match=f"says itself that it has {RATE} samples a second"):
            model.localize_pair(image, sound, sampling_rate=rate)


def test_a_moment_that_there_is_not_is_refused(result: Localization) -> None:
    for number in (len(result), "a"):
        with pytest.raises(InputError, match=f"there are {len(result)}"):
            result.drawn(number)
    with pytest.raises(InputError, match="Give uint8"):
        result.drawn(0, image=np.zeros((8, 8, 3)))
    with pytest.raises(InputError, match="threshold of boxes is a"):
        result.boxes("a")


@pytest.mark.parametrize(
    ("image", "audio", "rate", "said"),
    [
        (np.zeros((8, 8, 3)), np.ones(100, np.float32), 100, "Give uint8"),
        (np.zeros((8, 8, 5), np.uint8), np.ones(100, np.float32), 100, "Give uint8"),
        (np.zeros((8, 8), np.uint8), np.ones(100, np.float32), None, "sampling_rate"),
        (np.zeros((8, 8), np.uint8), np.full(100, np.nan, np.float32), 100, "no numbers"),
        (np.zeros((8, 8), np.uint8), np.ones((2, 2, 2), np.float32), 100, "Give floats"),
        (np.zeros((8, 8), np.uint8), np.full(100, 32767), 100, "int64.*Give floats"),
        (np.zeros((8, 8), np.uint8), np.full(100, 32767.0), 100, "up to 32767"),
        (np.zeros((8, 8), np.uint8), np.full(100, -32768, np.int32), 100, "int32 up to 32768.*as int16"),
        (np.zeros((9000, 9000), np.uint8), np.ones(100, np.float32), 100, "9000x9000"),
        *(
            (np.zeros((8, 8), np.uint8), np.ones(100, np.float32), rate, f"sampling_rate of .* is {rate}")
            for rate in (0, 1, True, 440.5, np.nan, 10**12, "16000")
        ),
        (np.zeros((8, 8), np.uint8), Path("absent.wav"), None, "there is no file absent.wav"),
        (torch.zeros((8, 8, 3), device="meta"), np.ones(100, np.float32), 100, "no array"),
        (np.zeros((8, 8), np.uint8), torch.ones(100, device="meta"), 100, "no array"),
        (np.zeros((8, 8), np.uint8), np.ones((100, 101), np.float32), 100, "100 channels"),
        (Path("absent.png"), np.ones(100, np.float32), 100, "there is no file absent.png"),
    ],
)
def test_arrays_that_are_none_are_refused(model: Localizer, image, audio, rate: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        model.localize_pair(image, audio, rate)


def test_many_come_back_in_their_order(model: Localizer, video: Path, result: Localization) -> None:
    image, sound = result.frames[0], tone(6.0)
    found = model.localize_many([(image, sound, RATE), video, (image, 0 * sound, RATE)], every=2)
    assert [len(each) for each in found] == [1, 4, 1]
    assert [each.silent[0] for each in found] == [False, False, True]
    assert not found[2].maps.any()
    assert len(model.localize_many(path for path in [video])) == 1
    with pytest.raises(InputError, match="Give a path"):
        model.localize(image)
    for wrong in ("clip.mp4", [(image,)], [(image, sound, RATE, 1)], [[image, sound, RATE]], (image, sound, RATE), 5):
        with pytest.raises(InputError, match="Give a list"):
            model.localize_many(wrong)


def test_a_model_that_does_not_listen_is_never_sure(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, Deaf())
    result = Localizer.load("deaf").localize(video, every=1)
    assert result.unsure.tolist() == [True] * 5 + [False] * 2
    assert "low confidence" in result.warnings[0]


@pytest.mark.parametrize(("need", "flags"), [("burst", "--burst 3 --burst-rate 0.5"), ("flow", "annotate --flow")])
def test_a_model_of_more_than_single_moments_is_refused(
    video: Path, need: str, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = BrightAndLoud()
    method.needs, method.burst = frozenset({need}), (3, 0.5)
    stand_in(monkeypatch, method)
    with pytest.raises(InputError, match=f"single moments do not show.*{flags}`"):
        Localizer.load("moving").localize(video, every=1)


def test_the_document_says_what_was_found_and_no_place(result: Localization, video: Path) -> None:
    told = json.loads(result.to_json(threshold=0.5))
    assert (told["run"], told["video"], told["moments_per_second"]) == ("bright/0123abcd-s0", "clip.mp4", 1)
    assert [moment["silent"] for moment in told["moments"]] == result.silent.tolist()
    assert told["moments"][2]["boxes"][0]["box"] == pytest.approx(result.boxes()[2][0][:4], abs=1e-6)
    assert str(video.parent) not in result.to_json()
    assert "boxes" not in json.loads(result.to_json())["moments"][0]


def test_a_moment_is_drawn_as_an_image(result: Localization) -> None:
    drawn = result.drawn(2)
    assert (drawn.shape, drawn.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    x, y = (round(share * side) for share, side in zip(square_at(2.0), (WIDTH, HEIGHT), strict=True))
    warmth = drawn.astype(int)[..., 0] - drawn[..., 2]
    assert warmth[y - 6 : y + 6, x - 6 : x + 6].mean() > 60
    assert abs(warmth[:20, :40].mean()) < 8


def test_objects_say_in_a_line_what_they_are(result: Localization, model: Localizer) -> None:
    assert repr(result).startswith("Localization(clip.mp4: 7 moments, 0 to 6 s, maps ")
    assert repr(model).startswith("Localizer(bright/0123abcd-s0, ")


def test_an_overlay_is_a_video_of_as_many_frames(result: Localization, model: Localizer, tmp_path: Path) -> None:
    assert result.overlay(tmp_path / "overlay.mkv", threshold=0.5).frames == FPS * SECONDS
    with pytest.raises(InputError, match="is an image"):
        model.localize_pair(result.frames[0], tone(6.0), RATE).overlay(tmp_path / "image.mp4")
    with pytest.raises(InputError, match=r"\.mp4, \.mov, \.mkv"):
        result.overlay(tmp_path / "overlay.gif")
    with pytest.raises(InputError, match="is the video itself"):
        result.overlay(result.source.video)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        Localizer.load(tmp_path / "absent")
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        Localizer.load(tmp_path)


@pytest.mark.parametrize("given", ["nope", 5, [1]])
def test_a_run_of_a_front_end_that_there_is_not_is_refused_at_once(tmp_path: Path, given: object) -> None:
    run = write_run(tmp_path / "run")
    facts = json.loads((run / "data.json").read_text()) | {"front_end": given}
    (run / "data.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"data\.json names .*which is no front end here"):
        Localizer.load(run, device="cpu")


def test_equal_models_have_equal_digests(model: Localizer) -> None:
    assert model.digest == Localizer(model.model).digest
    assert model.digest != Localizer(model.model.viewing("centre_crop")).digest
