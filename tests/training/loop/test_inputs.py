"""Whatever a config names is tried before the first step, and everything that is wrong is said at once."""

import json
import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from tiny_run import write_tiny

from manifests.errors import InputError
from training.config import Encoder, load_config
from training.encoders.resnet import ImageTrunk
from training.evaluate import EvaluationRequest, evaluate
from training.loop.named import load_named
from training.loop.start import start
from training.runs import load_run


@pytest.fixture
def written(shards: Path, knn: Path, store, tmp_path: Path) -> Path:
    splits = zip(store.keys, store.table["split"].to_pylist(), strict=True)
    keys = [key for key, split in splits if split == "test"]
    entries = [{"file": key, "class": "c", "bbox": [[0.0, 0.1, 0.7, 0.9]]} for key in keys]
    (tmp_path / "test.json").write_text(json.dumps(entries))
    data = {"neighbours": knn, "lists": tmp_path, "exclude_test": []}
    evaluation = {"truth": tmp_path / "test.json", "test_set": "boxes", "protocols": ["ezvsl"]}
    return write_tiny(tmp_path, shards, data=data, evaluation=evaluation)


def refused(written: Path, *overrides: str) -> str:
    runs = written.parent / "runs"
    with pytest.raises(InputError) as error:
        start(load_config(written, overrides), runs, "cpu")
    assert not runs.exists()
    return str(error.value)


def _no_network(*given: object, **options: object) -> None:
    raise URLError("no network")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("evaluation.protocols=[ezvls]", "evaluation.protocols: .*ezvls.*Did you mean ezvsl"),
        ("evaluation.protocols=[retrieval, music_duet]", "evaluation.protocols: .*instrument"),
        ("evaluation.truth=nowhere.json", r"evaluation.truth: there is no file or folder nowhere\.json"),
        ("evaluation.format=vgss", r"^evaluation\.format: .*vgss.*Did you mean vggss"),
        ("evaluation.object_prior={weights: nowhere.pth}", r"evaluation.object_prior: no weights at nowhere\.pth"),
        ("evaluation.object_prior={weights: none}", r"no weights at none: .*, or evaluation.object_prior to null\.$"),
        (
            "evaluation.object_prior={weights: imagenet}",
            r"evaluation\.object_prior: torchvision could not fetch .*no network.* or evaluation\.object_prior to null",
        ),
        ("data.shards=nowhere", "data.shards: .*nowhere"),
        ("data.exclude_test=[vgss]", "data.exclude_test: 'vgss'.*Did you mean vggss"),
        ("data.train_list=vgss", "data.train_list: 'vgss'"),
        ("data.lists=nowhere", r"data\.lists: nowhere is not there: known test sets would not be found"),
        ("data.lists={folder}/test.json", r"data\.lists: .*test\.json is no folder"),
        ("data.drop_flagged=[silnt]", r"data\.drop_flagged: there is no flag 'silnt'\. Did you mean silent"),
        ("data.split=nosuch", "^data.split: .* no usable clip of split 'nosuch'"),
        ("encoders.image.weights=nowhere.pth", r"encoders: no weights at nowhere\.pth"),
        ("optim.batch_size=64", "optim.batch_size"),
        ("optim.batch_size=1", r"optim\.batch_size: ezvsl learns nothing .* leaves 1\. Raise optim\.batch_size\.$"),
        ("optim={epochs: 1, batch_size: 8, replicas: 8}", "leaves 1. Raise .* or set optim.negatives=global"),
        ("method={name: heartheflow}", "^method.name: .*flow"),
        ("evaluation.test_set=a/b", "^evaluation.test_set: it becomes a file's name .*'a/b'"),
        ("encoders.audio.weights=imagenet", r"encoders: ImageNet .*: set encoders\.audio\.weights"),
        ("validation={truth: nowhere.json}", r"^validation\.truth: there is no file or folder nowhere\.json"),
    ],
)
def test_every_name_is_tried(written: Path, override: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(written.parent / "empty"))
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    message = refused(written, override.format(folder=written.parent) if "{folder}" in override else override)
    assert re.search(said, message), message
    assert "mistakes" not in message


