"""Images and sounds that lie apart: which image belongs to which sound, for users who have no videos any more.

`sources` hands over what its walk met; nothing here touches the disk. Who belongs together is told by names alone, as
every released loader of this field does: `frames/<id>.jpg` beside `audio/<id>.wav`, `<id>/image_050.jpg` beside
`<id>.wav`, `<id>.mp4/00000003.jpg` beside `<id>.mp4.mp3`, `<video>_1.png` to `_5.png` beside `<video>.wav`. Folder
names decide between several sounds of one name, and whether a sound that lies beside an image of its own is another's.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from manifests.files.spelling import compared
from manifests.keys import base_name, parse_clip_name
from pipeline.sources.lonely import settle_the_lonely
from pipeline.sources.pairs import (
    EVERY_SECOND,
    ONE_OF_MANY,
    SAME_NAME,
    MatchedFiles,
    Pair,
    folder_of,
    join_key,
    parts_of,
    suffixes_of,
)

MASK_FOLDERS = frozenset({"gt_masks", "gt_segmentation", "masks"})
ANNOTATED_IMAGES = ("125", "image_050")  # the image at 5.0 s in the dumps of SSL-TIE (25 fps) and SSLalignment
_KIND = re.compile(
    r"videos?|frames?|pictures?|images?|img|sounds?|audios?|aud|mp[34]|wavs?|flac|jpe?g|png|clips?", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?P<video>.+)_(?P<number>[1-9]\d?)", re.DOTALL)


class _Videos:
    """Which clips are there as videos, and so need neither image nor sound.

    VGGSound's names tell clips apart wherever they lie. A name like 001 does so only where the folders correspond:
    they are equal but for those that say what kind of file they hold (`raw_videos/dog/`, `audio_wav/dog/`).
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._places: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for path in paths:
            self._places[join_key(PurePosixPath(path).stem)].add(_place(str(PurePosixPath(path).parent)))

    def hold(self, path: str) -> bool:
        """Whether the image or sound (or folder of images) is that of one of them."""
        places = self._places.get(join_key(path))
        if not places:
            return False
        return _says_its_video(path) or _place(folder_of(path)) in places


def _place(folder: str) -> tuple[str, ...]:
    parts = parts_of(folder)
    return tuple(part for part in parts if not any(map(_KIND.fullmatch, re.split(r"[_ -]", part))))


def pair_up(audio_files: Sequence[str], images: Mapping[str, Sequence[str]], videos: Iterable[str]) -> MatchedFiles:
    """Match sounds with `images` (names by folder); clips that are among the paths `videos` need no pairing.

    AVSBench's numbered images, in a folder of the video's name, are paired even so: its boxes and masks are theirs.
    """
    there = _Videos(videos)
    by_key: dict[str, list[str]] = defaultdict(list)
    of_videos: dict[str, list[str]] = defaultdict(list)
    for audio in audio_files:
        (of_videos if there.hold(audio) else by_key)[join_key(audio)].append(audio)
    result, sounds = MatchedFiles(), _Sounds(by_key, images)
    lonely: list[tuple[str, str]] = []
    for folder in sorted(images):
        if MASK_FOLDERS.isdisjoint(PurePosixPath(folder).parts):
            names: Sequence[str] = images[folder]
            if join_key(folder) in of_videos:
                names = _pair_numbered(folder, names, _Sounds(of_videos, {}), result)
            names = _not_of_videos(folder, names, there, result)
            lonely += [(folder, name) for name in _pair_folder(folder, names, sounds, result)]
        else:
            result.unused += suffixes_of(images[folder])
    used = {pair.audio for pair in result.pairs}
    result.unused += suffixes_of(audio for group in of_videos.values() for audio in group if audio not in used)
    settle_the_lonely(lonely, by_key, result)
    return result


class _Sounds:
    """The sounds that images may belong to, by what an image's name says. None belongs to an image of folders that do
    not correspond to its own where it lies beside one that does: `cat/1.jpg` is not of `dog/1.wav`, `dog/1.jpg` is.
    VGGSound's names say by themselves what belongs together.
    """

    def __init__(self, audio_files: Mapping[str, list[str]], images: Mapping[str, Sequence[str]]) -> None:
        self._by_key = audio_files
        self._seen: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for folder, names in images.items():
            here, above = _place(folder), _place(folder_of(folder))
            self._seen[join_key(folder)].add(above)
            for name in names:
                numbered = _NUMBERED.fullmatch(base_name(name))
                for key in {join_key(name), *([join_key(numbered["video"])] if numbered else ())}:
                    self._seen[key].add(here)

    def of(self, name: str, folder: str) -> str | None:
        """The sound of a name for an image that lies in `folder`, if there is one and it is clear which."""
        key = join_key(name)
        free = [audio for audio in self._by_key.get(key, ()) if not self._is_anothers(audio, key, folder)]
        return nearest(folder, free)

    def _is_anothers(self, audio: str, key: str, folder: str) -> bool:
        theirs, mine = _place(folder_of(audio)), _place(folder)
        beside = theirs in self._seen[key] and not _says_its_video(audio)
        return beside and not (_within(mine, theirs) or _within(theirs, mine))


