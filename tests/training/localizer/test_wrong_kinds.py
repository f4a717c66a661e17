"""Whatever is handed to a public name in place of what it takes is answered by an InputError, a short one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright_localizer import square_video

from index import Neighbours
from manifests.errors import InputError
from pipeline import ShardStore
from training import Localization, Localizer, score

WRONG = {
    "none": None,
    "a number": 7,
    "a fraction": 0.5,
    "a list": ["a", "b"],
    "arrays": [np.zeros((500, 500)), np.ones((500, 500))],
    "a mapping": {"a": 1},
    "bytes": b"name",
    "an empty text": "",
    "a text": "nowhere",
    "a null": "a\0b",
    "anything": object(),
}
TEXTS, NUMBERS = ("an empty text", "a text", "a null"), ("a number", "a fraction")


def refused(call: Callable[..., object], given: dict[str, object], **others: Any) -> None:
    """Each of `given` in place of a parameter that takes none of them."""
    for name, value in given.items():
        with pytest.raises(InputError) as error:
            call(value, **others)
        assert len(str(error.value)) < 1500, name
        assert "[[" not in str(error.value), name


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in WRONG.items() if name not in names}


@pytest.fixture(scope="module")
def result(model: Localizer, tmp_path_factory: pytest.TempPathFactory) -> Localization:
    return model.localize(square_video(tmp_path_factory.mktemp("video") / "clip.mp4"), every=3)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    entries = [{"file": "3qesirWAGt4_000020", "class": "dog", "bbox": [[0.1, 0.2, 0.6, 0.7]]}]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(entries))
    return path


def test_score(truth: Path) -> None:
    maps = {"3qesirWAGt4_000020": np.eye(14)}
    assert score(maps, truth)["n_scored"] == 1
    refused(score, WRONG, truth=truth)
    refused(lambda given: score(maps, given), WRONG)
    refused(lambda given: score(maps, truth, given), WRONG)
    refused(lambda given: score(given, maps), {"a path where the maps go": truth})
    refused(lambda given: score({given: np.eye(14)}, truth), {name: WRONG[name] for name in ("none", "a number")})
    refused(lambda given: score({"3qesirWAGt4_000020": given}, truth), without("arrays"))
    refused(lambda given: score(maps, truth, format=given), WRONG)
    for name in ("negatives", "clips"):
        refused(lambda given, name=name: score(maps, truth, **{name: given}), without("none"))
    refused(lambda given: score(maps, truth, test_set=given), without("none", "a text", "an empty text", "a null"))
    refused(lambda given: score(maps, truth, alpha=given), without("a fraction"))
    refused(lambda given: score(maps, truth, temperature=given), without(*NUMBERS))
    refused(lambda given: score(maps, truth, seed=given), without("a number"))


def test_localizer_load() -> None:
    refused(Localizer.load, WRONG)
    refused(Localizer.from_pretrained, WRONG)
    refused(lambda given: Localizer.load("nowhere", device=given), WRONG)
    refused(lambda given: Localizer.load("nowhere", view=given), WRONG)


def test_localize(model: Localizer, result: Localization) -> None:
    video = result.source.video
    refused(model.localize, WRONG)
    refused(model.moment_count, WRONG)
    refused(lambda given: model.moment_count(video, every=given), without("none", *NUMBERS))
    refused(lambda given: model.localize(video, every=given), without("none", *NUMBERS))
    refused(lambda given: model.localize(video, moments=given), without("none", "arrays", *NUMBERS))
    refused(model.localize_many, WRONG)
    refused(lambda given: model.localize_many([given]), WRONG)
    refused(lambda given: model.localize_many([(given, given)]), WRONG)
    refused(lambda given: model.localize_pair(given, np.zeros(16000), 16000), WRONG)
    frame = np.zeros((20, 30, 3), np.uint8)
    refused(lambda given: model.localize_pair(frame, given, 16000), WRONG)
    refused(lambda given: model.localize_pair(frame, np.zeros(16000), given), WRONG)
    refused(lambda given: model.localize_pair(frame, np.zeros(16000), 16000, given), without("none", "a fraction"))


def test_what_came_back(result: Localization) -> None:
    refused(lambda given: result.boxes(threshold=given), without("a fraction"))
    refused(result.overlay, WRONG)
    refused(result.drawn, WRONG)
    refused(lambda given: result.drawn(0, threshold=given), without("none", "a fraction"))
    refused(lambda given: result.drawn(0, image=given), without("none"))
    refused(result.to_json, without("none", "a fraction"))


def test_shards(shards: Path) -> None:
    refused(ShardStore.open, WRONG)
    store = ShardStore.open(shards)
    rows = without("a number") | {"past the end": len(store), "before the start": -1}
    for read in (store.frame, store.spectrogram, store.facts):
        refused(read, rows)
    refused(store.row_of, WRONG)
    for name in ("waveform", "frames", "burst", "proposals", "flow"):
        refused(getattr(store.companions, name), rows)
    assert store.frame(np.int64(1)).ndim == 3


def test_neighbours(shards: Path, knn: Path) -> None:
    store = ShardStore.open(shards)
    refused(Neighbours.open, WRONG, manifest_sha256=store.manifest_sha256)
    refused(lambda given: Neighbours.open(knn, given), WRONG)
    refused(Neighbours.open(knn, store.manifest_sha256).position_of, WRONG)
