"""Methods of other packages: `method.name: my_package.my_method` is a module with `Config` and `Method`, as ours are.

It is looked for where Python looks, and then in the current folder. A module is read before it is imported, and its
packages are not run to find it: a name in a config that is not that of a method runs nothing.
"""

import ast
import importlib
import sys
from collections.abc import Iterable
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from manifests.errors import InputError

PARTS = frozenset({"Config", "Method"})
FORM = "A method is a module with a `Config` and a `Method`, as docs/extending.md shows."


def is_outside(name: str) -> bool:
    """Whether a method's name is that of a module elsewhere."""
    return "." in name


def import_outside(name: str) -> ModuleType:
    """The module of that name, imported. InputError when there is none, when it is no method, or cannot be imported."""
    spec = find_outside(name)
    if missing := PARTS - _defined(spec):
        raise InputError(f"{name} is a module without {' and '.join(sorted(missing))}. {FORM}")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the module raises while it runs
        raise InputError(f"{name} cannot be imported: {type(error).__name__}: {error}. Correct the module.") from error


def import_named(names: Iterable[str]) -> None:
    """Import the methods that a user names beside a model: an exported one has none imported. InputError as above."""
    for name in names:
        if not is_outside(name):
            raise InputError(
                f"--method {name} is no method of your own: its name is that of a module, my_package.{name}."
            )
        import_outside(name)


def find_outside(name: str) -> ModuleSpec:
    """Where the module of that name lies; nothing of it is run. InputError when it is not there."""
    folders: list[str] | None = None
    spec, known = None, ""
    for part in name.split("."):
        known = f"{known}.{part}".lstrip(".")
        spec = _found(known, folders) if part.isidentifier() and (spec is None or folders is not None) else None
        if spec is None:
            raise InputError(
                f"there is no module {name} ({known} was not found). Install its package, put its folder on "
                f"PYTHONPATH, or run the command in the folder that holds it. {FORM}"
            )
        folders = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    assert spec is not None
    return spec


def _found(name: str, folders: list[str] | None) -> ModuleSpec | None:
    """What python's own finders say of a module in its package's `folders`; without them also in the current folder."""
    specs = (finder.find_spec(name, folders, None) for finder in sys.meta_path)
    found = next((spec for spec in specs if spec is not None), None)
    return PathFinder.find_spec(name, [str(Path.cwd())]) if found is None and folders is None else found


def _defined(spec: ModuleSpec) -> set[str]:
    """The names that a module's source binds at its top; none where it has no source that can be read."""
    try:
        source = spec.loader.get_source(spec.name) if isinstance(spec.loader, InspectLoader) else None
        statements = ast.parse(source or "").body
    except (SyntaxError, ValueError, OSError, ImportError) as error:
        raise InputError(f"{spec.name} cannot be read as Python: {error}. Correct the module.") from error
    return {name for statement in statements for name in _bound(statement)}


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.ImportFrom | ast.Import):
        return [alias.asname or alias.name for alias in statement.names]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []
