"""One file per published method, found by its module name: no registry, no list to edit.

A method module exposes `Config` (frozen options with the paper's defaults) and `Method` (an nn.Module, see
`contract.py`). Listing the methods imports none of them.
"""

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from manifests.errors import InputError
from manifests.near_names import did_you_mean

NOT_METHODS = {"contract", "headless", "projected"}


def method_names() -> list[str]:
    """Names of all methods, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in NOT_METHODS)


def method_module(name: str) -> ModuleType:
    """The module of a method; raises InputError listing the known ones."""
    _check_known(name)
    return importlib.import_module(f"{__name__}.{name}")


def method_page(name: str) -> str:
    """A method's docstring: mathematics, citation, deviations. Read without importing torch."""
    _check_known(name)
    source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def method_config(name: str, options: dict[str, Any]) -> Any:
    """Validate a `method:` section (without its name) against the method's own `Config`."""
    return method_module(name).Config.model_validate(options)


def _check_known(name: str) -> None:
    known = method_names()
    if name not in known:
        raise InputError(f"unknown method {name!r}.{did_you_mean(name, known)} The known ones are {', '.join(known)}.")
