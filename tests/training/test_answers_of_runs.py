"""What runs answer to protocols that ask for more than a map a clip: a class for every pixel, maps of mixtures."""

import csv
import json
import shutil
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from class_frames import write_avss
from shard_maker import MadeClip, write_bursts, write_shards, write_waveforms
from tiny_run import train_tiny

from manifests.errors import InputError
from manifests.truth import read_truth
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.answers import takes_apart
from training.class_labels import labels_of
from training.data.beside import Beside, Heard
from training.data.mixtures import mixture_names, mixture_pairs
from training.data.pairs import EvaluationPair, paired_batches
from training.data.views import decode_image
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.protocols import find_protocol
from training.evaluation.tasks import duets
from training.methods import method_module, method_names
from training.methods.dmc import Config
from training.predict import predict
from training.runs import LoadedRun
from training.several_maps import responses_by_class, source_maps_of

from .conftest import made_clip

AVEL = {"name": "avel", "classes": 4, "dimension": 8, "hidden": 4, "fused": 8}
LCBM = {"name": "lcbm", "classes": 4, "dimension": 8}
DMC = {"name": "dmc", "dimension": 8}
COARSE_TO_FINE = {"name": "coarse_to_fine", "classes": 4, "dimension": 8, "hidden": 8}
AVOBJECT = {"name": "avobject", "images": 5, "rate": 4.0, "shifts": 1, "dimension": 8, "n_peaks": 64, "apart": 0.0}
EVALUATION = {"batch_size": 4}


