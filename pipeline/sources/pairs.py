"""An image and a sound that belong together, and what is found on the way to them. Paths are those of the walk."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from manifests.files.spelling import compared
from manifests.keys import base_name, parse_clip_name

SAME_NAME = "an image and a sound of one name"
ONE_OF_MANY = "a folder of images and a sound of its name: the annotated image, or else the middle one"
EVERY_SECOND = "images <video>_<n> and a sound <video>: each image with the sound around its second"
IMAGE_WITHIN_SECOND = 15 / 16  # AVSBench takes image n at n - 1 + 15/16 seconds


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its sound, as paths of the walk. `number` counts the images of one sound from 1, a second apart;
    None where the image stands for the whole sound."""

    image: str
    audio: str
    naming: str
    number: int | None = None

    @property
    def stem(self) -> str:
        """The name of the sound without its suffixes: what label lists know the clip by."""
        return base_name(self.audio)

    @property
    def moment(self) -> float | None:
        """When the image was taken, in seconds after the sound's start; None when nobody wrote it down."""
        return None if self.number is None else self.number - 1 + IMAGE_WITHIN_SECOND


@dataclass
class MatchedFiles:
    """Every pair, in path order; images and audio without a partner where pairs lie; and the count, by suffix, of
    files that are neither: the other images of a clip's folder, masks, images and audio of videos that are there.
    """

    pairs: list[Pair] = field(default_factory=list)
    lonely_images: list[str] = field(default_factory=list)
    lonely_audio: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)


def join_key(path: str) -> str:
    """What an image and its sound have in common, whatever their spelling of a VGGSound name."""
    return parse_clip_name(base_name(path)).key


def folder_of(path: str) -> str:
    """The folder that a path lies in."""
    return str(PurePosixPath(path).parent)


def parts_of(folder: str) -> tuple[str, ...]:
    """A folder's parts, as images and sounds are compared by them, however either is spelled."""
    return PurePosixPath(compared(folder)).parts


def suffixes_of(names: Iterable[str]) -> Counter[str]:
    """How many files have each suffix."""
    return Counter(PurePosixPath(name).suffix.lower() for name in names)
