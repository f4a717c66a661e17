"""Extended VGG-SS and Extended Flickr: pairs of an image and a sound in which nothing visible sounds.

The csv (header video,audio,label; label always "non-sounding") lists the negatives only; the positives are the plain
test set. A pair's name everywhere in this system is `<video>+<audio>`. The kind of a negative follows from the ids and
the classes of the positives: same id twice is "real" (a silent moment of that very video), two ids of one class are
"hard", of two classes "easy"; "unknown" where a class is not known, as for all of Extended Flickr.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.files.content import Content, read_content
from manifests.namesakes import clips_named
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList
from manifests.test_sets import ExtendedSet, Format, Negative, Truth

HEADER = ["video", "audio", "label"]
KINDS = ("real", "hard", "easy", "unknown")


def read_extended(path: Path | str, positives: TestSet) -> ExtendedSet:
    """Read the negatives' csv beside its positives. InputError for another header, a bad row or a pair given twice."""
    content = read_content(path)
    rows = [[field.strip() for field in row] for row in content.rows()]
    if not rows or rows[0] != HEADER:
        raise InputError(
            f"{path} does not start with the header video,audio,label. Give vggss_test_plus_silent.csv or "
            "flickr_test_plus_silent.csv as released with SLAVC."
        )
    for number, row in enumerate(rows[1:], start=2):
        _check(row, number, content)
    names, labels = clips_named((text for row in rows[1:] for text in row[:2]), str(path)), positives.labels
    called = names.as_in(positives.names)
    negatives = tuple(_negative(*pair, labels) for pair in zip(called[::2], called[1::2], strict=True))
    places = {now: names.places[key] for key, now in zip(names.keys, called, strict=True) if key in names.places}
    repeated = [key for key, count in Counter(negative.key for negative in negatives).items() if count > 1]
    if repeated or not negatives:
        what = f"the pair {repeated[0]} twice" if repeated else "no pair"
        raise InputError(f"{path} holds {what}. Every negative pair is listed once; correct the file.")
    return ExtendedSet(f"extended_{positives.name}", positives, negatives, str(path), content.sha256, places)


def _check(row: list[str], number: int, content: Content) -> None:
    if len(row) != 3 or row[2] != "non-sounding":
        raise InputError(f"{content.path}, line {number}, is {','.join(row)!r}, not video,audio,non-sounding.")


def _negative(video: str, audio: str, labels: Mapping[str, str | None]) -> Negative:
    return Negative(video, audio, _kind(video, audio, labels))


def _kind(video: str, audio: str, labels: Mapping[str, str | None]) -> str:
    if video == audio:
        return "real"
    classes = labels.get(video), labels.get(audio)
    if None in classes:
        return "unknown"
    return "hard" if classes[0] == classes[1] else "easy"


def _positives(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("extended", read_vggss(path))


FORMATS = {"extended": Format("VGG-SS with silent pairs: vggss.json and --negatives", _positives, needs_negatives=True)}
