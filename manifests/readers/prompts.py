"""DenseAV's prompted segmentation: an image of ADE20K, a sound or a spoken word, and the class that is meant.

The folder holds `prompted_segmentation.csv` with the columns `image_location`, `ade_class_id` and a file of sound
(`vggsound_file`) or of speech (`speech_prompt_file`); a row without that file, or of class 0, is no prompt of the set.
Classes of the pixels are in `annotations/<image_location>`, with `_seg.png` for `.jpg`. A prompt's key is
`<image>_<class>`, with another number where an image is asked for one class again; the image has its folders, with %2F
for a slash, and no suffix. Names of maps may have the slash.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.files.content import Content, read_content, sha256_of_all
from manifests.files.spelling import as_on_disk
from manifests.keys import safe_key
from manifests.namesakes import Place, place_of
from manifests.splits import IdList
from manifests.test_sets import PROMPTED, ClassSet, Format, Truth

IMAGE, CLASS = "image_location", "ade_class_id"
PROMPTS = {"sound": "vggsound_file", "speech": "speech_prompt_file"}
MOST_CLASSES = 1 << 16


def read_prompts(folder: Path | str, kind: str) -> Truth:
    """The prompts by "sound" or "speech". InputError names a row that cannot be understood or an absent file."""
    folder = Path(folder)
    content = read_content(folder / "prompted_segmentation.csv")
    files, asked = dict[str, Path](), dict[str, int]()
    places: dict[str, Place] = {}
    for image, number, key, again in _numbered(_prompts(content, PROMPTS[kind])):
        place = place_of(f"{image.with_suffix('').as_posix()}_{number}{again}")
        places |= {key: place} if len(place) > 1 else {}
        files[key] = as_on_disk(folder / "annotations" / image.with_name(f"{image.stem}_seg.png"))
        asked[key] = number
    name = f"ade20k_{kind}"
    annotations = tuple(Annotation(key, str(asked[key]), ()) for key in files)
    digest = sha256_of_all(((key, read_content(file)) for key, file in files.items()), content)
    test_set = TestSet(name, annotations, str(folder), digest, places)
    classes = ClassSet(files, "ade20k", asked)
    return Truth(name, test_set, tasks=frozenset({PROMPTED}), protocols=("denseav",), classes=classes)


def _numbered(prompts: Iterable[tuple[PurePosixPath, int]]) -> Iterator[tuple[PurePosixPath, int, str, str]]:
    """Image, class, key, and what ends a name where the image is asked for the class again."""
    seen: Counter[str] = Counter()
    for image, number in prompts:
        seen[(key := f"{safe_key(image.with_suffix('').as_posix())}_{number}")] += 1
        again = f"_{seen[key]}" if seen[key] > 1 else ""
        yield image, number, key + again, again


def _prompts(content: Content, column: str) -> list[tuple[PurePosixPath, int]]:
    """Image and class of every prompt. InputError for other columns, a row without image or class, or no prompt."""
    rows = content.rows()
    if not rows or not {IMAGE, CLASS, column} <= set(rows[0]):
        raise InputError(f"{content.path} lacks the columns {IMAGE}, {CLASS} and {column}. Give it as released.")
    where = [rows[0].index(name) for name in (IMAGE, CLASS, column)]
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise InputError(f"{content.path}, row {number}, has {len(row)} of {len(rows[0])} fields. Correct it.")
        image, asked, file = (row[place].strip() for place in where)
        if file and (prompt := _prompt(image, asked, f"{content.path}, row {number},"))[1]:
            found.append(prompt)
    if not found:
        raise InputError(f"{content.path} has no row with a class and a {column}. Give it as released.")
    return found


def _prompt(image: str, asked: str, where: str) -> tuple[PurePosixPath, int]:
    path = PurePosixPath(image)
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in image:
        raise InputError(f"{where} has the image {image[:80]!r}, which is no path inside the set. Correct it.")
    whole = asked.removesuffix(".0")  # pandas writes whole numbers so where some are missing
    if not (whole.isascii() and whole.isdecimal()) or len(whole) > 5 or int(whole) >= MOST_CLASSES:
        raise InputError(f"{where} asks for the class {asked[:80]!r}, which is no number of ADE20K. Correct it.")
    return path, int(whole)


def _truth(path: Path, _wanted: IdList | None, kind: str) -> Truth:
    return read_prompts(path, kind)


FORMATS = {
    f"ade20k_{kind}": Format(
        f"DenseAV's prompts by {kind}: folder of prompted_segmentation.csv", partial(_truth, kind=kind)
    )
    for kind in PROMPTS
}
