"""Features that a frozen trunk made of a clip before, in place of the clip: whoever keeps them gives them to the method
as its image or audio, and the trunk hands them on (`training.loop.kept_features`).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from torch import Tensor, nn

Forward = TypeVar("Forward", bound=Callable[[Any, Tensor], Tensor])


def hands_on_features(forward: Forward) -> Forward:
    """The forward of a trunk with a `dimension`, or its `cells`, which gives back what is its own output already.

    Images (B, 3, H, W) and sounds (B, 1, F, T) cannot be taken for features (B, dimension, h, w) or (B, dimension): no
    trunk has one or three channels.
    """

    @wraps(forward)
    def handing_on(trunk: Any, x: Tensor) -> Tensor:
        return x if x.ndim == 2 or x.shape[1] == trunk.dimension else forward(trunk, x)

    return cast(Forward, handing_on)


def asked(trunk: nn.Module, entry: str) -> Callable[[Tensor], Tensor]:
    """What a method calls of a trunk: its `cells`, or the trunk itself, with all that hangs on a call, as "forward"."""
    return trunk if entry == "forward" else getattr(trunk, entry)
