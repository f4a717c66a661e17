"""Extended VGG-SS and Extended Flickr: pairs of an image and a sound in which nothing visible sounds.

The csv (header video,audio,label; label always "non-sounding") lists the negatives only; the positives are the plain
test set. A pair's name everywhere in this system is `<video>+<audio>`. The kind of a negative follows from the ids and
the classes of the positives: same id twice is "real" (a silent moment of that very video), two ids of one class are
"hard", of two classes "easy"; "unknown" where a class is not known, as for all of Extended Flickr.
"""

from collections import Counter
from pathlib import Path

from manifests.annotations import TestSet
from manifests.content import Content, read_content
from manifests.errors import InputError
from manifests.keys import clip_key
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList
from manifests.test_sets import PAIR_SEPARATOR, ExtendedSet, Format, Negative, Truth

HEADER = ["video", "audio", "label"]
KINDS = ("real", "hard", "easy", "unknown")


def pair_key(name: str) -> str:
    """Canonical key of a pair's name in any spelling of its two clips; names that are no pair stay as they are."""
    video, separator, audio = name.partition(PAIR_SEPARATOR)
    return f"{clip_key(video)}{separator}{clip_key(audio)}" if separator else name


def read_extended(path: Path | str, positives: TestSet) -> ExtendedSet:
    """Read the negatives' csv beside its positives. InputError for another header, a bad row or a pair given twice."""
    content = read_content(path)
    rows = content.rows()
    if not rows or rows[0] != HEADER:
        raise InputError(
            f"{path} does not start with the header video,audio,label. Give vggss_test_plus_silent.csv or "
            "flickr_test_plus_silent.csv as released with SLAVC."
        )
    labels = positives.labels
    negatives = tuple(_negative(row, number, content, labels) for number, row in enumerate(rows[1:], start=2))
    repeated = [key for key, count in Counter(negative.key for negative in negatives).items() if count > 1]
    if repeated or not negatives:
        what = f"the pair {repeated[0]} twice" if repeated else "no pair"
        raise InputError(f"{path} holds {what}. Every negative pair is listed once; correct the file.")
    return ExtendedSet(f"extended_{positives.name}", positives, negatives, str(path), content.sha256)


def _negative(row: list[str], number: int, content: Content, labels: dict[str, str | None]) -> Negative:
    if len(row) != 3 or row[2] != "non-sounding":
        raise InputError(f"{content.path}, line {number}, is {','.join(row)!r}, not video,audio,non-sounding.")
    video, audio = map(clip_key, row[:2])
    return Negative(video, audio, _kind(video, audio, labels))


def _kind(video: str, audio: str, labels: dict[str, str | None]) -> str:
    if video == audio:
        return "real"
    classes = labels.get(video), labels.get(audio)
    if None in classes:
        return "unknown"
    return "hard" if classes[0] == classes[1] else "easy"


def _positives(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("extended", read_vggss(path))


FORMATS = {"extended": Format("VGG-SS with silent pairs: vggss.json and --negatives", _positives, needs_negatives=True)}
