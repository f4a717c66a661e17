"""One file per front end, found by its module name: no registry, no list to edit.

A front end's module is named as the front end, with `_` for `-`, and exposes `FRONT_END`, an object of
`pipeline.media.spectra.FrontEnd`: its rate, span and shape, how it computes a spectrogram, the level that it gives to
silence, and the scaling that its authors feed their networks. The name is stored in shards and runs, and a model
trained on one front end refuses another. Listing the names imports none of them.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError

if TYPE_CHECKING:
    from pipeline.media.spectra import FrontEnd

DEFAULT = "log-power-11025-512-110-v1"


def front_end_names() -> list[str]:
    """Names of all front ends, the default first."""
    names = (module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))
    return sorted(names, key=lambda name: (name != DEFAULT, name))


def find_front_end(name: str = DEFAULT) -> "FrontEnd":
    """The front end of this name. InputError lists the known ones."""
    if name not in front_end_names():
        meant = did_you_mean(name, front_end_names())
        raise InputError(f"The front end {name!r} is not known.{meant} There are: {', '.join(front_end_names())}.")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return cast("FrontEnd", module.FRONT_END)
