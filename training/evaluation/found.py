"""What exists is what has a module: protocols, tasks and metrics are found by the names of their files."""

import importlib
import pkgutil
from types import ModuleType


def found_modules(package: str) -> dict[str, ModuleType]:
    """Every module of a package of this room ("protocols", "tasks", "metrics") by its name, sorted."""
    folder = importlib.import_module(f"training.evaluation.{package}")
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    return {name: importlib.import_module(f"{folder.__name__}.{name}") for name in names}
