"""Labelled recordings: in folders of classes, or as lists say (ESC-50, UrbanSound8K, AudioSet and their like)."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from manifests.suffixes import AUDIO_SUFFIXES, IMAGE_SUFFIXES
from pipeline.compose.catalogue import absent, is_of_collection, read_catalogue, source_of
from pipeline.compose.files import Rejection, class_by_folder, files_below


@dataclass(frozen=True)
class Recording:
    """A file of sound. `labels`: its classes, one as a rule; `source`: the recording it was cut from, or with
    `of_collection` what it has in common with other recordings, such as its instrument."""

    path: Path
    labels: tuple[str, ...]
    source: str
    of_collection: bool = False


def find_recordings(root: Path) -> tuple[list[Recording], list[Rejection]]:
    """Every recording whose class is known, those whose class is not, and those that are listed but not there. A list
    counts more than a folder."""
    catalogue, paths = read_catalogue(root), files_below(root, AUDIO_SUFFIXES, "--sounds")
    images = files_below(root, IMAGE_SUFFIXES, "--sounds")  # which a list may name without their suffix, too
    found, unknown = [], absent(catalogue, root, [*paths, *images], "audio", {*AUDIO_SUFFIXES, ""})
    for path in paths:
        entries, folder = catalogue.find(path.absolute()), class_by_folder(path, root)
        listed = tuple(dict.fromkeys(label for entry in entries for label in entry.labels))
        labels, entry = listed or ((folder,) if folder else ()), next(iter(entries), None)
        if labels:
            found.append(Recording(path, labels, source_of(path, entry, root), is_of_collection(entry)))
        else:
            unknown.append(Rejection(str(path), "audio", "no_class", "no folder and no list names its class"))
    return found, unknown


def spoken_of(labels: Collection[str]) -> set[str]:
    """All names that labels go by: AudioSet's "Violin, fiddle" is a violin, too."""
    return {name.strip() for label in labels for name in (label, *label.split(","))}
