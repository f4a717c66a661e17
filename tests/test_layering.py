"""Imports run downward only: manifests <- pipeline <- index <- training, and inside training as DESIGN says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("manifests", "pipeline", "index", "training")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module a file imports, at any depth of nesting, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_downward(path: Path) -> None:
    level = PACKAGES.index(path.relative_to(ROOT).parts[0])
    above = [name for name in imports(path) if name.split(".")[0] in PACKAGES[level + 1 :]]
    assert not above, f"{module_name(path)} imports {above} from a later stage"


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(ROOT).parts[0] != "training"], ids=module_name)
def test_early_stages_import_no_torch(path: Path) -> None:
    libraries = {"torch", "torchvision", "torchaudio", "webdataset", "transformers"}
    heavy = {name for name in imports(path) if name.split(".")[0] in libraries}
    asked_for = ("index.search_torch", "index.encoders.")  # imported only when named, in a process without FAISS
    allowed = module_name(path).startswith(asked_for)
    assert allowed or not heavy, f"{module_name(path)} imports {heavy}"


@pytest.mark.parametrize("path", sorted((ROOT / "training/methods").glob("*.py")), ids=module_name)
def test_methods_know_only_what_they_stand_on(path: Path) -> None:
    modules = ("config", "encoders", "similarity", "losses", "augment", "teacher")
    shared = ("training.methods.contract", "training.methods.headless")
    allowed = (*shared, *(f"training.{module}" for module in modules))
    mine = [name for name in imports(path) if name.startswith(("training", "pipeline", "index"))]
    wrong = [name for name in mine if not name.startswith(allowed)]
    assert not wrong, f"{module_name(path)} imports {wrong}"


@pytest.mark.parametrize("path", sorted((ROOT / "training/evaluation").glob("*.py")), ids=module_name)
def test_evaluation_never_sees_a_method(path: Path) -> None:
    wrong = [
        name
        for name in imports(path)
        if name.startswith(("pipeline", "index", "training")) and not name.startswith(("training.evaluation",))
    ]
    assert not wrong, f"{module_name(path)} imports {wrong}"


@pytest.mark.parametrize("path", sorted((ROOT / "training/report").glob("*.py")), ids=module_name)
def test_report_reads_result_files_only(path: Path) -> None:
    forbidden = ("training.methods", "training.loop", "training.encoders", "training.data", "torch")
    wrong = [name for name in imports(path) if name.startswith(forbidden)]
    assert not wrong, f"{module_name(path)} imports {wrong}"
