"""Which videos are meant, a file, a folder or a pattern of names, and whether each can be localized: asked before any
work, as a refusal after an hour of it would be a loss."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from manifests.errors import InputError
from manifests.files.suffixes import MEDIA_SUFFIXES, is_litter
from pipeline.media.one_pass import OnePass
from pipeline.sources.walk import Refusal, tree_of
from training.localizer.media import NO_IMAGE, refusing
from training.overlay.carriage import carriage
from training.overlay.video import is_marked

OF_A_PATTERN = "*?["


@dataclass(frozen=True)
class Found:
    """A video and what its outputs are named by: where it lies in the folder that was given, or its file's name."""

    path: Path
    name: str


@dataclass(frozen=True)
class Video:
    """A video that can be localized: how long, how many pixels an image has, how many images a second."""

    path: Path
    seconds: float
    pixels: int
    rate: float
    is_silent: bool


def is_one_file(given: Sequence[Path]) -> bool:
    """Whether a single video is meant, and by its path."""
    return len(given) == 1 and not given[0].is_dir() and (given[0].exists() or not _is_pattern(given[0]))


def find_videos(given: Sequence[Path], out: Path, refusals: list[Refusal]) -> list[Found]:
    """The videos of files, folders (at any depth, without `out`) and patterns (without overlays in
    `out`), each once, in their order.

    Links and special files that cannot be followed, folders that cannot be listed: added to `refusals`. InputError for
    a path that is not there, and for a folder or pattern with no video.
    """
    found: dict[str, Found] = {}
    for path in given:
        for each in _found_at(path, out, refusals):
            found.setdefault(os.path.realpath(each.path), each)
    return list(found.values())


def _found_at(path: Path, out: Path, refusals: list[Refusal]) -> list[Found]:
    if path.is_dir():
        refused: list[Refusal] = []
        names = [name for name in tree_of(path, out, refused, Counter()).files if _is_video(name)]
        refusals += refused
        return _some([Found(path / name, name) for name in names if not is_litter(name)], f"the folder {path}", refused)
    if path.exists() or not _is_pattern(path):
        return [Found(path, path.name)]
    base = _before_pattern(path)
    matches = sorted(Path(each) for each in glob.glob(str(path), recursive=True))
    videos = [each for each in matches if _is_video(each) and not each.is_dir() and not _was_made(each, out)]
    return _some([Found(each, str(each.relative_to(base))) for each in videos], f"the pattern {path}")


def _was_made(path: Path, out: Path) -> bool:
    """Whether a file is an overlay in the folder of overlays: a command that is given again does not take it up."""
    return path.is_file() and path.resolve().is_relative_to(out.resolve()) and is_marked(path)


def _is_video(name: str | Path) -> bool:
    return Path(name).suffix.lower() in MEDIA_SUFFIXES


def _some(found: list[Found], where: str, refused: Sequence[Refusal] = ()) -> list[Found]:
    if not found:
        but = f" that can be followed: {refused[0].path} is {refused[0].message}" if refused else ""
        raise InputError(f"{where} leads to no video{but}. Videos are files such as .mp4, .mov, .mkv, .webm, .avi.")
    return found


def _is_pattern(path: Path) -> bool:
    return any(sign in str(path) for sign in OF_A_PATTERN)


def _before_pattern(path: Path) -> Path:
    """The folder that all matches lie in."""
    parts: list[str] = []
    for part in path.parts[:-1]:
        if any(sign in part for sign in OF_A_PATTERN):
            break
        parts.append(part)
    return Path(*parts)


def look_at(path: Path, out: Path) -> Video:
    """What a video is. InputError where it cannot be read, has no image or no sound that can be decoded, or `out`
    cannot hold its sound."""
    if not os.path.lexists(path):
        raise InputError(f"there is no video {path}. Give the path of a video file.")
    with refusing(path), OnePass(path) as media:
        carriage(media.audio, out.suffix.lower())
        if next(media.shown_at([0.0]), None) is None:
            raise InputError(f"{path} cannot be localized: it {NO_IMAGE}. Give another video.")
        facts, (wide, tall), rate = media.facts, media.stored_size, float(media.average_rate)
        return Video(path, facts.duration, wide * tall, rate, not media.is_heard())


def outputs(found: Sequence[Found], folder: Path, suffix: str) -> list[Path]:
    """For each video the name of its overlay: its own with another suffix; with both where two would have one name."""
    short = [PurePath(each.name).with_suffix(suffix) for each in found]
    taken = Counter(str(name).casefold() for name in short)
    names = [
        name if taken[str(name).casefold()] == 1 else PurePath(f"{each.name}{suffix}")
        for each, name in zip(found, short, strict=True)
    ]
    again = [name for name, count in Counter(map(str, names)).items() if count > 1]
    if again:
        raise InputError(f"two videos would both become {again[0]}. Localize them with a command and an --out each.")
    return [folder / name for name in names]
