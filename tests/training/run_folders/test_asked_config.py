"""Which config a command reads: a packaged one by its bare name alone, never in place of a file that is not there."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from commands import Commands
from places import PYTHONPATH

from manifests.errors import InputError
from training.config import load_config
from training.import_checkpoint import RELEASES, _config
from training.run_folders.asked_config import asked_config
from training.settings.files import PACKAGED, config_in_words


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_in(folder: Path, name: str) -> Path:
    run = folder / "ezvsl" / name
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("name: ezvsl\nmethod: {name: ezvsl}\n")
    return run


@pytest.mark.parametrize("name", ["demo", "demo.yaml"])
def test_a_bare_name_is_a_packaged_config_also_beside_a_folder_of_that_name(name: str) -> None:
    Path(name).mkdir()
    assert asked_config(name) == PACKAGED / "demo.yaml"
    assert config_in_words(asked_config(name)) == "demo.yaml, packaged"


def test_a_file_of_ones_own_comes_first_and_is_named() -> None:
    Path("demo.yaml").write_text("method: {name: ezvsl}\n")
    assert config_in_words(asked_config("demo.yaml")) == "demo.yaml"
    assert config_in_words(asked_config("./demo.yaml")) == "demo.yaml"
    assert config_in_words(asked_config("demo")) == "demo.yaml"
    assert config_in_words(asked_config("./demo")) == "demo.yaml"
    assert load_config("demo").method.name == "ezvsl"
    Path("demo").write_text("method: {name: slavc}\n")
    assert config_in_words(asked_config("demo")) == "demo"


def test_what_speaks_of_packaged_configs_reads_those(monkeypatch, capsys) -> None:
    """`training configs` lists them, and a released checkpoint is opened with one, whatever lies here."""
    own = partial(Commands(monkeypatch, capsys), "training", cwd=Path.cwd())
    listed = own("configs").stdout
    released = {release.config: load_config(release.config) for release in RELEASES.values()}
    for name in ("demo", *released):
        Path(f"{name}.yaml").write_text("# Mine.\nmethod: {name: whole_image}\n")
    assert own("configs").stdout == listed
    for kind, release in RELEASES.items():
        made = _config(kind, release, Path("released.pth"), {}, ())
        assert made.method.name == released[release.config].method.name
    assert "Mine." in own("configs", "demo").stdout


def test_it_is_named_before_torch_is_loaded(somewhere: Path) -> None:
    (somewhere / "torch.py").write_text("raise SystemExit(3)\n")
    code = "from training.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "demo"], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{somewhere}{os.pathsep}{PYTHONPATH}"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "config: demo.yaml, packaged\n"), done.stderr


@pytest.mark.parametrize("path", ["nowhere/demo.yaml", "./demo.yaml", "nowhere/demo", "/nowhere/demo.yaml", "../demo"])
def test_a_path_that_is_not_there_is_no_packaged_config(path: str, monkeypatch, capsys) -> None:
    ended = partial(Commands(monkeypatch, capsys), cwd=Path.cwd())
    for words in (("run", path), ("configs", path)):
        found = ended("training", *words)
        assert found.returncode == 2
        assert f"no config {path!r}" in found.stderr
    assert not Path("runs").exists()


def test_nor_is_it_as_a_parent() -> None:
    Path("mine.yaml").write_text("extends: ../configs/demo.yaml\n")
    with pytest.raises(InputError, match="neither beside it nor a packaged config"):
        load_config("mine.yaml")
    Path("mine.yaml").write_text("extends: demo.yaml\n")
    assert load_config("mine.yaml").method.name == load_config("demo").method.name


@pytest.mark.parametrize("given", ["runs/ezvsl", "runs/ezvsl/", "runs/ezvsl/0123abcd-s0"])
def test_a_runs_folder_is_answered_with_its_own_config(given: str) -> None:
    run_in(Path("runs"), "0123abcd-s0")
    with pytest.raises(InputError, match=r"continue it with `training run runs/ezvsl/0123abcd-s0/config\.yaml`"):
        asked_config(given)


def test_of_several_runs_one_is_named_with_where_it_lies() -> None:
    for name in ("0123abcd-s0", "0123abcd-s1"):
        run_in(Path("elsewhere"), name)
    with pytest.raises(InputError, match=r"holds 2 runs.*-s0/config\.yaml --runs elsewhere`"):
        asked_config("elsewhere/ezvsl")


def test_a_folder_of_something_else_is_no_config() -> None:
    Path("some/demo").mkdir(parents=True)
    with pytest.raises(InputError, match="some/demo is a folder, and no config"):
        asked_config("some/demo")
