"""Several images of a clip, its own in the middle: what methods that take more than one have in common.

They are the `burst` of a batch, (B, N, 3, S, S), one after another at a rate; `training.parts.spans` has the sounds.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from training.parts.spans import refuse_beyond


def refuse_without_middle(option: str, images: int) -> None:
    """ValueError for an even number of images, none of which is the middle one."""
    if images % 2 == 0:
        raise ValueError(f"{option} is {images}; an odd number has a middle one")


def refuse_sounds_too_far(option: str, images: int, rate: float, sound_seconds: float) -> None:
    """ValueError where several images, so many a second, are to have sounds that a clip does not hold."""
    if images > 1:
        reach = (images - 1) / 2 / rate + sound_seconds / 2
        refuse_beyond(reach, f"{option}, rate and sound_seconds", f"lower {option} or raise rate")


def images_of(batch: Mapping[str, Any], images: int) -> Tensor:
    """What a method that takes so many images of a clip sees: (B, N, 3, S, S), of one the clip's own."""
    return batch["burst"] if images > 1 else batch["image"].unsqueeze(1)


def standing_still(image: Tensor, images: int) -> Tensor:
    """An image, or what is known of it, in place of several: (B, ...) -> (B, images, ...)."""
    return image.unsqueeze(1).expand(-1, images, *image.shape[1:])


def of_each(part: Callable[[Tensor], Tensor], several: Tensor) -> Tensor:
    """What a part of a network makes of each of several: (B, N, ...) -> (B, N, ...)."""
    return part(several.flatten(0, 1)).unflatten(0, several.shape[:2])


def middle_of(several: Tensor) -> Tensor:
    """The clip's own of several: (B, N, ...) -> (B, ...)."""
    return several[:, several.shape[1] // 2]


def times_of(images: int, rate: float) -> list[float]:
    """When each of several is seen, seconds from the moment."""
    return [(number - images // 2) / rate for number in range(images)]
