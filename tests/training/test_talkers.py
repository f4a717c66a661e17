"""The videos of two talkers: whose mouth moves with the sound is who is heard, and nothing else says so."""

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synchrony.talkers import CORNERS, FACE, FPS, FRAMES, RATE, SIDE, write_clip


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, list[float]]:
    path = tmp_path / "talk.mp4"
    return path, write_clip(path, np.random.default_rng(3))


def test_the_mouth_of_the_face_that_is_heard_opens_with_the_sound(clip: tuple[Path, list[float]]) -> None:
    path, box = clip
    with av.open(str(path)) as container:
        images = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert images.shape == (FRAMES, SIDE, SIDE, 3)
    assert len(sound) / RATE == pytest.approx(FRAMES / FPS, abs=0.15)
    loud = [np.abs(sound[round(number * RATE / FPS) :][: round(RATE / FPS)]).mean() for number in range(FRAMES)]
    open_ = {corner: _darkness(images, corner) for corner in CORNERS}
    moving = {corner: values for corner, values in open_.items() if values.std() > 5}
    heard = (round(box[1] * SIDE), round(box[0] * SIDE))
    assert len(moving) == 2  # both talk
    found = {corner: np.corrcoef(values, loud)[0, 1] for corner, values in moving.items()}
    assert max(found, key=lambda corner: found[corner]) == heard
    assert found[heard] > 0.8
    assert max(value for corner, value in found.items() if corner != heard) < 0.5


def _darkness(images: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """How dark the lower half of a face is, image by image."""
    top, left = corner
    return -images[:, top + FACE // 2 : top + FACE, left : left + FACE].mean(axis=(1, 2, 3))
