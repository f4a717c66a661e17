"""Labelled recordings: in folders of classes, or as lists say (ESC-50, UrbanSound8K, AudioSet and their like)."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from manifests.files.suffixes import AUDIO_SUFFIXES
from pipeline.compose.catalogue import is_of_collection, source_of
from pipeline.compose.files import Rejection, class_by_folder, files_below
from pipeline.compose.listed import read_listed


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
    listed = read_listed(root, files_below(root, AUDIO_SUFFIXES, "--sounds"), "audio", {*AUDIO_SUFFIXES, ""})
    found, unknown = [], list(listed.rejected)
    for path, entries in listed.entries.items():
        folder, entry = class_by_folder(path, root), next(iter(entries), None)
        of_lists = tuple(dict.fromkeys(label for entry in entries for label in entry.labels))
        labels = of_lists or ((folder,) if folder else ())
        if labels:
            found.append(Recording(path, labels, source_of(path, entry, root), is_of_collection(entry)))
        else:
            unknown.append(Rejection(str(path), "audio", "no_class", "no folder and no list names its class"))
    return found, unknown


def spoken_of(labels: Collection[str]) -> set[str]:
    """All names that labels go by: AudioSet's "Violin, fiddle" is a violin, too."""
    return {name.strip() for label in labels for name in (label, *label.split(","))}
