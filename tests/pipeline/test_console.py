"""What the three commands share: `--version`."""

import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("pipeline", "index", "training")


def asked_for_version(name: str, tree: Path) -> str:
    """What `NAME --version` prints with the packages of `tree`, started elsewhere."""
    code = (
        f"import sys; sys.argv = ['{name}', '--version']\nfrom {name}.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('LOADED', [name for name in ('numpy', 'pyarrow', 'av', 'torch', 'faiss') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    line = [sys.executable, "-c", code]
    return subprocess.run(line, env=environment, cwd="/", capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_checkout_says_its_own_version_at_once(name: str) -> None:
    expected = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert asked_for_version(name, ROOT) == f"{name} {expected}\nLOADED []\n"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 1  # 0.1 s on an idle machine


@pytest.mark.parametrize("foreign", [None, '[project]\nname = "other"\nversion = "1.2.3"\n', "[tool.other]\n"])
def test_an_installed_copy_says_that_of_its_metadata(tmp_path: Path, foreign: str | None) -> None:
    for package in ("manifests", "pipeline", "index"):
        (tmp_path / package).mkdir()
        for path in (ROOT / package).glob("*"):
            (tmp_path / package / path.name).symlink_to(path)
    described = tmp_path / "sound_source_localization-9.8.7.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.4\nName: sound-source-localization\nVersion: 9.8.7\n")
    if foreign is not None:
        (tmp_path / "pyproject.toml").write_text(foreign)
    assert asked_for_version("index", tmp_path).startswith("index 9.8.7\n")
