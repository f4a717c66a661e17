"""The key of a clip: the one place where a name becomes one, for ingest, lists, annotations and splits alike.

Every spelling of a VGGSound clip on users' disks becomes `<id>_<start:06d>`. YouTube ids are 11 characters that may
hold `_` and start with `-`, so names are never split at the first `_` (27,501 of 190,228 listed ids contain one). Three
spellings are in use: `<id>_<seconds>`, `<id>_<start ms>_<end ms>` and `v<id>_<start s>_<end s>_out`; a ten-second
window tells milliseconds (end - start = 10000) from seconds (10). Any other name keeps its stem, in Unicode's composed
form (macOS decomposes file names), without space around it (lists cannot tell it from their own) and with what tar
names or tables cannot carry as %XX: `my.video.mp4` is `my%2Evideo`.

`file_clip` reads the name of a file, `clip_key` whatever a list or a table holds: a file with or without its folders
and suffix, or a key. A name is read as that of a file where it can be both: `clip.mov` is the file of `clip`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from manifests.files.spelling import composed
from manifests.files.suffixes import AUDIO_SUFFIXES, IMAGE_SUFFIXES, MADE_OF_CLIPS, MEDIA_SUFFIXES

CLIP_SECONDS = 10
FOLDER_MARK = "__"  # between folders and name, in the keys of clips that share a name
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SECONDS = re.compile(r"v?(?P<id>[A-Za-z0-9_-]{11})_(?P<start>\d{1,6})(?:\.0)?")
_WINDOW = re.compile(r"v?(?P<id>[A-Za-z0-9_-]{11})_(?P<start>\d{1,8})_(?P<end>\d{1,8})(?:_out)?")
_USUAL_VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov")
_DERIVED = re.compile(
    rf"({'|'.join(map(re.escape, (*sorted(IMAGE_SUFFIXES | AUDIO_SUFFIXES), *_USUAL_VIDEOS)))})+$", re.IGNORECASE
)
_FRAME = re.compile(r"(?:[^/]+/)?(?P<video>[^/]+)/(?P=video)_[1-9]\d?", re.DOTALL)  # AVSBench, as ingest names it, too
_NUMBERED = re.compile(r"(?P<video>.+)_[0-9]+", re.DOTALL)
_MUSIC_FRAME = re.compile(r"(?P<video>[^/]+)/frame_\d+/\d+\.jpg")


@dataclass(frozen=True)
class ClipName:
    """What a name says about a clip.

    `key` is unique in a corpus; `source_id` names the video it was cut from (clips of one video are never each
    other's neighbours); `start_seconds` is the cut's start in that video, None for names that do not say.
    """

    key: str
    source_id: str
    start_seconds: int | None


def clip_key(text: str) -> str:
    """The key of the clip that `text` names: a file, a path (`/` or `\\`), a stem, or a key itself."""
    return named_clip(text).key


def named_clip(text: str) -> ClipName:
    """As `clip_key`, with the video the clip was cut from."""
    name = text.strip()
    if frame := _FRAME.fullmatch(name) or _MUSIC_FRAME.fullmatch(name):
        return ClipName(normal_key(name), normal_key(frame["video"]), None)
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if last == name and _is_escaped(name):
        return ClipName(normal_key(name), normal_key(name), None)
    return file_clip(_without_last(last))


def folders_of(text: str) -> tuple[str, ...]:
    """The folders in which `text` names a file of a name of its own, outermost first, spelled as in keys; none for
    names that are keys wherever the file lies."""
    name = text.strip()
    folders = name.replace("\\", "/").rstrip("/").split("/")[:-1]
    if (
        not folders
        or _FRAME.fullmatch(name)
        or _MUSIC_FRAME.fullmatch(name)
        or named_clip(name).start_seconds is not None
    ):
        return ()
    return tuple(safe_key(folder) for folder in folders if folder not in ("", ".", ".."))


def folders_in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many folders two places have in common, from the innermost outward."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def key_in_folders(folders: Sequence[str], key: str) -> str:
    """What ingest calls a clip whose name is another one's, too, in another folder."""
    return FOLDER_MARK.join((*folders, key))


def file_clip(file_name: str) -> ClipName:
    """The clip of a file's name (without folders): what ingest calls it."""
    return parse_clip_name(stem_of(_trimmed(file_name)))


def parse_clip_name(stem: str) -> ClipName:
    """Read a file stem (name without directories and suffix); names of no known spelling keep it, made safe."""
    stem = _trimmed(stem)
    if (match := _WINDOW.fullmatch(stem)) and (start := _window_start(match)) is not None:
        return _vggsound(match["id"], start)
    if match := _SECONDS.fullmatch(stem):
        return _vggsound(match["id"], int(match["start"]))
    key = safe_key(stem)
    return ClipName(key, key, None)


def stem_of(file_name: str) -> str:
    """A video's name without its suffix; an image's or sound's without any: `1234567456.mp4.mp3` is 1234567456."""
    suffix = _suffix(file_name)
    if suffix.lower() in MEDIA_SUFFIXES:
        return file_name.removesuffix(suffix)
    return base_name(file_name) if suffix.lower() in IMAGE_SUFFIXES | AUDIO_SUFFIXES else file_name


def base_name(path: str) -> str:
    """The name without folders and all suffixes of images, sounds and usual videos: what frame and sound share."""
    name = PurePosixPath(path).name
    return _DERIVED.sub("", name) or name


def video_of_frame(name: str) -> str:
    """The video of a frame that is called `<video>_<n>`; a name of another form is a video of its own."""
    frame = _NUMBERED.fullmatch(name)
    return frame["video"] if frame else name


def video_of_frame_path(key: str) -> str:
    """The same of `<...>/<video>_<n>`. The number is no start in seconds, as it would be in a clip's name."""
    return video_of_frame(key.rpartition("/")[2])


def normal_key(key: str) -> str:
    """A key in the one form that keys are compared in: earlier versions stored any form of Unicode, and the space
    around a file's name."""
    return key if _PLAIN.fullmatch(key) else "/".join(map(_without_space, composed(key).split("/")))


def normal_keys(keys: Sequence[str]) -> list[str]:
    """A table's keys in that form; those that would then be the same stay as they are."""
    normal = list(map(normal_key, keys))
    if normal == keys:
        return normal
    times = Counter(normal)
    return [new if times[new] == 1 else old for new, old in zip(normal, keys, strict=True)]


def segment_key(source_id: str, start_seconds: float) -> str:
    """The key of a clip that a list names by video and start."""
    return _vggsound(source_id, int(start_seconds)).key


def safe_key(stem: str) -> str:
    """A stem as WebDataset key, injective on composed text without space around it: dots, slashes, controls and bad
    bytes become %XX, and so does a stem that is nothing but space."""
    if _PLAIN.fullmatch(stem):
        return stem
    return "".join(map(_carried, composed(stem.strip()))) or "".join(map(_escaped, stem))


def _trimmed(name: str) -> str:
    """A name without space around it, if there is more to it."""
    return name.strip() or name


def _without_space(part: str) -> str:
    """A part of a key without space around it, as it is or escaped, if there is more to it."""
    leading, trailing = _space_at_ends()
    start, end = (found.end() for found in (leading.match(part), trailing.match(part[::-1])) if found)
    return part[start : len(part) - end] or part


@cache
def _space_at_ends() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The second is of reversed text: looked for from the front, long runs would cost their length squared."""
    spaces = [_carried(letter) for letter in map(chr, range(0x3001)) if letter.isspace()]
    return re.compile(f"({'|'.join(spaces)})*"), re.compile(f"({'|'.join(each[::-1] for each in spaces)})*")


def _carried(letter: str) -> str:
    return _escaped(letter) if letter in "./\\%" or not letter.isprintable() else letter


def _escaped(letter: str) -> str:
    """A byte that is no UTF-8 stands in a file name as the lone surrogate U+DC80 to U+DCFF."""
    errors = "surrogateescape" if "\udc80" <= letter <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", errors))


def _is_escaped(name: str) -> bool:
    """Whether a name is what `safe_key` made of another one."""
    return "%" in name and safe_key(unquote_to_bytes(name).decode("utf-8", "surrogateescape")) == normal_key(name)


def _without_last(name: str) -> str:
    suffix = _suffix(name)
    return name.removesuffix(suffix) if suffix.lower() in MADE_OF_CLIPS else name


def _suffix(name: str) -> str:
    """As PurePath's for a name without folders, at a tenth of its cost: lists hold hundreds of thousands of names."""
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""


def _vggsound(source_id: str, start_seconds: int) -> ClipName:
    return ClipName(f"{source_id}_{start_seconds:06d}", source_id, start_seconds)


def _window_start(match: re.Match[str]) -> int | None:
    """Start in seconds of a `<start>_<end>` name, None when the window is not ten seconds in either unit."""
    start, end = int(match["start"]), int(match["end"])
    if end - start == CLIP_SECONDS * 1000:
        return start // 1000
    return start if end - start == CLIP_SECONDS else None
