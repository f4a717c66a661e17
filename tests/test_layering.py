"""Imports run downward only: between the packages, and between the rooms of each; nowhere in a circle."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from every import for_every
from places import ROOT

PACKAGES = ("manifests", "pipeline", "index", "training")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# From the ground upward. A room is a folder or a module of the package; it imports from floors below its own.
FLOORS = {
    "manifests": (
        {"errors", "public_names", "sound_draws", "sound_groups"},
        {"given_arrays", "machine"},
        {"files"},
        {"commands", "keys"},
        {"namesakes", "clip_lists"},
        {"annotations"},
        {"masks", "splits", "views"},
        {"class_maps", "pixels", "test_sets"},
        {"readers"},
        {"truth"},
        {"catalogue"},
        {"published_sets"},
    ),
    "pipeline": (
        {"given_once", "remaining", "storage"},
        {"subcommand"},
        {"console"},
        {"shards"},
        {"sources", "media"},
        {"jobs", "synth"},
        {"compose"},
        {"ingest", "inspection", "annotate", "flow", "given_proposals", "coverage", "exchange"},
        {"cli"},
    ),
    "index": (
        {"arrays", "device", "label_agreement", "ranking"},
        {"approximate", "embeddings", "neighbours", "random_neighbours", "search_torch"},
        {"clips", "exchange", "search"},
        {"descriptors", "encoders", "knn"},
        {"embed"},
        {"cli"},
    ),
    "training": (
        {"outside_methods", "processes", "published", "shared_options"},
        {"settings"},
        {"config", "distributed", "losses", "similarity", "teacher"},
        {"parts", "run_folders"},
        {"evaluation", "encoders", "data", "leakage", "model_names", "overlay"},
        {"methods", "object_prior", "pretrain"},
        {"runs"},
        {"predict", "report", "trained_on"},
        {"export", "several_maps"},
        {"localizer", "scoring", "loop", "embed", "import_checkpoint", "reference_sounds", "separate", "class_labels"},
        {"answers"},
        {"evaluated"},
        {"validated"},
        {"evaluate", "score_file", "localize", "status", "config_pages"},
        {"evaluate_seeds", "serve", "listings"},
        {"cli"},
        {"__main__", "launch"},
    ),
}
# A run's description has a method's options in it, which only the method knows: asked for while a config is read.
ALLOWED_UPWARD = {("training.config", "training.methods")}


@cache
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
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def modules_imported(path: Path) -> set[str]:
    """Modules of ours; a package named on the way to one of its modules is not meant itself."""
    found = imports(path) & MODULES.keys()
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def floor_of(module: str) -> int | None:
    """The floor of a module of a package that has floors; None of the package itself."""
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    return next((level for level, rooms in enumerate(FLOORS[package]) if room in rooms), None) if rest else None


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(arrows: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@for_every(FILES, module_name)
def test_imports_run_downward_between_packages(path: Path) -> None:
    level = PACKAGES.index(path.relative_to(ROOT).parts[0])
    above = [name for name in imports(path) if name.split(".")[0] in PACKAGES[level + 1 :]]
    assert not above, f"{module_name(path)} imports {above} from a later stage"


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_stands_on_one_floor(package: str) -> None:
    rooms = sorted(room for floor in FLOORS[package] for room in floor)
    paths = (path.relative_to(ROOT / package) for path in (ROOT / package).rglob("*.py"))
    assert rooms == sorted({path.parts[0].removesuffix(".py") for path in paths} - {"__init__"})


@for_every([name for name in MODULES if name.split(".")[0] in FLOORS and "." in name])
def test_imports_run_downward_between_rooms(module: str) -> None:
    own = floor_of(module)
    inside = {
        name for name in modules_imported(MODULES[module]) if name.startswith(module.split(".", maxsplit=1)[0] + ".")
    }
    others = {name for name in inside if room_of(name) != room_of(module)}
    wrong = {name for name in others if floor_of(name) >= own and (module, room_of(name)) not in ALLOWED_UPWARD}
    assert not wrong, f"{module} imports {sorted(wrong)}, which do not lie below it"


def test_every_room_says_what_it_is_for() -> None:
    rooms = [path for path in FILES if path.name == "__init__.py"]
    assert [module_name(path) for path in rooms if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_imports_go_in_a_circle() -> None:
    arrows = {name: modules_imported(path) - {name} for name, path in MODULES.items()}
    for module, above in ALLOWED_UPWARD:
        arrows[module] = {name for name in arrows[module] if room_of(name) != above}
    assert not circle(arrows)


def test_a_circle_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


@for_every([path for path in FILES if path.relative_to(ROOT).parts[0] != "training"], module_name)
def test_early_stages_import_no_torch(path: Path) -> None:
    libraries = {"torch", "torchvision", "torchaudio", "webdataset", "transformers"}
    heavy = {name for name in imports(path) if name.split(".")[0] in libraries}
    asked_for = ("index.search_torch", "index.encoders.")  # imported only when named, in a process without FAISS
    allowed = module_name(path).startswith(asked_for)
    assert allowed or not heavy, f"{module_name(path)} imports {heavy}"


@for_every(sorted((ROOT / "training/methods").glob("*.py")), module_name)
def test_methods_know_only_what_they_stand_on(path: Path) -> None:
    modules = ("config", "encoders", "similarity", "losses", "teacher", "parts", "data.augment", "outside_methods")
    shared = tuple(f"training.methods.{name}" for name in ("contract", "headless", "projected", "correspondence"))
    allowed = (*shared, *(f"training.{module}" for module in modules))
    mine = [name for name in modules_imported(path) if name.startswith(("training", "pipeline", "index"))]
    wrong = [name for name in mine if not f"{name}.".startswith(tuple(f"{module}." for module in allowed))]
    assert not wrong, f"{module_name(path)} imports {wrong}"


@for_every(sorted((ROOT / "training/evaluation").rglob("*.py")), module_name)
def test_evaluation_never_sees_a_method(path: Path) -> None:
    names = [name for name in imports(path) if name.startswith(("pipeline", "index", "training"))]
    wrong = [name for name in names if not name.startswith("training.evaluation")]
    assert not wrong, f"{module_name(path)} imports {wrong}"


@for_every(sorted((ROOT / "training/report").glob("*.py")), module_name)
def test_report_imports_no_method_no_loop_and_no_torch(path: Path) -> None:
    forbidden = ("training.methods", "training.loop", "training.encoders", "training.data", "torch")
    wrong = [name for name in imports(path) if name.startswith(forbidden)]
    assert not wrong, f"{module_name(path)} imports {wrong}"
