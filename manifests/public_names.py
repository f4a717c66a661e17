"""Names that a package offers, looked up in the module that has them when they are asked for (PEP 562).

So a package's public classes are imported from the package itself, and importing it loads no library.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def looked_up(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: the name's module by `places`, AttributeError for names that are not there."""

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(places[name]), name)

    return find
