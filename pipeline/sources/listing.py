"""What lies in a source folder: every clip in it, every file that must be refused, every label list beside it.

The first step of ingest and all of `pipeline inspect SRC`. The walk trusts no folder name: any file with a video's
suffix, loose or inside a tar, is a clip; its stem decides key and layout; loose images and audio that belong
together are one too (`pipeline.sources.frames_and_audio`). Names are data: leading dashes, newlines and bytes that are
not UTF-8 pass unharmed; links out of the tree are refused.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

from manifests.clip_lists.rows import SPLIT_WORDS, normal_split
from manifests.errors import InputError
from manifests.files.given import check_lasting, reason
from manifests.files.suffixes import AUDIO_SUFFIXES, IMAGE_SUFFIXES, MEDIA_SUFFIXES, is_litter
from manifests.keys import file_clip, parse_clip_name, safe_key, stem_of
from pipeline.sources.apart import Apart
from pipeline.sources.archives import is_archive, list_members
from pipeline.sources.frames_and_audio import pair_up
from pipeline.sources.litter import litter_left_alone, unfinished
from pipeline.sources.pairs import Pair
from pipeline.sources.walk import Refusal, Tree, or_refused, readable, tree_of
from pipeline.storage.remote import Place

MOST_KINDS = 12
LABEL_LISTS = (".csv", ".csv.gz", "annotations.txt", "music_solo_videos.json", "music_duet_videos.json")
FOLDER_LISTS = ("metadata.csv", "metadata.jsonl")  # Hugging Face's: of the files in and below their own folder
_WINDOW_NAME = re.compile(r".*_\d+_\d+(_out)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to decode. `path` is relative to source `root` (an index into the --src list).

    Inside an archive `member` names the file, `position` and `offset` its place
    (`pipeline.sources.archives.ArchiveMember`). `size` counts bytes of the clip; `start_known` tells VGGSound-style
    names; label and split come from the folders `<split>/<class>/` and are overruled by a label list. Without a video
    `path` is an image, `audio` the path of its sound, and `moment` the image's time in that sound (seconds, None
    when unknown).
    """

    key: str
    source_id: str
    start_known: bool
    naming: str
    root: int
    path: str
    size: int
    member: str | None = None
    position: int = 0
    offset: int | None = None
    label: str | None = None
    split: str | None = None
    audio: str | None = None
    moment: float | None = None

    @property
    def display(self) -> str:
        """Path for people and tables: `archive.tar!member` inside an archive, `image + audio` where these lie apart,
        bytes that are not UTF-8 escaped."""
        if self.audio is not None:
            return readable(f"{self.path} + {self.audio}")
        return readable(self.path if self.member is None else f"{self.path}!{self.member}")

    @property
    def stream(self) -> str | None:
        """The compressed archive this clip can only be read from in order, None for anything read at random."""
        return self.path if self.member is not None and self.offset is None else None


@dataclass
class Listing:
    """Everything a walk over the sources met. `others` counts files that are no media, by suffix; `litter` names what
    systems and downloads left there (`manifests.files.suffixes.is_litter`); `label_files` are in the walk's order."""

    roots: tuple[Place, ...] = ()
    clips: list[Clip] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    litter: list[str] = field(default_factory=list)
    label_files: list[Place] = field(default_factory=list)
    archives: int = 0
    memory: Place | None = None


def list_sources(roots: Sequence[Place], exclude: Place | None = None, memory: Place | None = None) -> Listing:
    """Walk all source folders (leaving out the folder `exclude`). InputError when one is missing or holds no clip.

    What a compressed archive holds is remembered in the folder `memory`: to list it means to unpack all of it.
    """
    listing = Listing(roots=tuple(roots), memory=memory)
    for root in roots:
        _check_folder(root)
    _check_apart(roots)
    for number, root in enumerate(roots):
        before, litter = len(listing.clips) + len(listing.refusals), len(listing.litter)
        apart = Apart()
        tree = tree_of(root, exclude, listing.refusals, listing.others)
        for relative in tree.files:
            with or_refused(listing.refusals, relative):
                _add_file(listing, number, tree, relative, apart)
        _leave_unfinished(listing, number, apart, litter)
        _add_pairs(listing, number, tree, apart)
        if len(listing.clips) + len(listing.refusals) == before:
            raise InputError(_nothing_found(root, listing))
    return listing


