"""A run with maps of classes of its own, on frames of several instruments: which class is which, and what is scored."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from made_duets import write_duets

from manifests.errors import InputError
from manifests.readers.music import read_music
from manifests.test_sets import Annotation, MusicFrame, MusicSet, TestSet, Truth
from pipeline.shards.store import ShardStore
from training.config import load_config
from training.data.mixtures import mixture_pairs
from training.data.pairs import EvaluationPair
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.printing import table
from training.evaluation.tasks import score
from training.evaluation.tasks.several_sources import ClusterMaps
from training.loop.start import start
from training.reference_sounds import References, owned_classes
from training.runs import LoadedRun, load_run
from training.several_maps import class_maps_of, source_maps_of

CLASSES = 4


def test_each_instrument_owns_a_class_and_further_ones_go_where_they_are_heard() -> None:
    heard = np.array([[0.5, 0.4, 0.1, 0.0], [0.9, 0.0, 0.0, 0.1]])
    # the first instrument is heard as class 0 most, but the sum is larger when the second has it
    assert owned_classes(heard).tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]
    assert owned_classes(np.array([[0.2], [0.8]])).tolist() == [[0], [1]]  # fewer classes than instruments


def test_reference_sounds_name_the_classes() -> None:
    references = References(("cello", "flute", "cello"), ("a", "b", "c"))
    heard = np.array([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])
    maps = np.random.default_rng(0).random((2, 2, 3, 3)).astype(np.float32)
    found = references.named(maps, heard, ["x", "y"])
    assert (found.categories, found.correspondence.tolist()) == (["cello", "flute"], [[0, 1], [1, 0]])
    assert found.maps is maps


def test_what_no_map_is_of_and_frames_without_boxes_are_said() -> None:
    box = (0.0, 0.0, 0.5, 1.0)
    frames = MusicFrame("a", {"cello": (box,), "flute": (box,)}), MusicFrame("b", {})
    music = MusicSet("music", frames, "music", "0" * 64)
    truth = Truth("music", TestSet("set", (Annotation("a", None, (box,)),), "set", "0" * 64), None, None, music)
    maps = np.random.default_rng(0).random((1, 2, 7, 7)).astype(np.float32)
    found = ClusterMaps(["a"], maps, np.eye(2, dtype=np.int64), ["cello", "flute"])
    said = table(score(found, truth, "music_duet").summary)
    assert "1 frames without boxes: not scored" in said
    with pytest.raises(InputError, match=r"shows flute, .* categories are cello, violin.* --references"):
        score(replace(found, categories=["cello", "violin"]), truth, "music_duet")


def test_a_list_of_no_frame_is_said(tmp_path: Path) -> None:
    (tmp_path / "duettest.json").write_text("{}")
    with pytest.raises(InputError, match=r"duettest\.json names no frame"):
        read_music(tmp_path / "duettest.json", "music")


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A second stage after a first one; a few steps of each."""
    folder = tmp_path_factory.mktemp("stages")
    common = {
        "data": {"shards": str(shards), "image_size": 32, "exclude_test": []},
        "encoders": {"image": {"blocks": [1, 1], "width": 8, "weights": "none"},
                     "audio": {"blocks": [1, 1], "width": 8, "input_pool": [8, 10]}},
        "evaluation": {"batch_size": 4},
    }  # fmt: skip
    epochs = {"first": 3, "second": 1}
    methods = {
        "first": {"name": "dsol", "dimension": 8, "clusters": CLASSES, "passes": 1},
        "second": {"name": "dsol_mixtures", "dimension": 8, "clusters": CLASSES},
    }
    for name, method in methods.items():
        content = common | {"name": name, "method": method, "optim": {"epochs": epochs[name], "batch_size": 16}}
        if name == "second":
            content["init_from"] = str(folder / "runs" / "first")
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        trained, _ = start(load_config(folder / f"{name}.yaml"), folder / "runs", "cpu")
    return load_run(trained)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["music_duet", "music_synthetic"])
def test_a_second_stage_is_scored_by_its_own_class_maps(
    run: LoadedRun, store: ShardStore, tmp_path: Path, protocol: str
) -> None:
    columns = (store.table[name].to_pylist() for name in ("key", "split"))
    keys = [key for key, split in zip(*columns, strict=True) if split == "test"]
    boxes = [{"normbox": [0.0, 0.1, 0.3, 0.5], "category_id": 1}, {"normbox": [0.4, 0.1, 0.2, 0.5], "category_id": 8}]
    names, truth = write_duets(tmp_path, keys, boxes)
    assert truth.music is not None
    instruments = list(truth.music.frames[0].boxes)
    asked = EvaluationRequest(
        truth=tmp_path / "duet.json", format="music", pairs=tmp_path / "music.csv",
        references=tmp_path / "references.csv", protocols=(protocol,),
    )  # fmt: skip
    (found,) = evaluate(run, asked)

    rows = [store.row_of(key) for key in keys]
    pairs = [EvaluationPair(name, row, row) for name, row in zip(names, rows, strict=True)]
    maps = class_maps_of(run, store, pairs)
    assert maps.shape[:2] == (len(keys), CLASSES)
    np.testing.assert_allclose(maps.sum(axis=1), 1, atol=1e-5)
    with torch.no_grad():
        spectra = torch.from_numpy(np.stack([store.spectrogram(row) for row in rows[:2]])).float()[:, None] / 12
        heard = run.method.heard_classes(spectra).numpy()
    references = References(tuple(instruments), tuple(keys[:2]))
    named = references.named(maps, heard, [one.key for one in truth.music.frames])
    expected = score(named, truth, protocol)
    assert found.summary["scores"]["audio_visual"]["nsa"] == expected.summary["scores"]["audio_visual"]["nsa"]
    assert found.table["iou"].to_pylist() == pytest.approx(expected.table["iou"].to_pylist(), abs=1e-6)


@pytest.mark.slow
def test_a_second_stage_gives_mixtures_a_map_for_each_class_that_sounds(
    run: LoadedRun, store: ShardStore, tmp_path: Path
) -> None:
    columns = (store.table[name].to_pylist() for name in ("key", "split"))
    keys = sorted(key for key, split in zip(*columns, strict=True) if split == "test")
    boxes = [{"file": key, "class": "x", "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key in keys]
    (tmp_path / "vggss.json").write_text(json.dumps(boxes))
    (found,) = evaluate(run, EvaluationRequest(truth=tmp_path / "vggss.json", protocols=("noprior_trio",)))
    pairs = [EvaluationPair(key, store.row_of(key), store.row_of(key)) for key in keys]
    mixed = mixture_pairs([(keys[at], keys[at + 5], keys[at + 10]) for at in range(5)], pairs)
    _, heard = source_maps_of(run, store, mixed, 3)
    assert found.summary["n_scored"] == 5
    assert 5 <= found.summary["n_maps"] == (heard.reshape(5, 3, CLASSES).max(axis=1) > 0).sum()


@pytest.mark.slow
def test_a_reference_sound_that_is_not_there_is_said(run: LoadedRun, store: ShardStore) -> None:
    with pytest.raises(InputError, match="1 of 1 reference sounds are not in"):
        References(("cello",), ("nobody_000000",)).rows(store)
