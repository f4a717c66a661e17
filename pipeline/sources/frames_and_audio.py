"""Pictures and sounds that lie apart: which picture belongs to which sound, for users who have no videos any more.

`sources` hands over what its walk met; nothing here touches the disk. Who belongs together is told by names alone, as
every released loader of this field does: `frames/<id>.jpg` beside `audio/<id>.wav`, `<id>/image_050.jpg` beside
`<id>.wav`, `<id>.mp4/00000003.jpg` beside `<id>.mp4.mp3`, `<video>_1.png` to `_5.png` beside `<video>.wav`. Folder
names only decide between several sounds of one name.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from manifests.keys import parse_clip_name

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
SOUND_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac"})
SAME_NAME = "a picture and a sound of one name"
ONE_OF_MANY = "a folder of pictures and a sound of its name: the annotated picture, or else the middle one"
EVERY_SECOND = "pictures <video>_<n> and a sound <video>: each picture with the sound around its second"
MASK_FOLDERS = frozenset({"gt_masks", "gt_segmentation", "masks"})
ANNOTATED_PICTURES = ("125", "image_050")  # the picture at 5.0 s in the dumps of SSL-TIE (25 fps) and SSLalignment
PICTURE_WITHIN_SECOND = 15 / 16  # AVSBench takes picture n at n - 1 + 15/16 seconds
_SUFFIXES = re.compile(
    r"(\.(jpe?g|png|webp|bmp|wav|mp3|flac|og[ga]|opus|m4a|aac|mp4|mkv|webm|avi|mov))+$", re.IGNORECASE
)
_KIND = re.compile(
    r"videos?|frames?|pictures?|images?|img|sounds?|audios?|aud|mp[34]|wavs?|flac|jpe?g|png|clips?", re.IGNORECASE
)
_ROOT = "."  # the source itself, as a path writes it
_NUMBERED = re.compile(r"(?P<video>.+)_(?P<number>[1-9]\d?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and its sound, as paths of the walk. `number` counts the pictures of one sound from 1, a second apart;
    None where the picture stands for the whole sound."""

    picture: str
    sound: str
    naming: str
    number: int | None = None

    @property
    def stem(self) -> str:
        """The name of the sound without its suffixes: what label lists know the clip by."""
        return base_name(self.sound)

    @property
    def moment(self) -> float | None:
        """When the picture was taken, in seconds after the sound's start; None when nobody wrote it down."""
        return None if self.number is None else self.number - 1 + PICTURE_WITHIN_SECOND


@dataclass
class Pairing:
    """Every pair, in path order; pictures and sounds without a partner where pairs lie; and the count, by suffix, of
    files that are neither: the other pictures of a clip's folder, masks, pictures and sounds of videos that are there.
    """

    pairs: list[Pair] = field(default_factory=list)
    lonely_pictures: list[str] = field(default_factory=list)
    lonely_sounds: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)


@dataclass
class Apart:
    """Loose sounds and pictures of one source. Clips dumped as pictures repeat the same names by the million, so the
    names of a folder are shared with those of every like folder."""

    sounds: list[str] = field(default_factory=list)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _folder: str = ""
    _shared: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def add_picture(self, relative: str) -> None:
        """Pictures come folder by folder, as the walk meets them."""
        folder, _, name = relative.rpartition("/")
        if folder != self._folder:
            self.close()
            self._folder = folder
        self._names.append(name)

    def close(self) -> None:
        """No more pictures of the current folder; a folder met again (its files around its subfolders) goes on."""
        if self._names:
            names = (*self.folders.get(self._folder, ()), *self._names)
            self.folders[self._folder] = self._shared.setdefault(names, names)
            self._names = []


def base_name(path: str) -> str:
    """File name without its media suffixes: `1234567456.mp4.mp3` is 1234567456."""
    return _SUFFIXES.sub("", PurePosixPath(path).name)


def join_key(path: str) -> str:
    """What a picture and its sound have in common, whatever their spelling of a VGGSound name."""
    return parse_clip_name(base_name(path)).key