def _check_folder(root: Place) -> None:
    try:
        exists = root.exists()
    except OSError as error:
        check_lasting(f"The source folder {root}", error)
        raise InputError(f"The source folder {root} cannot be looked at ({reason(error)}).") from error
    if not exists:
        raise InputError(f"The source folder {root} does not exist. Give the folder that holds your videos to --src.")
    if not root.is_dir():
        raise InputError(f"The source {root} is a file, not a folder. Give the folder that holds it to --src.")


def _check_apart(roots: Sequence[Place]) -> None:
    """InputError for a folder that is given twice, or lies in another one: its clips would be stored twice."""
    lie = [(root, f"{str(root.resolve()).rstrip('/')}/") for root in roots]
    for (one, first), (other, second) in combinations(lie, 2):
        if first.startswith(second) or second.startswith(first):
            how = "are one folder" if first == second else "lie one in the other"
            raise InputError(
                f"The source folders {readable(str(one))} and {readable(str(other))} {how}, so clips would be stored "
                "twice under different keys. Give each folder once to --src; one is read with all the folders in it."
            )


def _nothing_found(root: Place, listing: Listing) -> str:
    if listing.litter and not listing.others:
        left = litter_left_alone(listing.litter)
        return f"The source folder {root} holds no clip: {left}. Give the folder of your videos."
    if not listing.others:
        return f"The source folder {root} is empty. Give the folder that holds your videos (or tar files) to --src."
    met = ", ".join(f"{count} {suffix}" for suffix, count in listing.others.most_common(8))
    if listing.archives:
        return (
            f"The source folder {root} holds no video, neither loose nor in its tar files, only: {met}. Images and "
            "sounds are read from folders: unpack them first."
        )
    return (
        f"The source folder {root} holds no video and no tar file, only: {met}. ingest reads "
        f"{' '.join(sorted(MEDIA_SUFFIXES))} in any folder depth, loose or inside tar archives, and images "
        f"({' '.join(sorted(IMAGE_SUFFIXES))}) that have a sound ({' '.join(sorted(AUDIO_SUFFIXES))}) of the same name."
    )


def left_alone(listing: Listing, lists_used: Iterable[str]) -> str | None:
    """One line on the files that are no clips; the label lists in use are no such. None when there are none."""
    used = set(lists_used)
    names = used | {os.path.realpath(path) for path in used}
    found = (path for path in listing.label_files if not names.isdisjoint((str(path), str(path.resolve()))))
    others = listing.others - Counter(PurePosixPath(path.name).suffix.lower() for path in found)
    if not others:
        return None
    verb = "file is no clip and was" if others.total() == 1 else "files are no clips and were"
    return f"{others.total()} {verb} left alone: {tally(others)}"


