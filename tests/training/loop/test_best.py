"""Early stop against last: what is kept, on which clips it may be chosen, and that training does not notice."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_run import EZVSL, write_tiny

from manifests.errors import InputError, Interrupted
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.config import RunConfig, load_config
from training.evaluate import EvaluationRequest, evaluate
from training.loop.best import check_choosing
from training.loop.start import start
from training.predict import shown_batches
from training.report.comparison import as_text, comparisons
from training.report.results import read_run
from training.runs import load_run


@pytest.fixture
def config(shards: Path, tmp_path: Path):
    store = ShardStore.open(shards)
    columns = zip(store.keys, store.table["split"].to_pylist(), strict=True)
    splits = list(columns)
    keys, trained = ([key for key, split in splits if split == wanted] for wanted in ("test", "train"))
    lists = {"val": keys[:8], "test": keys[8:], "part": [*keys[:3], "absent00000_000001"], "learned": trained[:2]}
    for name, chosen in (lists | {"none": ["absent00000_000001"]}).items():
        entries = [{"file": key, "class": "c", "bbox": [[0.0, 0.1, 0.7, 0.9]]} for key in chosen]
        (tmp_path / f"{name}.json").write_text(json.dumps(entries))

    def write(**validation: object) -> RunConfig:
        return load_config(
            write_tiny(
                tmp_path,
                shards,
                method=EZVSL | {"positives": ["own"]},
                data={"lists": tmp_path, "exclude_test": []},
                optim={"epochs": 3, "learning_rate": 1e-2},
                evaluation={"truth": tmp_path / "test.json", "test_set": "boxes", "protocols": ["ezvsl"]},
                validation=validation or None,
            )
        )

    return write


def test_the_best_epoch_is_kept_beside_the_last(config, tmp_path: Path) -> None:
    with_validation = config(truth=tmp_path / "val.json")
    folder, _ = start(with_validation, tmp_path / "runs", "cpu")
    history = json.loads((folder / "validation.json").read_text())
    assert len(history) == 3
    best, last = load_run(folder, weights="best"), load_run(folder)
    first_best = max(history, key=history.get) != list(history)[-1]
    same = all(torch.equal(a, b) for a, b in zip(best.method.parameters(), last.method.parameters(), strict=True))
    assert same != first_best
    for run in (last, best):
        (result,) = evaluate(run, EvaluationRequest())
        assert result.summary["weights"] == run.weights
    assert (folder / "evaluation/best/boxes.ezvsl.json").is_file()
    read = read_run(folder)
    assert len(read.evaluations) == 1
    (table,) = comparisons([read], ["tiny"])
    assert "tiny, best epoch" in as_text(table)
    plain, _ = start(config(), tmp_path / "plain", "cpu")
    for a, b in zip(load_run(plain).method.parameters(), last.method.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(InputError, match="validation"):
        load_run(plain, weights="best")


@pytest.mark.parametrize("epoch", [1, 3], ids=["in the middle", "after the last step"])
def test_a_signal_ends_a_validation_which_is_made_again(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    """Its epoch is saved before: all that a run loses is the score, which is then what it would have been."""
    given = config(truth=tmp_path / "val.json")
    whole, _ = start(given, tmp_path / "whole", "cpu")
    steps = [int(step) for step in json.loads((whole / "validation.json").read_text())]
    asked = []

    def signalled(*of: object) -> Iterator[object]:
        for number, batch in enumerate(shown_batches(*of)):
            asked.append(number)
            if len(asked) == epoch:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patched:
        patched.setattr("training.predict.shown_batches", signalled)
        with pytest.raises(Interrupted, match=rf"SIGTERM and is saved at step {steps[epoch - 1]} of {steps[-1]}"):
            start(given, tmp_path / "runs", "cpu")
    (history,) = [*tmp_path.glob("runs/*/*/validation.json")] or [None]
    assert len(json.loads(history.read_text()) if history else {}) == epoch - 1
    folder, _ = start(given, tmp_path / "runs", "cpu")
    for name in ("validation.json", "weights.safetensors", "weights.best.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_no_epoch_is_chosen_on_test_clips(config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="test clips of boxes"):
        start(config(truth=tmp_path / "test.json"), tmp_path / "runs", "cpu")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("learned", "2 of the 2 clips of validation.truth .* are trained on"),
        ("none", r"none of the 1 clips of .*none\.json is in .* Ingest their videos into the same shards, or correct"),
    ],
)
def test_no_epoch_is_chosen_on_training_clips_or_none(config, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^validation: {said}"):
        start(config(truth=tmp_path / f"{name}.json"), tmp_path / "runs", "cpu")


def test_absent_clips_to_choose_on_and_a_warm_up_without_end_are_said(config, tmp_path: Path, capsys) -> None:
    wanted = config(truth=tmp_path / "part.json")
    optim = wanted.optim.model_copy(update={"epochs": 1, "warmup_steps": 10})
    folder, _ = start(wanted.model_copy(update={"optim": optim}), tmp_path / "runs", "cpu")
    said = "the best epoch is chosen on 3 of the 4 clips of {}/part.json; 1 not in the shards, first absent00000"
    shown = capsys.readouterr().out
    assert said.format(tmp_path) in shown
    assert "optim.warmup_steps 10 are more than the 3 steps of this run" in shown
    stored = json.loads((folder / "overlaps.json").read_text())["validation"]
    assert stored == {"clips": 3, "missing": ["absent00000_000001"]}


@pytest.mark.parametrize("protocol", ["retrieval", "onscreen", "vssl", "noprior_duet", "boxes", "avsbench"])
def test_a_protocol_that_cannot_choose_an_epoch_is_refused(config, protocol: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^validation\.protocol: .* cIoU@0\.5 .* Choose by one of .*ezvsl") as error:
        start(config(truth=tmp_path / "val.json", protocol=protocol), tmp_path / "runs", "cpu")
    assert protocol not in str(error.value).partition("Choose by one of")[2]


def test_clips_of_which_only_the_time_is_known_choose_no_epoch(tmp_path: Path) -> None:
    path = tmp_path / "Annotations.txt"
    path.write_text("Category&VideoID&Quality&StartTime&EndTime\nBark&abcdefghijk&good&0&10\n")
    with pytest.raises(InputError, match=r"when something sounds only: ave has no boxes\. Give annotations with boxes"):
        check_choosing("ezvsl", read_truth(path, "ave"))