@pytest.fixture(scope="module")
def ezvsl(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return train_tiny(tmp_path_factory.mktemp("ezvsl"), shards, evaluation=EVALUATION)


@pytest.fixture(scope="module")
def keys(store: ShardStore) -> list[str]:
    columns = zip(store.keys, store.table["split"].to_pylist(), strict=True)
    return sorted(key for key, split in columns if split == "test")


@pytest.fixture
def vggss(keys: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "vggss.json"
    path.write_text(json.dumps([{"file": key, "class": "x", "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key in keys]))
    return path


@pytest.fixture
def avss(keys: list[str], tmp_path: Path) -> EvaluationRequest:
    """A video of five frames, which are clips of the shards, with the classes 3 and 9."""
    true = np.zeros((5, 32, 32), np.int64)
    true[:, 8:24, 8:24], true[:, :4, :4] = 3, 9
    folder = write_avss(tmp_path / "avss", {("v1s", "one"): true})
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        rows = [[f"v1s/one_{number + 1}", key, key] for number, key in enumerate(keys[:5])]
        csv.writer(file).writerows([["name", "video", "audio"], *rows])
    return EvaluationRequest(truth=folder, format="avss", pairs=tmp_path / "pairs.csv", protocols=("avss",))


def asked_with(request: EvaluationRequest, lines: list[str], path: Path) -> EvaluationRequest:
    path.write_text("\n".join(["category,clip", *lines]))
    return EvaluationRequest(request.truth, request.format, pairs=request.pairs, references=path, protocols=("avss",))


def test_a_class_for_every_pixel_by_sounds_of_each_class(ezvsl, avss, keys, tmp_path: Path) -> None:
    lines = [f"3,{keys[5]}", f"9,{keys[6]}", f"9,{keys[7]}"]
    (result,) = evaluate(ezvsl, asked_with(avss, lines, tmp_path / "sounds.csv"))
    assert (result.summary["n_scored"], result.summary["n_expected"]) == (5, 5)
    assert result.summary["unknown_classes"] == []
    assert 0 < result.summary["scores"]["audio_visual"]["miou_classes_textbook"] < 1
    assert result.summary["lists"]["references"]["name"] == "sounds.csv"
    for wrong, message in (("dog", "no label2idx.json"), ("71", "1 to 70"), ("0", "none of the set's classes")):
        with pytest.raises(InputError, match=message):
            evaluate(ezvsl, asked_with(avss, [f"{wrong},{keys[5]}"], tmp_path / f"{wrong}.csv"))


def test_reference_sounds_that_no_protocol_asks_with_are_refused(ezvsl, vggss, keys, tmp_path: Path) -> None:
    (tmp_path / "sounds.csv").write_text(f"category,clip\n3,{keys[5]}")
    with pytest.raises(InputError, match="kaist asks with no reference sounds"):
        evaluate(ezvsl, EvaluationRequest(truth=vggss, references=tmp_path / "sounds.csv", protocols=("kaist",)))


def test_a_method_that_knows_no_classes_says_what_to_do(ezvsl, avss) -> None:
    with pytest.raises(InputError, match=r"ezvsl says where .* Give --references"):
        evaluate(ezvsl, avss)


def test_every_method_that_learns_from_labels_tells_its_classes_apart() -> None:
    named = {name: method_module(name).Method for name in method_names()}
    labelled = {name for name, method in named.items() if "labels" in method.needs}
    assert {"avel", "lcbm"} <= labelled
    assert all(hasattr(named[name], "class_responses") for name in labelled | {"coarse_to_fine"})


@pytest.mark.parametrize("method", [AVEL, COARSE_TO_FINE, LCBM], ids=itemgetter("name"))
def test_classes_that_a_run_was_trained_on(shards: Path, store, keys, avss, method: dict, tmp_path: Path) -> None:
    run = train_tiny(tmp_path, shards, method, evaluation=EVALUATION)
    with pytest.raises(InputError, match=r"None of the 4 classes .* no label2idx.json"):
        evaluate(run, avss)
    (Path(avss.truth) / "label2idx.json").write_text(json.dumps({"background": 0, "class0": 3, "class2": 9}))
    (result,) = evaluate(run, avss)
    assert result.summary["unknown_classes"] == ["class1", "class3"]
    assert result.summary["n_scored"] == 5
    pairings = [EvaluationPair(key, store.row_of(key), store.row_of(key)) for key in keys]
    responses = responses_by_class(run, store, pairings)
    assert responses.shape[:2] == (16, 4)
    if method != LCBM:  # whose map is not made of them
        np.testing.assert_allclose(responses.sum(axis=1), predict(run, store, pairings).maps, atol=1e-5)
    (Path(avss.truth) / "label2idx.json").write_text(json.dumps({"class0": 71}))
    with pytest.raises(InputError, match="'class0' the number 71"):
        evaluate(run, avss)


@pytest.fixture(scope="module")
def moving(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shards with three images a second apart of each clip, its own between two that are its mirror images."""
    folder = Path(shutil.copytree(shards, tmp_path_factory.mktemp("moving") / "shards"))
    store = ShardStore.open(folder)
    images = [store.decoded(row, FRAME, decode_image).permute(1, 2, 0).numpy() for row in range(len(store.keys))]
    bursts = [np.stack([image[:, ::-1], image, image[::-1]]) for image in images]
    write_bursts(folder, dict(zip(store.keys, bursts, strict=True)), rate=1.0, moment=1)
    return folder


@pytest.mark.parametrize("method", [AVEL | {"segments": 3}, LCBM | {"frames": 3}], ids=itemgetter("name"))
def test_classes_are_told_of_all_images_that_a_method_sees(
    shards: Path, moving: Path, keys, method: dict, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"hold no consecutive images.*`--burst 3 --burst-rate 1`"):
        train_tiny(tmp_path, shards, method, evaluation=EVALUATION)
    run, store = train_tiny(tmp_path, moving, method, evaluation=EVALUATION), ShardStore.open(moving)
    pairings = [EvaluationPair(key, store.row_of(key), store.row_of(key)) for key in keys]
    responses, found = responses_by_class(run, store, pairings), predict(run, store, pairings)
    assert responses.shape[:2] == (16, 4)
    if method["name"] == "avel":
        np.testing.assert_allclose(responses.sum(axis=1), found.maps, atol=1e-5)
        np.testing.assert_allclose(responses.sum(axis=(2, 3)).max(axis=1), found.scores, atol=1e-5)
    with pytest.raises(InputError, match=r"no burst companion.*`--burst N --burst-rate RATE`"):
        responses_by_class(run, ShardStore.open(shards), pairings)


def test_where_it_sounds_is_the_own_map_and_what_it_is_the_largest_response() -> None:
    maps = np.zeros((1, 2, 2), np.float32)
    maps[0, 0] = 1  # the upper half sounds
    responses = np.zeros((1, 3, 2, 2), np.float32)
    responses[0, 1, :, 0] = responses[0, 2, :, 1] = 1
    labels = labels_of(maps, responses, [4, 7, 70])[0]
    assert labels.shape == (224, 224)
    assert (labels[0, 0], labels[0, -1]) == (7, 70)
    assert set(np.unique(labels)) == {0, 7, 70}
    assert not labels[-1].any()


@pytest.mark.parametrize(("protocol", "images", "cases"), [("noprior_duet", 2, 8), ("noprior_trio", 3, 5)])
def test_a_run_hears_a_mixture_over_several_images(ezvsl, vggss, keys, protocol, images, cases) -> None:
    (result,) = evaluate(ezvsl, EvaluationRequest(truth=vggss, protocols=(protocol,)))
    assert (result.summary["n_scored"], result.summary["n_expected"]) == (cases, cases)
    assert result.summary["n_without_maps"] == 0
    assert 0 < result.summary["scores"]["audio_visual"]["piap"] < 1
    own = result.table["key"].to_pylist()
    assert own[0] == "+".join(keys[at * cases] for at in range(images))


@pytest.mark.parametrize("method", [DMC, COARSE_TO_FINE])
def test_every_source_of_a_mixture_has_a_map_of_its_own(
    shards: Path, store, vggss, keys, method: str, tmp_path: Path
) -> None:
    run = train_tiny(tmp_path, shards, method, evaluation=EVALUATION)
    (result,) = evaluate(run, EvaluationRequest(truth=vggss, protocols=("noprior_duet",)))
    pairings = [EvaluationPair(key, store.row_of(key), store.row_of(key)) for key in keys]
    names, maps, owner = [], [], []
    for at in range(8):
        case = keys[at], keys[at + 8]
        own, heard = source_maps_of(run, store, mixture_pairs([case], pairings), 2)
        loudness = heard.max(axis=0)
        there = sorted((k for k in range(len(loudness)) if loudness[k] > 0), key=lambda k, loud=loudness: -loud[k])
        names.append("+".join(case))
        maps += [np.concatenate([own[0, k], own[1, k]]) for k in there]
        owner += [at] * len(there)
    assert len(maps) > 8
    truth, protocol = read_truth(vggss, "vggss"), find_protocol("noprior_duet")
    expected = duets.score(duets.MixtureMaps(names, np.stack(maps), np.array(owner)), truth, protocol)
    assert result.summary["n_maps"] == expected.summary["n_maps"] == len(maps)
    assert result.summary["scores"] == expected.summary["scores"]
    assert result.table["iou"].to_pylist() == expected.table["iou"].to_pylist()


def test_objects_of_a_mixture_are_found_in_consecutive_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    clips = [made_clip(number, rng) for number in range(20)]  # four of which are a test
    folder = write_shards(tmp_path / "shards", clips, short_side=64)
    bursts = {clip.key: rng.integers(0, 255, (5, *clip.frame.shape), dtype=np.uint8) for clip in clips}
    write_bursts(folder, bursts, AVOBJECT["rate"], moment=2)
    run = train_tiny(tmp_path, folder, AVOBJECT, optim={"batch_size": 5}, evaluation=EVALUATION)
    keys = sorted(clip.key for clip in clips if clip.split == "test")
    (tmp_path / "vggss.json").write_text(
        json.dumps([{"file": key, "class": "x", "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key in keys])
    )
    (result,) = evaluate(run, EvaluationRequest(truth=tmp_path / "vggss.json", protocols=("noprior_duet",)))
    own = ShardStore.open(folder)
    pairings = [EvaluationPair(key, own.row_of(key), own.row_of(key)) for key in keys]
    mixed = mixture_pairs([(keys[at], keys[at + 2]) for at in range(2)], pairings)
    maps, heard = source_maps_of(run, own, mixed, 64)
    whole = predict(run, own, mixed).maps + run.method.scale.abs().item()
    np.testing.assert_allclose(maps.sum(axis=1), whole, atol=1e-5)
    assert result.summary["n_scored"] == 2
    assert result.summary["n_maps"] == (heard[:, :2].reshape(2, 2, 2).max(axis=1) > 0).sum() > 2


def test_a_method_with_one_map_a_mixture_and_all_boxes_as_one_is_asked_for_one(ezvsl, vggss) -> None:
    (result,) = evaluate(ezvsl, EvaluationRequest(truth=vggss, protocols=("noprior_duet",)))
    assert result.summary["n_maps"] == result.summary["n_scored"] == 8
    asked = {name: find_protocol(f"noprior_{name}") for name in ("duet", "trio", "music")}
    assert not any(takes_apart(ezvsl, protocol) for protocol in asked.values())
    several = replace(ezvsl, method=method_module("dmc").Method(Config(), ezvsl.config.encoders))
    assert [takes_apart(several, protocol) for protocol in asked.values()] == [True, True, False]


def test_cases_whose_clips_are_absent_are_named_and_none_at_all_is_refused(ezvsl, keys, tmp_path: Path) -> None:
    def of(names: list[str]) -> EvaluationRequest:
        path = tmp_path / f"{len(names)}.json"
        path.write_text(json.dumps([{"file": key, "class": "x", "bbox": [[0, 0, 0.5, 0.5]]} for key in names]))
        return EvaluationRequest(truth=path, protocols=("noprior_duet",))

    absent = [f"zzz{number:08d}_000001" for number in range(4)]
    (result,) = evaluate(ezvsl, of([*keys[:6], *absent]))  # c0 goes with c5, c1 to c4 with the four that are absent
    assert result.summary["n_scored"] == 1
    assert result.summary["missing"] == [f"{key}+{other}" for key, other in zip(keys[1:5], absent, strict=True)]
    with pytest.raises(InputError, match=r"has 8: the first of its 4 cases is clip.*\+zzz.* holds the clips of none"):
        evaluate(ezvsl, of([*keys[:4], *absent]))
    with pytest.raises(InputError, match="has 1: they make no case"):
        evaluate(ezvsl, of(keys[:1]))


def test_a_mixture_is_the_mean_of_its_spectrograms(store: ShardStore, ezvsl, vggss, keys) -> None:
    pairings = [EvaluationPair(key, store.row_of(key), store.row_of(key)) for key in keys[:4]]
    case = (keys[0], keys[3])
    pairs = mixture_pairs([case, case, (keys[0], "absent")], pairings)
    assert [pair.name for pair in pairs] == mixture_names(case)
    assert pairs[0].heard == pairs[1].heard != pairings[0].heard
    ((_, images, sounds),) = paired_batches(store, pairs, 32, 4)
    rows = [store.row_of(key) for key in case]
    expected = np.mean([store.spectrogram(row).astype(np.float32) for row in rows], axis=0)
    for sound in sounds:
        np.testing.assert_allclose(sound.float(), expected, atol=0.01)
    assert not np.array_equal(images[0], images[1])


def test_a_mixture_of_waveforms(tmp_path: Path) -> None:
    nothing = np.zeros((64, 64, 3), np.uint8), np.zeros((257, 300), np.float16)
    folder = write_shards(tmp_path / "shards", [MadeClip(name, *nothing) for name in "ab"], short_side=64)
    levels = {"a": 0.5, "b": -0.25}
    write_waveforms(folder, {name: np.full(33075, own, np.float32) for name, own in levels.items()}, 11025, 3.5)
    beside = Beside(ShardStore.open(folder), frozenset({"waveform"}))
    mixed = beside.shown(0, "squash", 64, Heard(0, mixed=(1,)))["waveform"]
    np.testing.assert_allclose(mixed, 0.125, atol=1e-3)


@pytest.mark.parametrize(("protocol", "words"), [("boxes", "maps and no boxes"), ("retrieval_max", "no cell features")])
def test_what_a_method_has_no_answer_for_is_refused_before_it_predicts(
    shards: Path, vggss: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, words: str
) -> None:
    run = train_tiny(tmp_path, shards, AVEL)
    monkeypatch.setattr("training.evaluate.predict", None)
    with pytest.raises(InputError, match=words):
        evaluate(run, EvaluationRequest(truth=vggss, protocols=(protocol,)))