def tally(counts: Mapping[str, int]) -> str:
    """Kinds and how often each was met, `.jpg 12, .txt 3`, the most frequent first and at most a dozen."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    rest = f", {len(ordered) - MOST_KINDS} more kinds" if len(ordered) > MOST_KINDS else ""
    return ", ".join(f"{readable(name)} {count}" for name, count in ordered[:MOST_KINDS]) + rest


# --- files become clips ----------------------------------------------------------------------------------------------


def _add_file(listing: Listing, number: int, tree: Tree, relative: str, apart: Apart) -> None:
    path = PurePosixPath(relative)
    suffix = path.suffix.lower()
    if is_litter(relative):
        listing.litter.append(relative)
    elif is_archive(path.name):
        _add_archive(listing, number, tree.root / relative, relative)
    elif suffix in MEDIA_SUFFIXES:
        folders = path.parts[:-1]
        listing.clips.append(_clip(path.name, folders, root=number, path=relative, size=tree.size_of(relative)))
    elif suffix in AUDIO_SUFFIXES:
        apart.audio_files.append(relative)
    elif suffix in IMAGE_SUFFIXES:
        apart.add_image(relative)
    else:
        listing.others[suffix or "(no suffix)"] += 1
        name = path.name.lower()
        if name in FOLDER_LISTS or (len(path.parts) == 1 and name.endswith(LABEL_LISTS)):
            listing.label_files.append(tree.root / relative)


def _add_archive(listing: Listing, number: int, path: Place, relative: str) -> None:
    listing.archives += 1
    members, broken = list_members(path, listing.memory)
    for member in members:
        inside = Path(member.name)
        if is_litter(member.name):
            listing.litter.append(f"{relative}!{member.name}")
        elif inside.suffix.lower() not in MEDIA_SUFFIXES:
            listing.others[inside.suffix.lower() or "(no suffix)"] += 1
        elif member.problem:
            listing.refusals.append(Refusal(readable(f"{relative}!{member.name}"), "refused", member.problem))
        else:
            place = {"member": member.name, "position": member.position, "offset": member.offset, "size": member.size}
            listing.clips.append(_clip(inside.name, inside.parts[:-1], root=number, path=relative, **place))
    if broken:
        listing.refusals.append(
            Refusal(readable(relative), "unreadable", f"the archive breaks after {len(members)} members: {broken}")
        )


def _leave_unfinished(listing: Listing, number: int, apart: Apart, litter: int) -> None:
    """Take away what its neighbours show to be part of a download; the litter of this source begins at `litter`."""
    places = [clip.display for clip in listing.clips if clip.root == number]
    if parts := unfinished([*places, *apart.audio_files], listing.litter[litter:]):
        listing.litter += sorted(parts)
        listing.clips = [clip for clip in listing.clips if clip.root != number or clip.display not in parts]
        apart.audio_files = [path for path in apart.audio_files if path not in parts]


def _add_pairs(listing: Listing, number: int, tree: Tree, apart: Apart) -> None:
    """Make clips of the images and audio that belong together; the video of the same clip is the better source."""
    apart.close()
    videos = (clip.member or clip.path for clip in listing.clips if clip.root == number and not clip.audio)
    found = pair_up(apart.audio_files, apart.folders, videos)
    for pair in found.pairs:
        with or_refused(listing.refusals, pair.image):
            size = sum(map(tree.size_of, (pair.image, pair.audio)))
            listing.clips.append(_clip_of_pair(pair, number, size))
    for path in found.lonely_images:
        listing.refusals.append(Refusal(readable(path), "no_audio", "no sound of this name belongs to this image"))
    for path in found.lonely_audio:
        listing.refusals.append(Refusal(readable(path), "no_video", "no image has the name of this sound"))
    listing.others += found.unused


# --- names -----------------------------------------------------------------------------------------------------------


def _clip(name: str, folders: tuple[str, ...], **place: Any) -> Clip:
    clip, (split, label) = file_clip(_as_utf8(name)), _split_and_class(folders)
    known = clip.start_seconds is not None
    return Clip(clip.key, clip.source_id, known, naming(stem_of(name)), label=label, split=split, **place)


def _clip_of_pair(pair: Pair, root: int, size: int) -> Clip:
    name = parse_clip_name(_as_utf8(pair.stem))
    known = name.start_seconds is not None and pair.number is None
    split, label = _place_of_pair(pair)
    key, source = (name.key, name.source_id) if known else (safe_key(_as_utf8(pair.stem)),) * 2
    if pair.number is not None:  # as the annotations name these images: class/video/video_1, without a class video_1
        key = "/".join([*([safe_key(label)] if label else []), key, f"{key}_{pair.number}"])
    place = {"path": pair.image, "audio": pair.audio, "size": size, "moment": pair.moment}
    return Clip(key, source, known, pair.naming, root, label=label, split=split, **place)


def _place_of_pair(pair: Pair) -> tuple[str | None, str | None]:
    """Split and class from the folders of the sound, which lies in no folder of its own; a split may stand alone."""
    folders = PurePosixPath(pair.audio).parts[:-1]
    if folders and folders[-1].lower() in SPLIT_WORDS:
        return normal_split(folders[-1]), None
    return _split_and_class(folders)


def stem_key(clip: Clip) -> str:
    """The key label lists know a clip by: that of its own file, or of its sound, before folders are added."""
    return file_clip(_as_utf8(PurePosixPath(clip.audio or clip.member or clip.path).name)).key


def _as_utf8(name: str) -> str:
    """A file's name as the UTF-8 it most likely is, whatever the locale says."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _split_and_class(folders: tuple[str, ...]) -> tuple[str | None, str | None]:
    """`.../train/playing_violin_fiddle/clip.mp4` says both; a folder alone says nothing certain about the sound."""
    if len(folders) >= 2 and folders[-2].lower() in SPLIT_WORDS:
        return normal_split(folders[-2]), readable(folders[-1])
    return None, None


def naming(stem: str) -> str:
    """Which of the known spellings a stem follows, in words for `pipeline inspect`."""
    name = parse_clip_name(stem)
    if name.start_seconds is None:
        return "own names, kept as keys"
    if stem == name.key:
        return "<id>_<start seconds, six digits>"
    return "<id>_<start>_<end>" if _WINDOW_NAME.fullmatch(stem) else "<id>_<start>, unpadded or with a v before the id"
