"""What lies in a source folder: every clip in it, every file that must be refused, every label list beside it.

The first step of ingest and all of `pipeline inspect SRC`. The walk trusts no folder name: any file with a media
suffix, loose or inside a tar, is a clip; its stem decides key and layout (datasets sheet, sections 1.1 and 8). Names
are data: leading dashes, newlines and bytes that are not UTF-8 pass unharmed; links out of the tree are refused.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from manifests.errors import InputError
from manifests.keys import parse_clip_name
from manifests.vggsound import SPLIT_WORDS
from pipeline.archives import is_archive, is_compressed, list_members

# fmt: off
MEDIA_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov", ".qt", ".flv", ".f4v", ".ts", ".mts", ".m2ts", ".3gp", ".3g2",
    ".mpg", ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".ogv", ".mxf",
})
# fmt: on
LABEL_LISTS = (".csv", ".csv.gz", "annotations.txt", "music_solo_videos.json", "music_duet_videos.json")
_WINDOW_NAME = re.compile(r".*_\d+_\d+(_out)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to decode. `path` is relative to source `root` (an index into the --src list).

    Inside an archive `member` names the file, `position` and `offset` its place (`pipeline.archives.ArchiveMember`).
    `size` counts bytes of the clip; `start_known` tells VGGSound-style names; label and split come from the folders
    `<split>/<class>/` and are overruled by a label list.
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

    @property
    def display(self) -> str:
        """Path for people and tables: `archive.tar!member` inside an archive, bytes that are not UTF-8 escaped."""
        return readable(self.path if self.member is None else f"{self.path}!{self.member}")

    @property
    def stream(self) -> str | None:
        """The compressed archive this clip can only be read from in order, None for anything read at random."""
        return self.path if self.member is not None and is_compressed(self.path) else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that never reaches a decoder: reject row `reason` (a `pipeline.record.REASONS`) and what was seen."""

    path: str
    reason: str
    message: str


@dataclass
class Listing:
    """Everything a walk over the sources met. `others` counts files that are no media, by suffix."""

    clips: list[Clip] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    label_files: list[Path] = field(default_factory=list)
    archives: int = 0
    memory: Path | None = None


def readable(path: str) -> str:
    """A path as printable UTF-8: bad bytes and control characters are shown as backslash escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def list_sources(roots: Sequence[Path], exclude: Path | None = None, memory: Path | None = None) -> Listing:
    """Walk all source folders (leaving out the folder `exclude`). InputError when one is missing or holds no clip.

    What a compressed archive holds is remembered in the folder `memory`: to list it means to unpack all of it.
    """
    listing = Listing(memory=memory)
    for number, root in enumerate(roots):
        _check_folder(root)
        before = len(listing.clips) + len(listing.refusals)
        for path in _walk(root, root.resolve(), exclude.resolve() if exclude else None, listing):
            _add_file(listing, number, root, path)
        if len(listing.clips) + len(listing.refusals) == before:
            raise InputError(_nothing_found(root, listing.others))
    return listing


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise InputError(f"The source folder {root} does not exist. Give the folder that holds your videos to --src.")
    if not root.is_dir():
        raise InputError(f"The source {root} is a file, not a folder. Give the folder that holds it to --src.")


def _nothing_found(root: Path, others: Counter[str]) -> str:
    if not others:
        return f"The source folder {root} is empty. Give the folder that holds your videos (or tar files) to --src."
    met = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
    return (
        f"The source folder {root} holds no video and no tar file, only: {met}. ingest reads "
        f"{' '.join(sorted(MEDIA_SUFFIXES))} in any folder depth, loose or inside tar archives."
    )


# --- the walk --------------------------------------------------------------------------------------------------------


def _walk(folder: Path, tree: Path, exclude: Path | None, listing: Listing) -> Iterator[Path]:
    """Files below `folder` in name order; links that leave `tree` become refusals."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError as error:
        problem = f"the folder cannot be listed: {error.strerror}"
        listing.refusals.append(Refusal(readable(str(folder)), "unreadable", problem))
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() and (problem := _link_problem(path, tree)):
            listing.refusals.append(Refusal(readable(entry.path), "refused", problem))
        elif entry.is_dir(follow_symlinks=False):
            if exclude is None or path.resolve() != exclude:
                yield from _walk(path, tree, exclude, listing)
        elif entry.is_file():
            yield path
        else:
            listing.others["(link to a folder of the tree)" if entry.is_dir() else "(special file)"] += 1