class _Videos:
    """Which clips are there as videos, and so need neither picture nor sound.

    VGGSound's names tell clips apart wherever they lie. A name like 001 does so only where the folders correspond:
    they are equal but for those that say what kind of file they hold (`raw_videos/dog/`, `audio_wav/dog/`).
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._places: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for path in paths:
            self._places[join_key(PurePosixPath(path).stem)].add(_place(str(PurePosixPath(path).parent)))

    def replace(self, path: str) -> bool:
        """Whether the picture or sound (or folder of pictures) is that of a video."""
        places = self._places.get(join_key(path))
        if not places:
            return False
        known = parse_clip_name(base_name(path)).start_seconds is not None
        return known or _place(str(PurePosixPath(path).parent)) in places


def _place(folder: str) -> tuple[str, ...]:
    parts = PurePosixPath(folder).parts
    return tuple(part for part in parts if not any(map(_KIND.fullmatch, re.split(r"[_ -]", part))))


def pair_up(sounds: Sequence[str], pictures: Mapping[str, Sequence[str]], videos: Iterable[str]) -> Pairing:
    """Match sounds with `pictures` (names by folder); clips that are among the paths `videos` need no pairing.

    AVSBench's numbered pictures, in a folder of the video's name, are paired even so: its boxes and masks are theirs.
    """
    there = _Videos(videos)
    by_key: dict[str, list[str]] = defaultdict(list)
    of_videos: dict[str, list[str]] = defaultdict(list)
    for sound in sounds:
        (of_videos if there.replace(sound) else by_key)[join_key(sound)].append(sound)
    result = Pairing()
    lonely: list[tuple[str, str]] = []
    for folder in sorted(pictures):
        if MASK_FOLDERS.isdisjoint(PurePosixPath(folder).parts):
            names: Sequence[str] = pictures[folder]
            if join_key(folder) in of_videos:
                names = _pair_numbered(folder, names, of_videos, result)
            names = _not_of_videos(folder, names, there, result)
            lonely += [(folder, name) for name in _pair_folder(folder, names, by_key, result)]
        else:
            result.unused += _suffixes(pictures[folder])
    used = {pair.sound for pair in result.pairs}
    result.unused += _suffixes(sound for group in of_videos.values() for sound in group if sound not in used)
    _settle_the_lonely(lonely, by_key, result)
    return result


def _not_of_videos(folder: str, names: Sequence[str], videos: _Videos, result: Pairing) -> list[str]:
    whole = videos.replace(folder)
    rest = [name for name in names if not whole and not videos.replace(str(PurePosixPath(folder, name)))]
    result.unused += _suffixes(names) - _suffixes(rest)
    return rest


def _pair_folder(folder: str, names: Sequence[str], sounds: Mapping[str, list[str]], result: Pairing) -> list[str]:
    """Pair one folder's pictures; the names that found no sound."""
    pairs = [_pair(folder, name, sounds.get(join_key(name))) for name in names]
    result.pairs += [pair for pair in pairs if pair]
    rest = [name for name, pair in zip(names, pairs, strict=True) if pair is None]
    rest = _pair_numbered(folder, rest, sounds, result)
    if rest and (of_folder := sounds.get(join_key(folder))):
        chosen = representative(rest)
        sound = nearest(str(PurePosixPath(folder).parent), of_folder)
        result.pairs.append(Pair(f"{folder}/{chosen}", sound, ONE_OF_MANY))
        result.unused += _suffixes(name for name in rest if name != chosen)
        return []
    return rest


def _pair(folder: str, name: str, sounds: list[str] | None) -> Pair | None:
    return Pair(str(PurePosixPath(folder, name)), nearest(folder, sounds), SAME_NAME) if sounds else None


def _pair_numbered(folder: str, names: Sequence[str], sounds: Mapping[str, list[str]], result: Pairing) -> list[str]:
    """Pair one folder's pictures `<video>_<n>`; the names that are none."""
    numbered = [_numbered_pair(folder, name, sounds) for name in names]
    result.pairs += [pair for pair in numbered if pair]
    return [name for name, pair in zip(names, numbered, strict=True) if pair is None]


def _numbered_pair(folder: str, name: str, sounds: Mapping[str, list[str]]) -> Pair | None:
    """`<video>_<n>`, also `<video>.mp4_<n>`, in a folder of the video's name or flat."""
    match = _NUMBERED.fullmatch(base_name(name))
    of_video = sounds.get(join_key(match["video"])) if match else None
    if match is None or of_video is None:
        return None
    inside = join_key(folder) == join_key(match["video"])
    sound = nearest(str(PurePosixPath(folder).parent) if inside else folder, of_video)
    return Pair(str(PurePosixPath(folder, name)), sound, EVERY_SECOND, int(match["number"]))


