"""Images and sounds that lie apart: which image belongs to which sound, for users who have no videos any more.

`sources` hands over what its walk met; nothing here touches the disk. Who belongs together is told by names alone, as
every released loader of this field does: `frames/<id>.jpg` beside `audio/<id>.wav`, `<id>/image_050.jpg` beside
`<id>.wav`, `<id>.mp4/00000003.jpg` beside `<id>.mp4.mp3`, `<video>_1.png` to `_5.png` beside `<video>.wav`. Folder
names decide between several sounds of one name, and whether a sound that lies beside an image of its own is another's.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from manifests.files.spelling import compared
from manifests.keys import base_name, parse_clip_name

SAME_NAME = "an image and a sound of one name"
ONE_OF_MANY = "a folder of images and a sound of its name: the annotated image, or else the middle one"
EVERY_SECOND = "images <video>_<n> and a sound <video>: each image with the sound around its second"
MASK_FOLDERS = frozenset({"gt_masks", "gt_segmentation", "masks"})
ANNOTATED_IMAGES = ("125", "image_050")  # the image at 5.0 s in the dumps of SSL-TIE (25 fps) and SSLalignment
IMAGE_WITHIN_SECOND = 15 / 16  # AVSBench takes image n at n - 1 + 15/16 seconds
_KIND = re.compile(
    r"videos?|frames?|pictures?|images?|img|sounds?|audios?|aud|mp[34]|wavs?|flac|jpe?g|png|clips?", re.IGNORECASE
)
_ROOT = "."  # the source itself, as a path writes it
_NUMBERED = re.compile(r"(?P<video>.+)_(?P<number>[1-9]\d?)", re.DOTALL)


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
        return _says_its_video(path) or _place(_folder(path)) in places


def _place(folder: str) -> tuple[str, ...]:
    parts = _parts(folder)
    return tuple(part for part in parts if not any(map(_KIND.fullmatch, re.split(r"[_ -]", part))))


def _parts(folder: str) -> tuple[str, ...]:
    """As images and sounds are compared by them, however either is spelled."""
    return PurePosixPath(compared(folder)).parts


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
            result.unused += _suffixes(images[folder])
    used = {pair.audio for pair in result.pairs}
    result.unused += _suffixes(audio for group in of_videos.values() for audio in group if audio not in used)
    _settle_the_lonely(lonely, by_key, result)
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
            here, above = _place(folder), _place(_folder(folder))
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
        theirs, mine = _place(_folder(audio)), _place(folder)
        beside = theirs in self._seen[key] and not _says_its_video(audio)
        return beside and not (_within(mine, theirs) or _within(theirs, mine))


def _says_its_video(path: str) -> bool:
    return parse_clip_name(base_name(path)).start_seconds is not None


def _within(fewer: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether `fewer` are some of the folders, in their order."""
    rest = iter(folders)
    return all(part in rest for part in fewer)


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _not_of_videos(folder: str, names: Sequence[str], videos: _Videos, result: MatchedFiles) -> list[str]:
    whole = videos.hold(folder)
    rest = [name for name in names if not whole and not videos.hold(str(PurePosixPath(folder, name)))]
    result.unused += _suffixes(names) - _suffixes(rest)
    return rest


def _pair_folder(folder: str, names: Sequence[str], sounds: _Sounds, result: MatchedFiles) -> list[str]:
    """Pair one folder's images; the names that found no sound."""
    pairs = [_pair(folder, name, sounds) for name in names]
    result.pairs += [pair for pair in pairs if pair]
    rest = [name for name, pair in zip(names, pairs, strict=True) if pair is None]
    rest = _pair_numbered(folder, rest, sounds, result)
    if rest and (audio := sounds.of(folder, _folder(folder))):
        chosen = representative(rest)
        result.pairs.append(Pair(f"{folder}/{chosen}", audio, ONE_OF_MANY))
        result.unused += _suffixes(name for name in rest if name != chosen)
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
    audio = sounds.of(match["video"], _folder(folder) if inside else folder)
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
        mine, others = _parts(folder), _parts(_folder(audio))
        same = [a == b for a, b in zip(reversed(mine), reversed(others), strict=False)]
        shared = same.index(False) if False in same else len(same)
        letters = compared(folder), compared(audio)
        different = (place for place, (a, b) in enumerate(zip(*letters, strict=False)) if a != b)
        return -shared, -next(different, min(map(len, letters))), len(others)

    best = min(map(resemblance, audio_files), default=None)
    equal = sorted((audio for audio in audio_files if resemblance(audio) == best), key=lambda path: (len(path), path))
    told_apart = len({_place(_folder(audio)) for audio in equal}) > 1
    return equal[0] if equal and (_says_its_video(equal[0]) or not told_apart) else None