def _link_problem(path: Path, tree: Path) -> str | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    return None if target.is_relative_to(tree) else f"a link out of the source folder, to {readable(str(target))}"


def _add_file(listing: Listing, number: int, root: Path, path: Path) -> None:
    relative, suffix = str(path.relative_to(root)), path.suffix.lower()
    if is_archive(path.name):
        _add_archive(listing, number, path, relative)
    elif suffix in MEDIA_SUFFIXES:
        folders = Path(relative).parts[:-1]
        listing.clips.append(_clip(path.stem, folders, root=number, path=relative, size=path.stat().st_size))
    else:
        listing.others[suffix or "(no suffix)"] += 1
        if path.parent == root and path.name.lower().endswith(LABEL_LISTS):
            listing.label_files.append(path)


def _add_archive(listing: Listing, number: int, path: Path, relative: str) -> None:
    listing.archives += 1
    members, broken = list_members(path, listing.memory)
    for member in members:
        inside = Path(member.name)
        if inside.suffix.lower() not in MEDIA_SUFFIXES:
            listing.others[inside.suffix.lower() or "(no suffix)"] += 1
        elif member.problem:
            listing.refusals.append(Refusal(readable(f"{relative}!{member.name}"), "refused", member.problem))
        else:
            place = {"member": member.name, "position": member.position, "offset": member.offset, "size": member.size}
            listing.clips.append(_clip(inside.stem, inside.parts[:-1], root=number, path=relative, **place))
    if broken:
        listing.refusals.append(
            Refusal(readable(relative), "unreadable", f"the archive breaks after {len(members)} members: {broken}")
        )


# --- names -----------------------------------------------------------------------------------------------------------


def _clip(stem: str, folders: tuple[str, ...], **place: object) -> Clip:
    name = parse_clip_name(stem)
    known = name.start_seconds is not None
    split, label = _split_and_class(folders)
    key, source = (name.key, name.source_id) if known else (safe_key(stem), safe_key(stem))
    return Clip(key, source, known, naming(stem), label=label, split=split, **place)


def stem_key(clip: Clip) -> str:
    """The key label lists know a clip by: its stem's own."""
    return parse_clip_name(PurePosixPath(clip.member or clip.path).stem).key


def _split_and_class(folders: tuple[str, ...]) -> tuple[str | None, str | None]:
    """`.../train/playing_violin_fiddle/clip.mp4` says both; a folder alone says nothing certain about the sound."""
    if len(folders) >= 2 and folders[-2].lower() in SPLIT_WORDS:
        return folders[-2].lower(), readable(folders[-1])
    return None, None


def naming(stem: str) -> str:
    """Which of the known spellings a stem follows, in words for `pipeline inspect`."""
    name = parse_clip_name(stem)
    if name.start_seconds is None:
        return "own names, kept as keys"
    if stem == name.key:
        return "<id>_<start seconds, six digits>"
    return "<id>_<start>_<end>" if _WINDOW_NAME.fullmatch(stem) else "<id>_<start>, unpadded or with a v before the id"


def safe_key(stem: str) -> str:
    """A stem as WebDataset key: what tar names or tables cannot carry (dots, controls, bad bytes) as %XX, injective."""
    raw = os.fsencode(stem).decode("utf-8", "surrogateescape")
    return "".join(_escaped(letter) if letter in "./\\%" or not letter.isprintable() else letter for letter in raw)


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape"))