def _says_its_video(path: str) -> bool:
    return parse_clip_name(base_name(path)).start_seconds is not None


def _within(fewer: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether `fewer` are some of the folders, in their order."""
    rest = iter(folders)
    return all(part in rest for part in fewer)


def _not_of_videos(folder: str, names: Sequence[str], videos: _Videos, result: MatchedFiles) -> list[str]:
    whole = videos.hold(folder)
    rest = [name for name in names if not whole and not videos.hold(str(PurePosixPath(folder, name)))]
    result.unused += suffixes_of(names) - suffixes_of(rest)
    return rest


def _pair_folder(folder: str, names: Sequence[str], sounds: _Sounds, result: MatchedFiles) -> list[str]:
    """Pair one folder's images; the names that found no sound."""
    pairs = [_pair(folder, name, sounds) for name in names]
    result.pairs += [pair for pair in pairs if pair]
    rest = [name for name, pair in zip(names, pairs, strict=True) if pair is None]
    rest = _pair_numbered(folder, rest, sounds, result)
    if rest and (audio := sounds.of(folder, folder_of(folder))):
        chosen = representative(rest)
        result.pairs.append(Pair(f"{folder}/{chosen}", audio, ONE_OF_MANY))
        result.unused += suffixes_of(name for name in rest if name != chosen)
        return []
    return rest


def _pair(folder: str, name: str, sounds: _Sounds) -> Pair | None:
    audio = sounds.of(name, folder)
    return Pair(str(PurePosixPath(folder, name)), audio, SAME_NAME) if audio else None


def _pair_numbered(folder: str, names: Sequence[str], sounds: _Sounds, result: MatchedFiles) -> list[str]:
    """Pair one folder's images `<video>_<n>`; the names that are none."""
    numbered = [_numbered_pair(folder, name, sounds) for name in names]
    result.pairs += [pair for pair in numbered if pair]
    return [name for name, pair in zip(names, numbered, strict=True) if pair is None]


def _numbered_pair(folder: str, name: str, sounds: _Sounds) -> Pair | None:
    """`<video>_<n>`, also `<video>.mp4_<n>`, in a folder of the video's name or flat."""
    match = _NUMBERED.fullmatch(base_name(name))
    if match is None:
        return None
    inside = join_key(folder) == join_key(match["video"])
    audio = sounds.of(match["video"], folder_of(folder) if inside else folder)
    return Pair(str(PurePosixPath(folder, name)), audio, EVERY_SECOND, int(match["number"])) if audio else None


def representative(names: Iterable[str]) -> str:
    """The image of a numbered folder that stands for the clip: the annotated one, else the middle one."""
    ordered = sorted(names, key=lambda name: (_last_number(name), name))
    by_stem = {base_name(name): name for name in ordered}
    annotated = next((by_stem[stem] for stem in ANNOTATED_IMAGES if stem in by_stem), None)
    return annotated or ordered[(len(ordered) - 1) // 2]


def _last_number(name: str) -> int:
    digits = re.findall(r"\d+", base_name(name))
    return int(digits[-1]) if digits else 0


def nearest(folder: str, audio_files: Sequence[str]) -> str | None:
    """Of several sounds of one name the one whose place resembles the image's: `train/dog/` goes with `train/dog/`,
    `extend_frames/` with `extend_audio/`; then the shortest path. None where there is none, or where folders that
    correspond to one another in no way hold equally good ones: `x/1.jpg` is of neither `a/1.wav` nor `b/1.wav`."""

    def resemblance(audio: str) -> tuple[int, int, int]:
        mine, others = parts_of(folder), parts_of(folder_of(audio))
        same = [a == b for a, b in zip(reversed(mine), reversed(others), strict=False)]
        shared = same.index(False) if False in same else len(same)
        letters = compared(folder), compared(audio)
        different = (place for place, (a, b) in enumerate(zip(*letters, strict=False)) if a != b)
        return -shared, -next(different, min(map(len, letters))), len(others)

    best = min(map(resemblance, audio_files), default=None)
    equal = sorted((audio for audio in audio_files if resemblance(audio) == best), key=lambda path: (len(path), path))
    told_apart = len({_place(folder_of(audio)) for audio in equal}) > 1
    return equal[0] if equal and (_says_its_video(equal[0]) or not told_apart) else None