def _settle_the_lonely(
    lonely: Sequence[tuple[str, str]], audio_files: Mapping[str, list[str]], result: MatchedFiles
) -> None:
    """Where pairs lie a file without a partner is a loss and named, and so is an image whose sound is another's or
    cannot be told; elsewhere it is just another file."""
    _settle_images(lonely, audio_files, result)
    used = {pair.audio for pair in result.pairs}
    tops = {_tops(pair)[1] for pair in result.pairs}
    for audio in sorted(each for group in audio_files.values() for each in group if each not in used):
        if _is_below(str(PurePosixPath(audio).parent), tops):
            result.lonely_audio.append(audio)
        else:
            result.unused += _suffixes([audio])


def _settle_images(
    lonely: Sequence[tuple[str, str]], audio_files: Mapping[str, list[str]], result: MatchedFiles
) -> None:
    places = _PlacesOfPairs(result.pairs)
    images, folders = set(), set()
    for folder, name in lonely:
        image, home = str(PurePosixPath(folder, name)), str(PurePosixPath(folder))
        loss = places.loss(home, name)
        if loss == home or (loss is None and join_key(home) in audio_files):
            folders.add(home)
        elif loss == image or join_key(name) in audio_files:
            images.add(image)
        else:
            result.unused += _suffixes([name])
    result.lonely_images += sorted(folders | {image for image in images if _folder(image) not in folders})


class _PlacesOfPairs:
    """Where the images of all pairs lie, which tells what an image without a sound is: a loss or just another file."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        in_own_folder = [pair for pair in pairs if _is_in_own_folder(pair)]
        homes = {_home(pair) for pair in pairs} - {_ROOT}
        self._with_images = homes | {str(PurePosixPath(pair.image).parent) for pair in pairs}
        self._with_own_folders = homes | {_home(pair) for pair in in_own_folder}
        self._tops = {_tops(pair)[0] for pair in pairs} - {()}
        self._tops_of_own_folders = {_tops(pair)[0] for pair in in_own_folder} - {()}

    def loss(self, folder: str, name: str) -> str | None:
        """The image itself; its folder, where clips have folders of their own; None where no pair lies."""
        image = str(PurePosixPath(folder, name))
        if folder in self._with_images:
            return image
        if self._is_a_clips_own(folder):
            return folder
        return image if _is_below(folder, self._tops) else None

    def _is_a_clips_own(self, folder: str) -> bool:
        beside_others = str(PurePosixPath(folder).parent) in self._with_own_folders
        return folder != _ROOT and (beside_others or _is_below(folder, self._tops_of_own_folders))


def _tops(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of all images and of all sounds, `frames` and `audio`: the first in which the two paths differ,
    or the source's first folder where image and audio lie together."""
    images, audio = _parts(_home(pair)), _parts(_folder(pair.audio))
    same = [a == b for a, b in zip(images, audio, strict=False)]
    end = 1 if images == audio else [*same, False].index(False) + 1
    return images[:end], audio[:end]


def _is_below(folder: str, tops: Collection[tuple[str, ...]]) -> bool:
    """Whether it is one of `tops` or inside; the source itself is the top of its own files only."""
    parts = _parts(folder)
    return any(parts[:end] in tops for end in range(min(1, len(parts)), len(parts) + 1))


def _suffixes(names: Iterable[str]) -> Counter[str]:
    return Counter(PurePosixPath(name).suffix.lower() for name in names)


def _home(pair: Pair) -> str:
    """The folder that holds the images of all clips: beside the image, or one above a clip's own folder."""
    folder = PurePosixPath(pair.image).parent
    return str(folder.parent if _is_in_own_folder(pair) else folder)


def _is_in_own_folder(pair: Pair) -> bool:
    folder = str(PurePosixPath(pair.image).parent)
    return pair.naming == ONE_OF_MANY or (pair.number is not None and join_key(folder) == join_key(pair.audio))
