"""Libraries that only some commands need: the one sentence of one that is not installed, which names its extra."""

from importlib import import_module
from types import ModuleType

from manifests.errors import InputError

DISTRIBUTION = "sound-source-localization"


def needed(module: str, extra: str, what: str) -> ModuleType:
    """The library, imported. InputError `<what> needs <module>, ...` where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{what} needs {module}, which is not installed here ({error}). {how_to_install(extra)}"
        ) from error


def how_to_install(extra: str) -> str:
    """The sentence that ends an error about a library which is not there."""
    return f"Install this project with its extra: pip install '{DISTRIBUTION}[{extra}]'."