def test_neighbours_are_tried_where_the_method_needs_them(written: Path) -> None:
    near = "method.positives=[own, both]"
    assert "data.neighbours: there is no folder nowhere" in refused(written, near, "data.neighbours=nowhere")
    assert "data.k is 9" in refused(written, near, "data.k=9")
    message = refused(written, near, "data.split=test", "optim.batch_size=4")
    assert re.match(r"data\.neighbours: .* has no neighbours of clip", message)


def test_all_mistakes_are_said_at_once(written: Path) -> None:
    message = refused(
        written,
        "evaluation.protocols=[ezvls, kaits]",
        "evaluation.object_prior={weights: nowhere.pth}",
        "data.exclude_test=[vgss, flikr]",
        "encoders.audio.weights=nothing.pth",
        "method.positives=[own, both]",
        "data.k=9",
    )
    assert "tiny has 6 mistakes" in message
    for name in ("ezvls", "kaits", "nowhere.pth", "vgss", "flikr", "nothing.pth"):
        assert name in message


def test_what_does_not_need_one_another_is_said_together(written: Path) -> None:
    names = (
        "evaluation={truth: nowhere.json, negatives: no.csv, format: vgss}",
        "validation={truth: no.json, format: vgss}",
    )
    message = refused(written, *names, "data.shards=nowhere")
    assert "tiny has 6 mistakes" in message
    for where in ("data.shards", *(f"evaluation.{key}" for key in ("truth", "negatives", "format")),
                  "validation.truth", "validation.format"):  # fmt: skip
        assert f"  {where}: " in message


def test_a_config_with_mistakes_says_too_what_it_names_in_vain(written: Path) -> None:
    names = "evaluation={protocols: [ezvls, ezvsl], truth: nowhere.json}", "data.shards=nowhere"
    with pytest.raises(InputError) as error:
        load_named(written, ("optim.epoch=3", "method.temprature=1", "validation={format: 3}", *names))
    message = str(error.value)
    assert "has 7 mistakes" in message
    for where in ("optim.epoch", "method.temprature", "validation.truth", "validation.format", "evaluation.protocols",
                  "evaluation.truth", "data.shards"):  # fmt: skip
        assert f"  {where}: " in message
    with pytest.raises(InputError, match=r"1 mistake:\n  optim\.epoch: unknown key\. Did you mean epochs"):
        load_named(written, ("optim.epoch=3",))
    assert load_named(written) == load_config(written)


def test_a_finished_run_takes_over_other_evaluation_settings(written: Path, tmp_path: Path, capsys) -> None:
    folder, trained = start(load_config(written), tmp_path / "runs", "cpu")
    assert trained
    weights = (folder / "weights.safetensors").read_bytes()
    config = load_config(written, ("evaluation.protocols=[lvs, adaptive]", "validation={truth: test.json}"))
    with pytest.raises(InputError, match="validation"):
        start(config, tmp_path / "runs", "cpu")
    config = load_config(written, ("evaluation.protocols=[lvs, adaptive]",))
    assert start(config, tmp_path / "runs", "cpu") == (folder, False)
    assert "takes over the evaluation settings" in capsys.readouterr().out
    results = evaluate(load_run(folder), EvaluationRequest())
    assert [result.summary["protocol"]["name"] for result in results] == ["lvs", "adaptive"]
    assert (folder / "weights.safetensors").read_bytes() == weights
    start(config, tmp_path / "runs", "cpu")
    assert "takes over" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "blocks", "said"),
    [("activation", (1, 1), "another architecture"), ("class_posterior", None, "classifier")],
)
def test_a_prior_that_cannot_be_one_is_refused_before_the_first_step(
    kind: str, blocks: tuple[int, ...] | None, said: str, written: Path
) -> None:
    """A file that is there is read and built, too: after days of training it would be too late."""
    trunk = ImageTrunk(Encoder(blocks=blocks) if blocks else Encoder())
    torch.save(trunk.state_dict(), written.parent / "prior.pth")
    message = refused(written, f"evaluation.object_prior={{weights: {written.parent / 'prior.pth'}, kind: {kind}}}")
    assert message.startswith("evaluation.object_prior: ")
    assert said in message
