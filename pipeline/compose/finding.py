"""What lies in folders of material: objects in images, recordings, backgrounds; of the classes that are seen and heard.

Nothing is decoded here. A class that is heard but never seen serves for sounds from off the screen; images of a class
that is never heard are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manifests.errors import InputError
from manifests.files.suffixes import IMAGE_SUFFIXES
from pipeline.compose.catalogue import is_of_collection, source_of
from pipeline.compose.coco import find_coco
from pipeline.compose.files import BACKGROUND_FOLDERS, Rejection, files_below, in_background_folder, spelled_alike
from pipeline.compose.listed import read_listed
from pipeline.compose.mask_files import is_mask
from pipeline.compose.object_images import ObjectImage, find_in_folders
from pipeline.compose.recordings import Recording, find_recordings, spoken_of
from pipeline.compose.voc import find_voc

Stage = Literal["image", "audio", "background"]
Found = ObjectImage | Recording
NO_CLASS = ""  # of backgrounds


@dataclass(frozen=True)
class Background:
    """A photograph. `source`: itself or, as lists say it, what it was cut from; `of_collection`: as an object's."""

    path: Path
    source: str
    of_collection: bool


@dataclass(frozen=True)
class Item:
    """One piece of material: an object in an image, a recording or a background. `number` is its own in the corpus.
    `of_collection`: its source may be more than one recording or photograph."""

    number: int
    stage: Stage
    label: str
    path: Path
    source: str
    of_collection: bool
    file: str  # its path below the folder it was found in
    found: Found | None = None


def find_material(images: Path, audio: Path, backgrounds: Path | None) -> tuple[list[Item], list[Rejection]]:
    """All of it, and the files whose class is not known or serves nothing. InputError without two classes in common."""
    objects, unknown_images = find_objects(images, _below(images, backgrounds))
    recordings, unknown_audio = find_recordings(audio)
    rejected = [*unknown_images, *unknown_audio]
    spelled = {spelled_alike(each.label): each.label for each in objects}
    heard = [(each, *_class_heard(each, spelled)) for each in recordings]
    sounding = {spelled_alike(label) for _, label, _ in heard}
    _check_common(set(spelled) & sounding, spelled, sounding, images, audio)
    items: list[Item] = []
    for each in objects:
        label = spelled[spelled_alike(each.label)]
        if spelled_alike(label) in sounding:
            items.append(_item(items, "image", label, each, images))
        else:
            rejected.append(Rejection(str(each.path), "image", "class_alone", f"no recording is of class {label}"))
    for recording, label, several in heard:
        if several:
            said = f"it is of {' and '.join(several)}"
            rejected.append(Rejection(str(recording.path), "audio", "several_classes", said))
        else:
            items.append(_item(items, "audio", label, recording, audio))
    scenery, lacking = _backgrounds(images, backgrounds)
    for background, root in scenery:
        items.append(_item(items, "background", NO_CLASS, background, root))
    named = {each.path for each in rejected}
    return items, rejected + [each for each in lacking if each.path not in named]


def find_objects(images: Path, backgrounds: Path | None) -> tuple[list[ObjectImage], list[Rejection]]:
    """Every object in the images, as VOC, COCO, or folders and lists tell it, and what cannot be used. `backgrounds`: a
    folder in that of the images, resolved, whose images are none of these."""
    material = [
        path
        for path in files_below(images, IMAGE_SUFFIXES, "--pictures")
        if not (is_mask(path, images) or in_background_folder(path, images, backgrounds))
    ]
    described = find_voc(images) or find_coco(images, material)
    if described is None:
        return find_in_folders(images, backgrounds)
    found, bad = described
    told, said = {str(each.path) for each in [*found, *bad]}, "no annotation of an object in it can be used"
    others = [str(path) for path in material if str(path) not in told]
    return found, bad + [Rejection(path, "image", "no_class", said) for path in others]


def _below(images: Path, backgrounds: Path | None) -> Path | None:
    """The folder of backgrounds, resolved, where it lies in that of the images."""
    given = backgrounds and backgrounds.resolve()
    return given if given and images.resolve() in given.parents else None


def _item(items: Sequence[Item], stage: Stage, label: str, each: Found | Background, root: Path) -> Item:
    file, found = each.path.relative_to(root).as_posix(), None if isinstance(each, Background) else each
    return Item(len(items), stage, label, each.path, each.source, each.of_collection, file, found)


def _class_heard(recording: Recording, spelled: Mapping[str, str]) -> tuple[str, list[str]]:
    """The class of a recording, as images spell it where they have it; all such classes when there are several."""
    matches = sorted(
        {spelled[name] for each in spoken_of(recording.labels) if (name := spelled_alike(each)) in spelled}
    )
    return (matches[0] if matches else recording.labels[0]), matches if len(matches) > 1 else []


def _backgrounds(images: Path, backgrounds: Path | None) -> tuple[list[tuple[Background, Path]], list[Rejection]]:
    """Each with its folder; without a folder given those in one called so among the images. And those that are listed
    but not there."""
    beside = (images / name for name in sorted(BACKGROUND_FOLDERS))
    root = backgrounds or next((folder for folder in beside if folder.is_dir()), None)
    if root is None:
        return [], []
    paths = files_below(root, IMAGE_SUFFIXES, "--backgrounds")
    if not paths:
        raise InputError(f"--backgrounds {root} holds no image. Give a folder of photographs, or leave the option out.")
    listed = read_listed(root, paths, "background", IMAGE_SUFFIXES)
    first = {path: next(iter(entries), None) for path, entries in listed.entries.items()}
    found = [
        (Background(path, source_of(path, entry, root), is_of_collection(entry)), root) for path, entry in first.items()
    ]
    return found, listed.rejected


def _check_common(common: set[str], seen: Iterable[str], heard: Iterable[str], images: Path, audio: Path) -> None:
    if len(common) > 1:
        return
    what = f"only the class {next(iter(common))!r}" if common else "no class"
    raise InputError(
        f"--pictures {images} and --sounds {audio} have {what} in common: seen are {_some(seen)}; heard are "
        f"{_some(heard)}. Give folders that share at least two classes, named alike."
    )


def _some(names: Iterable[str]) -> str:
    ordered = sorted(set(names))
    return (", ".join(ordered[:6]) + (", ..." if len(ordered) > 6 else "")) or "none"
