"""A method from outside the package: found by its dotted name, read before it is run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from bright_localizer import square_video
from places import PYTHONPATH
from typer.testing import CliRunner

from manifests.errors import InputError
from training.cli import app
from training.config import load_config
from training.export.folder import Wanted, export
from training.loop.start import start
from training.methods import method_module, method_page
from training.runs import load_run
from training.serve.limits import Limits
from training.serve.worker import Worker

METHOD = '''"""Mine: an EZ-VSL that is called otherwise."""

from training.methods.ezvsl import Config as Parent
from training.methods.ezvsl import Method as Method


class Config(Parent):
    """The same."""
'''
TINY = (
    "name=mine", "method.name=outside_package.inner.mine", "method.dimension=8", "data.image_size=32",
    "data.train_list=null", "data.exclude_test=[]", "data.workers=0", "encoders.image.blocks=[1,1]",
    "encoders.image.width=8", "encoders.image.weights=none", "encoders.audio.blocks=[1,1]", "encoders.audio.width=8",
    "encoders.audio.input_pool=[4,3]", "optim.epochs=1", "optim.batch_size=16", "optim.replicas=1",
    "evaluation.object_prior=null",
)  # fmt: skip


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a package of a user's."""
    folder = tmp_path / "outside_package" / "inner"
    folder.mkdir(parents=True)
    for part in (folder, folder.parent):
        (part / "__init__.py").write_text("")
    (folder / "mine.py").write_text(METHOD)
    (folder / "broken.py").write_text("class Config: ...\nclass Method: ...\nraise RuntimeError('no luck')\n")
    (folder / "no_method.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    for name in [one for one in sys.modules if one.startswith("outside_package")]:
        del sys.modules[name]


def test_it_trains_and_opens_again(package: Path, shards: Path) -> None:
    folder, trained = start(load_config("ezvsl", (*TINY, f"data.shards={shards}")), Path("runs"), "cpu")
    assert trained
    run = load_run(folder)
    assert type(run.method).__module__ == "training.methods.ezvsl"
    assert type(run.method.config).__module__ == "outside_package.inner.mine"
    assert run.method(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 257, 300)).map.shape == (1, 4, 4)


@pytest.fixture
def exported(package: Path, shards: Path) -> Path:
    """A model of the user's method, in a process that has not imported it."""
    folder, _ = start(load_config("ezvsl", (*TINY, f"data.shards={shards}")), Path("runs"), "cpu")
    export(load_run(folder), Wanted(Path("model")))
    for name in [one for one in sys.modules if one.startswith("outside_package")]:
        del sys.modules[name]
    return Path("model")


def test_an_exported_one_opens_where_the_user_names_the_method(exported: Path) -> None:
    square_video(Path("clip.mp4"))
    line = ["localize", str(exported), "clip.mp4", "--maps-per-second", "0.5", "--device", "cpu"]
    refused = CliRunner().invoke(app, line)
    assert "say `--method outside_package.inner.mine`" in str(refused.exception)
    assert "outside_package.inner.mine" not in sys.modules
    for name, complaint in (("mine", "no method of your own"), ("outside_package.inner.no_method", "without Config")):
        assert complaint in str(CliRunner().invoke(app, [*line, "--method", name]).exception)
    localized = CliRunner().invoke(app, [*line, "--method", "outside_package.inner.mine"])
    assert localized.exit_code == 0, localized.exception
    assert Path("overlay.mp4").is_file()


@pytest.mark.slow
def test_a_server_opens_it_as_well(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    for methods in ((), ("outside_package.inner.mine",)):
        worker = Worker(([str(exported)], "cpu", Limits(1, 1.0), methods), 60.0)
        try:
            if not methods:
                with pytest.raises(InputError, match="say `--method outside_package"):
                    worker.start()
            else:
                assert [model["short"] for model in worker.start()] == ["mine"]
        finally:
            worker.end()


def test_its_page_is_read(package: Path) -> None:
    assert method_page("outside_package.inner.mine").startswith("Mine:")
    assert "outside_package.inner.mine" not in sys.modules
    said = CliRunner().invoke(app, ["methods", "outside_package.inner.mine"])
    assert said.output.startswith("Mine:")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("outside_package.elsewhere", r"outside_package\.elsewhere was not found"),
        ("nowhere.mine", "nowhere was not found"),
        ("outside_package.inner.mine.deeper", "was not found"),
        ("outside_package..mine", "was not found"),
        ("outside_package.inner.broken", "no luck"),
        ("outside_package.inner.no_method", "without Config and Method"),
        ("os.path", "was not found"),
    ],
)
def test_what_is_no_method_is_said(package: Path, name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        method_module(name)
    assert not Path("ran").exists()


def test_a_config_says_where_the_name_stands(package: Path) -> None:
    with pytest.raises(InputError, match=r"method\.name: there is no module nowhere\.mine"):
        load_config("ezvsl", ("method={name: nowhere.mine}",))
