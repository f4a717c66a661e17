"""Exported models on the Hub: pushed to a stand-in of it and fetched again, by a process that knows its address."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from hub_server import Hub, running_hub
from made_run import make_run, small_config
from places import PYTHONPATH, ROOT
from typer.testing import CliRunner

from manifests.errors import InputError
from training.cli import app
from training.export.folder import Wanted, export
from training.export.hub import check_push, fetched
from training.localizer.model import Localizer
from training.model_names import is_hub_name
from training.runs import load_run

TRAINING = "from training.cli import main; main()"
LOAD = """
import sys
import numpy as np
from training import Localizer
model = Localizer.load(sys.argv[1], device="cpu")
found = model.localize_pair(np.zeros((40, 50, 3), np.uint8), np.ones(40000, np.float32) / 9, sampling_rate=11025)
print(found.responses.shape)
"""


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    pytest.importorskip("huggingface_hub", reason="the hub extra is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny" / "abcd-s0", small_config())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process knows, with an empty home for what is fetched."""
    from huggingface_hub import constants

    with running_hub() as running:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, running.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", running.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        (tmp_path / "token").write_text("secret")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield running


def told(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_model_is_pushed_and_opens_by_its_name(
    run: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as known:
        known.setenv("HF_TOKEN", "secret")
        done = told("export", run, "--out", tmp_path / "model", "--push", "someone/tiny")
    assert f"{hub.address}/someone/tiny" in done.output, done.exception
    held = hub.models["someone/tiny"]
    assert {name for name in held if name != ".gitattributes"} == {"README.md", "config.json", "model.safetensors"}
    assert 'Localizer.load("someone/tiny")' in held["README.md"].decode()
    assert hub.private == {"someone/tiny"}
    held["train.py"] = b"raise SystemExit"
    hub.asked.clear()
    found = Localizer.from_pretrained("someone/tiny", device="cpu")
    assert {token for _, _, token in hub.asked} == {None}
    assert not [path for _, path, _ in hub.asked if path.endswith("train.py")]
    own = load_run(run)
    theirs = found.model.method.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in own.method.state_dict().items())
    from huggingface_hub import constants

    hub.models.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched("someone/tiny") == found.model.folder


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (None, "cannot be fetched from the Hugging Face Hub"),
        ({"config.json": b'{"architectures": ["Bert"]}'}, "no model that `training export` made"),
        ({"README.md": b"hello"}, "no model that `training export` made"),
    ],
)
def test_what_is_no_model_there_is_said(hub: Hub, files: dict[str, bytes] | None, complaint: str) -> None:
    hub.models |= {} if files is None else {"someone/other": files}
    with pytest.raises(InputError, match=complaint):
        fetched("someone/other")


def test_a_model_larger_than_any_is_not_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.export.hub.MOST_BYTES", 1000)
    hub.models["someone/large"] = {"config.json": b"{}", "model.safetensors": bytes(2000)}
    with pytest.raises(InputError, match="more than the"):
        fetched("someone/large")
    assert not [path for _, path, _ in hub.asked if "resolve" in path]


def test_a_push_that_is_refused_leaves_the_folder(
    run: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "wrong")
    done = told("export", run, "--out", tmp_path / "model", "--push", "someone/refused")
    assert isinstance(done.exception, InputError)
    assert "could not be pushed" in str(done.exception)
    assert "wrong" not in str(done.exception)
    assert (tmp_path / "model" / "config.json").is_file()


def test_a_token_comes_from_the_environment_alone(run: Path, hub: Hub, tmp_path: Path) -> None:
    done = told("export", run, "--out", tmp_path / "model", "--push", "someone/two")
    assert "HF_TOKEN" in str(done.exception)
    assert not (tmp_path / "model").exists()
    assert not hub.asked


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        InputError, match=r"someone/tiny is no folder here.* pip install 'sound-source-localization\[hub\]'"
    ):
        Localizer.load("someone/tiny")


@pytest.mark.slow
def test_a_process_finds_the_hub_by_its_environment(run: Path, tmp_path: Path) -> None:
    with running_hub() as hub:
        known = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": PYTHONPATH}
        push = [sys.executable, "-c", TRAINING, "export", run, "--out", tmp_path / "model", "--push", "someone/tiny"]
        done = subprocess.run(push, capture_output=True, text=True, check=False,
                              env=os.environ | known | {"HF_TOKEN": "secret"})  # fmt: skip
        assert done.returncode == 0, done.stderr
        done = subprocess.run([sys.executable, "-c", LOAD, "someone/tiny"], capture_output=True, text=True, check=False,
                              env=os.environ | known)  # fmt: skip
        assert done.stdout.split() == ["(1,", "4,", "4)"], done.stderr


def test_a_name_is_told_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_name("someone/tiny")
    for text in ("tiny", "./someone/tiny", "a/b/c", "/someone/tiny", "../tiny", "someone/"):
        assert not is_hub_name(text), text
    (tmp_path / "runs").mkdir()
    assert not is_hub_name("runs/typo")
    with pytest.raises(InputError, match="no name on the Hugging Face Hub"):
        check_push("just-a-name")
    with pytest.raises(InputError, match="no finished run at"):
        Localizer.load("runs/typo")


@pytest.mark.slow
def test_torch_hub_opens_a_folder_in_a_process_of_its_own(run: Path, tmp_path: Path) -> None:
    export(load_run(run), Wanted(tmp_path / "model"))
    code = "import sys, torch\nmodel = torch.hub.load(sys.argv[1], 'localizer', sys.argv[2], source='local', " \
           "device='cpu')\nprint(type(model).__name__, model.model.config.method.name)\n"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, ROOT, tmp_path / "model"], cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.stdout.split() == ["Localizer", "ezvsl"], done.stderr


def test_torch_hub_opens_a_run(run: Path) -> None:
    model = torch.hub.load(str(ROOT), "localizer", run, source="local", device="cpu")
    assert isinstance(model, Localizer)


def test_an_exported_folder_localizes_as_its_run(run: Path, tmp_path: Path) -> None:
    export(load_run(run), Wanted(tmp_path / "model"))
    assert json.loads((tmp_path / "model" / "config.json").read_text())["map"]["rows"] == 4
    models = [Localizer.load(place, device="cpu") for place in (run, tmp_path / "model")]
    pair = np.full((40, 50, 3), 90, np.uint8), np.ones(40000, np.float32) / 9
    own, moved = (model.localize_pair(*pair, sampling_rate=11025).responses for model in models)
    assert np.array_equal(own, moved)