def representative(names: Iterable[str]) -> str:
    """The picture of a numbered folder that stands for the clip: the annotated one, else the middle one."""
    ordered = sorted(names, key=lambda name: (_last_number(name), name))
    by_stem = {base_name(name): name for name in ordered}
    annotated = next((by_stem[stem] for stem in ANNOTATED_PICTURES if stem in by_stem), None)
    return annotated or ordered[(len(ordered) - 1) // 2]


def _last_number(name: str) -> int:
    digits = re.findall(r"\d+", base_name(name))
    return int(digits[-1]) if digits else 0


def nearest(folder: str, sounds: Sequence[str]) -> str:
    """Of several sounds of one name the one whose place resembles the picture's: `train/dog/` goes with `train/dog/`,
    `extend_frames/` with `extend_audio/`; then the shortest path."""

    def resemblance(sound: str) -> tuple[int, int, int, str]:
        mine, others = PurePosixPath(folder).parts, PurePosixPath(sound).parent.parts
        same = [a == b for a, b in zip(reversed(mine), reversed(others), strict=False)]
        shared = same.index(False) if False in same else len(same)
        different = (place for place, (a, b) in enumerate(zip(folder, sound, strict=False)) if a != b)
        return -shared, -next(different, min(len(folder), len(sound))), len(sound), sound

    return min(sounds, key=resemblance)


def _settle_the_lonely(lonely: Sequence[tuple[str, str]], sounds: Mapping[str, list[str]], result: Pairing) -> None:
    """Where pairs lie a file without a partner is a loss and named; elsewhere it is just another file."""
    used = {pair.sound for pair in result.pairs}
    tops = [_tops(pair) for pair in result.pairs]
    _settle_pictures(lonely, {top for top, _ in tops} - {()}, result)
    of_sounds = {top for _, top in tops}
    for sound in sorted(each for group in sounds.values() for each in group if each not in used):
        if _is_below(str(PurePosixPath(sound).parent), of_sounds):
            result.lonely_sounds.append(sound)
        else:
            result.unused += _suffixes([sound])


def _settle_pictures(lonely: Sequence[tuple[str, str]], tops: set[tuple[str, ...]], result: Pairing) -> None:
    """A picture is named itself; a folder of pictures, where other clips have one, stands for all in it."""
    own = [pair for pair in result.pairs if _is_in_own_folder(pair)]
    homes = {_home(pair) for pair in result.pairs} - {_ROOT}
    with_dumps = homes | {_home(pair) for pair in own}
    with_pairs = homes | {str(PurePosixPath(pair.picture).parent) for pair in result.pairs}
    dumps = {_tops(pair)[0] for pair in own} - {()}
    lost: set[str] = set()
    for given, name in lonely:
        folder = str(PurePosixPath(given))
        if folder in with_pairs:
            lost.add(str(PurePosixPath(folder, name)))
        elif folder != _ROOT and (str(PurePosixPath(folder).parent) in with_dumps or _is_below(folder, dumps)):
            lost.add(folder)
        elif _is_below(folder, tops):
            lost.add(str(PurePosixPath(folder, name)))
        else:
            result.unused += _suffixes([name])
    result.lonely_pictures += sorted(lost)


def _tops(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of all pictures and of all sounds, `frames` and `audio`: the first in which the two paths differ,
    or the source's first folder where picture and sound lie together."""
    pictures, sounds = PurePosixPath(_home(pair)).parts, PurePosixPath(pair.sound).parent.parts
    same = [a == b for a, b in zip(pictures, sounds, strict=False)]
    end = 1 if pictures == sounds else [*same, False].index(False) + 1
    return pictures[:end], sounds[:end]


def _is_below(folder: str, tops: Collection[tuple[str, ...]]) -> bool:
    """Whether it is one of `tops` or inside; the source itself is the top of its own files only."""
    parts = PurePosixPath(folder).parts
    return any(parts[:end] in tops for end in range(min(1, len(parts)), len(parts) + 1))


def _suffixes(names: Iterable[str]) -> Counter[str]:
    return Counter(PurePosixPath(name).suffix.lower() for name in names)


def _home(pair: Pair) -> str:
    """The folder that holds the pictures of all clips: beside the picture, or one above a clip's own folder."""
    folder = PurePosixPath(pair.picture).parent
    return str(folder.parent if _is_in_own_folder(pair) else folder)


def _is_in_own_folder(pair: Pair) -> bool:
    folder = str(PurePosixPath(pair.picture).parent)
    return pair.naming == ONE_OF_MANY or (pair.number is not None and join_key(folder) == join_key(pair.sound))
