"""`init_from`: a run that goes on from another one's weights: which run it is, and what it has seen."""

import json
from pathlib import Path

import pytest
import torch
from tiny_run import write_tiny

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.config import RunConfig, load_config
from training.embed import embed
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.printing import trained_in_words
from training.export.card import _counted
from training.export.document import _evaluation
from training.loop.start import start
from training.report.comparison import comparisons
from training.report.results import read_run
from training.report.tables import score_tables
from training.runs import load_run


@pytest.fixture
def stage(shards: Path, tmp_path: Path):
    def make(name: str, *overrides: str, **more: int) -> RunConfig:
        method = {"name": "coarse_to_fine", "classes": 4, "dimension": 8, "hidden": 16, **more}
        optim = {"learning_rate": 1e-9}
        return load_config(write_tiny(tmp_path, shards, method, name=name, data={"shuffle": 8}, optim=optim), overrides)

    return make


@pytest.fixture
def first(stage, tmp_path: Path) -> Path:
    return start(stage("first"), tmp_path / "runs", "cpu")[0]


def test_a_later_stage_begins_with_the_weights_of_the_earlier_one(stage, first: Path, tmp_path: Path) -> None:
    config = stage("second", f"init_from={first.parent}", "data.drop_flagged=[]", "seed=1", stage=2)
    folder, _ = start(config, tmp_path / "runs", "cpu")
    before, after = load_run(first).method.state_dict(), load_run(folder).method.state_dict()
    weights = [name for name in before if name.endswith("weight")]
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in weights)
    assert {name.split(".")[0] for name in after.keys() - before.keys()} == {"image_parts", "audio_parts"}
    facts = json.loads((folder / "data.json").read_text())
    assert facts["classes"] == ["class0", "class1", "class2", "class3"]
    assert "earlier_stage" in facts["contents"]


def test_it_is_the_same_run_when_the_earlier_one_has_moved_and_another_without_it(stage, first, tmp_path: Path) -> None:
    again = stage("second", f"init_from={first}", stage=2)
    folder, trained = start(again, tmp_path / "runs", "cpu")
    assert trained
    moved = first.parent / "elsewhere"
    first.rename(moved)
    assert start(again, tmp_path / "runs", "cpu") == (folder, False)  # finished: what it began with need not be there
    assert start(stage("second", f"init_from={moved}", stage=2), tmp_path / "runs", "cpu") == (folder, False)
    assert start(stage("second", stage=2), tmp_path / "runs", "cpu")[0] != folder


def test_what_an_earlier_stage_was_trained_on_counts_as_seen(stage, first: Path, tmp_path: Path, store) -> None:
    some = tmp_path / "some.txt"
    some.write_text("".join(f"{key}\n" for key in (first / "training_clips.txt").read_text().split()[:20]))
    config = stage("second", f"init_from={first}", f"data.train_list={some}", stage=2)
    folder, _ = start(config, tmp_path / "runs", "cpu")
    assert (folder / "training_clips.txt").read_text().split() == (first / "training_clips.txt").read_text().split()


def test_an_earlier_stage_without_its_own_list_is_refused(stage, first: Path, tmp_path: Path) -> None:
    config, listed = stage("second", f"init_from={first}", stage=2), first / "training_clips.txt"
    whole = listed.read_text()
    for damaged in (whole[: len(whole) // 2], whole.replace("0", "1", 1), b"\xff\n"):
        listed.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
        with pytest.raises(InputError, match=r"training_clips\.txt (names|is damaged).*Copy the run again"):
            start(config, tmp_path / "runs", "cpu")
    listed.unlink()
    with pytest.raises(InputError, match=r"has no training_clips\.txt"):
        start(config, tmp_path / "runs", "cpu")


def test_unknown_clips_of_an_imported_run_are_said_by_every_later_one(stage, first, tmp_path, capsys) -> None:
    for name in ("training_clips.txt", "overlaps.json"):
        (first / name).unlink()
    facts = json.loads((first / "data.json").read_text())
    (first / "data.json").write_text(json.dumps({name: facts[name] for name in ("front_end", "manifest_sha256")}))
    earlier = first
    for name in ("second", "third"):
        earlier, _ = start(stage(name, f"init_from={earlier}", stage=2), tmp_path / "runs", "cpu")
        assert f"NOT CHECKED: what run first/{first.name} was trained on is not known" in capsys.readouterr().out
        training = json.loads((earlier / "overlaps.json").read_text())["training"]
        assert training["unknown"] == [f"first/{first.name}"]
    boxes = tmp_path / "vggss.json"
    keys = (earlier / "training_clips.txt").read_text().split()[:3]
    boxes.write_text(json.dumps([{"file": key, "class": "a", "bbox": [[0.2, 0.2, 0.6, 0.6]]} for key in keys]))
    (result,) = evaluate(load_run(earlier), EvaluationRequest(truth=boxes, protocols=("ezvsl",)))
    said = f"has weights of first/{first.name}, of which it is not known whether more of them were trained on"
    assert trained_in_words(result.summary) == ["was trained on 3 of these test clips", said]
    read = [read_run(earlier)]
    assert f"third {said}." in comparisons(read, ["third"])[0].notes
    assert f"third {said}." in score_tables(read, ["third"])[0].warnings
    card = _counted(_evaluation(read[0].every_evaluation[0]))
    assert f"; what first/{first.name}, whose weights it has, was trained on is not known" in card
    capsys.readouterr()
    embed(load_run(earlier), ShardStore.open(load_run(earlier).config.data.shards), tmp_path / "embeddings")
    assert f"NOT CHECKED: what run first/{first.name} was trained on" in capsys.readouterr().out
    (earlier / "training_clips.txt").unlink()
    for use in (lambda run: embed(run, ShardStore.open(run.config.data.shards), tmp_path / "other"),
                lambda run: evaluate(run, EvaluationRequest(truth=boxes, protocols=("kaist",)))):  # fmt: skip
        with pytest.raises(InputError, match=r"has no training_clips\.txt"):
            use(load_run(earlier))


def test_weights_that_do_not_fit_are_refused(stage, first: Path, tmp_path: Path) -> None:
    for override, complaint in (
        ("encoders.image.width=32", "do not fit"),
        (f"init_from={tmp_path / 'nowhere'}", "no finished run"),
    ):
        config = stage("second", f"init_from={first}", override, stage=2)
        with pytest.raises(InputError, match=complaint):
            start(config, tmp_path / "runs", "cpu")


def test_more_classes_than_the_method_knows_are_refused(stage, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"have 4 classes, and method\.classes is 3.*data\.label_groups"):
        start(stage("few", "method.classes=3"), tmp_path / "runs", "cpu")
