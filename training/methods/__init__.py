"""One file per published method, found by its module name: no registry, no list to edit.

A method module exposes `Config` (frozen options with the paper's defaults) and `Method` (an nn.Module, see
`contract.py`). Listing the methods imports none of them. A name with dots is that of a module elsewhere
(`my_package.my_method`), installed or in the current folder; `training.outside_methods` finds it.
"""

import ast
import importlib
import pkgutil
from importlib.abc import InspectLoader
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from training.outside_methods import find_outside, import_outside, is_outside

NOT_METHODS = {"contract", "headless", "projected", "correspondence"}


def method_names() -> list[str]:
    """Names of all methods, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in NOT_METHODS)


def method_module(name: str) -> ModuleType:
    """The module of a method; raises InputError listing the known ones, or as `import_outside`."""
    if is_outside(name):
        return import_outside(name)
    _check_known(name)
    return importlib.import_module(f"{__name__}.{name}")


def method_page(name: str) -> str:
    """A method's docstring: mathematics, citation, deviations. Read without importing torch.

    InputError for an unknown method, and for one without a docstring or its source.
    """
    if not is_outside(name):
        _check_known(name)
    page = _docstring(name)
    if not page:
        raise InputError(f"the method {name} has no page: its module has no docstring at its top, or no source.")
    return page


def method_headline(name: str) -> str:
    """The first line of a method's page, which names its paper; empty where it has no page."""
    return _docstring(name).partition("\n")[0]


def _docstring(name: str) -> str:
    # wherever it lies: folders beside the packaged one count as well
    spec = find_outside(name) if is_outside(name) else find_spec(f"{__name__}.{name}")
    source = spec.loader.get_source(spec.name) if spec and isinstance(spec.loader, InspectLoader) else None
    return ast.get_docstring(ast.parse(source or "")) or ""


def method_config(name: str, options: dict[str, Any]) -> Any:
    """Validate a `method:` section (without its name) against the method's own `Config`."""
    return method_module(name).Config.model_validate(options)


def _check_known(name: str) -> None:
    known = method_names()
    if name not in known:
        raise InputError(f"unknown method {name!r}.{did_you_mean(name, known)} The known ones are {', '.join(known)}.")
