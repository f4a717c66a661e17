"""What the page is told of a video and of an image with sounds, by two models that were never trained."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from manifests.annotations import WHOLE
from training.localizer.model import Localizer
from training.overlay.panels import drawn_still
from training.serve import answers
from training.serve.answers import SILENT_THROUGHOUT, image_answer, together, video_answer
from training.serve.jobs import THRESHOLDS, USUAL_THRESHOLD, ImageJob, VideoJob

from .conftest import SECONDS, make_video


@pytest.fixture(scope="module")
def models(runs: list[Path]) -> list[Localizer]:
    return [Localizer.load(run, "cpu") for run in runs]


def test_a_video_beside_itself_by_two_models(models: list[Localizer], media: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    job = VideoJob((0, 1), media / "clip.mp4", tmp_path)
    answer = video_answer(models, job, lambda said, share: told.append((said, share)))
    json.dumps(answer)
    assert answer["duration"] == pytest.approx(SECONDS, abs=0.1)
    assert [run["model"] for run in answer["runs"]] == [0, 1]
    for run in answer["runs"]:
        count = len(run["times"])
        assert count == 4 * SECONDS + 1
        assert {len(run[name]) for name in ("confidences", "silent", "places", "boxes")} == {count}
        assert not any(run["silent"])
        assert np.all((np.array(run["places"]) > 0) & (np.array(run["places"]) < 1))
        with av.open(run["video"]) as video:
            assert video.streams.audio
            assert sum(1 for _ in video.decode(video=0)) == 10 * SECONDS
        assert len(json.loads(Path(run["peaks"]).read_text())["moments"]) == count
    first, second = answer["runs"]
    assert first["confidences"] != second["confidences"]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.9 < shares[-1] <= 1  # an overlay tells of whole seconds


def test_a_higher_threshold_never_has_wider_boxes(models: list[Localizer], media: Path, tmp_path: Path) -> None:
    answer = video_answer(models, VideoJob((0,), media / "clip.mp4", tmp_path), lambda *_: None)
    by_threshold = answer["runs"][0]["boxes"][4]
    assert list(by_threshold) == [f"{threshold:.2f}" for threshold in THRESHOLDS]
    assert f"{USUAL_THRESHOLD:.2f}" in by_threshold
    areas = [sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes) for boxes in by_threshold.values()]
    assert areas[0] > areas[-1]


def test_a_silent_video_is_said_to_be_one(models: list[Localizer], tmp_path: Path) -> None:
    video = make_video(tmp_path / "silent.mp4", 1, 0.0)
    answer = video_answer(models, VideoJob((0,), video, tmp_path), lambda *_: None)
    (run,) = answer["runs"]
    assert all(run["silent"])
    assert run["warnings"] == [SILENT_THROUGHOUT]
    assert not any(boxes for moment in run["boxes"] for boxes in moment.values())


def test_sounds_of_an_image_share_a_scale(models: list[Localizer], media: Path, tmp_path: Path) -> None:
    image, sounds = media / "image.png", (media / "sound.wav", media / "clip.mp4")
    answer = image_answer(models, ImageJob(1, image, sounds, tmp_path))
    json.dumps(answer)
    assert [each["audio"] for each in answer["answers"]] == ["sound", "clip"]
    for each in answer["answers"]:
        assert Image.open(each["image"]).size == (640, 480)
    (found,) = models[1].localize_many([(image, sounds[0])])
    loud, faint = (replace(found, responses=scale * found.responses) for scale in (1, 0.3))
    joined = together([loud, faint])
    assert joined.maps[0].max() == pytest.approx(1, abs=0.02)
    assert joined.maps[1].max() < 0.6
    assert faint.maps.max() == pytest.approx(1, abs=0.02)  # alone it would glow as brightly


@pytest.mark.parametrize(("size", "shown"), [((1000, 1), (4096, 4)), ((8000, 1), (8000, 1)), ((64, 48), (640, 480))])
def test_a_strip_is_not_enlarged_beyond_a_screen(size: tuple[int, int], shown: tuple[int, int]) -> None:
    pixels = answers._large_enough(np.zeros((*size[::-1], 3), np.uint8))
    assert pixels.shape == (*shown[::-1], 3)
    assert drawn_still(pixels, np.eye(4, dtype=np.float32), WHOLE, np.zeros((0, 5)), "").shape == pixels.shape
