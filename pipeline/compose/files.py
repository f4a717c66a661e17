"""The files of a folder of material, and the class that a file's folders name.

A class is the innermost folder that does not merely say what kind of file it holds: `dog/audio/1.ogg`,
`audio/train/dog/1.ogg` and `dog/1.ogg` are all of class "dog". Two spellings of a class are one: "French Horn",
`french_horn` and `french-horn`.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import InputError
from manifests.files import folders
from manifests.files.spelling import composed

# fmt: off
SIDE_WORDS = frozenset({
    "train", "training", "test", "testing", "val", "valid", "validation", "eval", "train2017", "val2017",
})
KIND_WORDS = frozenset({
    "audio", "audios", "sound", "sounds", "wav", "wavs", "ogg", "mp3", "flac", "recordings", "audio_only", "clips",
    "picture", "pictures", "image", "images", "img", "imgs", "photos", "photographs", "cutouts", "jpegimages",
    "mask", "masks", "gt_masks", "segmentation", "segmentations", "segmentationobject", "segmentationclass", "data",
    "dataset",
}) | SIDE_WORDS
# fmt: on
BACKGROUND_FOLDERS = frozenset({"background", "backgrounds"})
REASONS = {
    "no_class": "neither a folder nor a list says of which class it is",
    "class_alone": "its class has images only, or sounds only",
    "class_too_small": "its class has too few usable files for both sides of the split",
    "several_classes": "a list names several of the classes for it",
    "not_found": "a list names it, but it is not there",
    "several_fit": "the name in a list or an annotation, or the mask, fits more than one file",
    "leads_out": "an annotation names it by a path that leads out of the folder",
    "bad_annotation": "its annotation cannot be used",
    "crowd": "its annotation is of a crowd, which is no single object",
    "unreadable": "nothing opens it: it is not of the kind that its name says, or its header is damaged",
    "corrupt": "it is damaged, or was cut off before what is needed",
    "no_outline": "nothing says where its object is: no transparency, no mask, no box",
    "empty_outline": "its transparency, mask or box leaves nothing of the object",
    "too_small": "its object is smaller than 12 pixels",
    "too_short": "its sound is shorter than 0.1 s",
    "silent": "it has no sound",
}


@dataclass(frozen=True)
class Rejection:
    """A file that is left out: `stage` is image, audio or background, `reason` one of REASONS."""

    path: str
    stage: str
    reason: str
    message: str


class Unusable(Exception):
    """One file cannot be used. `reason` is one of REASONS, `message` says what was seen."""

    def __init__(self, reason: str, message: str) -> None:
        assert reason in REASONS, reason
        super().__init__(message)
        self.reason, self.message = reason, message


def files_below(root: Path, suffixes: Collection[str], option: str) -> list[Path]:
    """Every file of these suffixes at any depth, in the order of their paths. InputError when the folder is none."""
    if not root.is_dir():
        raise InputError(f"{option} {root} is no folder. Give the folder that holds the files.")
    return folders.files_below(root, suffixes)


def class_by_folder(path: Path, root: Path) -> str | None:
    """The class that the folders between root and file name; None when there is none.

    Bytes of the name that are no UTF-8 are written out, as lists hold text.
    """
    folders = path.relative_to(root).parts[:-1]
    return next((_as_text(name) for name in reversed(folders) if name.lower() not in KIND_WORDS), None)


def _as_text(name: str) -> str:
    return composed(os.fsencode(name).decode("utf-8", "backslashreplace"))


def in_background_folder(path: Path, root: Path, given: Path | None = None) -> bool:
    """Whether a file lies in a folder of backgrounds below the root, by its name or as the one `given`, resolved."""
    if any(part.lower() in BACKGROUND_FOLDERS for part in path.relative_to(root).parts[:-1]):
        return True
    return given is not None and given in path.resolve().parents


def spelled_alike(label: str) -> str:
    """What all spellings of a class have in common."""
    return " ".join(composed(label).casefold().replace("_", " ").replace("-", " ").split())
