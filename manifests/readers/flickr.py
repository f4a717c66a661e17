"""Flickr-SoundNet annotations: one XML file per image, several annotators, several boxes each.

Read as six released parsers do: every child of the root is an annotator, every `bbox` below it a box whose first child
is skipped and whose next four are integers xmin, ymin, xmax, ymax of a 256 x 256 image. Other nodes are ignored; the
released parsers append an empty list for them and then fail. A pixel needs two boxes to count fully (`consensus`),
whoever drew them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from manifests.annotations import Annotation, Box, TestSet
from manifests.errors import InputError
from manifests.files.content import Content, read_content, sha256_of_all
from manifests.files.folders import by_key, files_in
from manifests.files.given import understood
from manifests.keys import clip_key
from manifests.splits import IdList
from manifests.test_sets import Format, Truth

FRAME = 256
CONSENSUS = 2
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")


def read_flickr(folder: Path | str, ids: Sequence[str] | None = None) -> TestSet:
    """Read `<id>.xml` files; `ids` chooses and orders them, by default all of the folder in sorted order.

    The set's hash covers names and contents. InputError when the folder has no XML, an id has no file (all are named
    up to ten), two files are of one id, or a file cannot be understood.
    """
    folder = Path(folder)
    file_of = by_key(((clip_key(path.name), path) for path in files_in(folder, {".xml"})), folder)
    chosen = list(file_of if ids is None else ids)
    if not chosen or not folder.is_dir():
        raise InputError(f"{folder} holds no annotation (<id>.xml). Give the Annotations folder of Flickr-SoundNet.")
    absent = [each for each in chosen if each not in file_of]
    if absent:
        shown = ", ".join(absent[:10])
        raise InputError(f"{folder} lacks the annotation of {len(absent)} of {len(chosen)} listed images: {shown}.")
    contents = [read_content(file_of[each]) for each in chosen]
    annotations = tuple(
        Annotation(each, None, _boxes(content), CONSENSUS) for each, content in zip(chosen, contents, strict=True)
    )
    digest = sha256_of_all((content.path.stem, content) for content in contents)
    return TestSet("flickr", annotations, str(folder), digest)


def _boxes(content: Content) -> tuple[Box, ...]:
    with understood(content.path, "is not valid XML", "Unpack the annotations again."):
        root = ElementTree.fromstring(_written(content))
    return tuple(_box(node, content) for annotator in root for node in annotator if node.tag == "bbox")


def _written(content: Content) -> str | bytes:
    """UTF-8, whatever else the file declares; what is none stays in the encoding that it declares."""
    try:
        return content.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.content


def _box(node: ElementTree.Element, content: Content) -> Box:
    texts = [child.text or "" for child in node][1:5]
    if len(texts) != 4 or not all(map(_WHOLE.fullmatch, texts)):
        raise InputError(
            f"{content.path} has the box {texts}. After its first child a bbox holds four integers from 0 to {FRAME}."
        )
    x1, y1, x2, y2 = (int(text) / FRAME for text in texts)
    return x1, y1, x2, y2


def _truth(folder: Path, wanted: IdList | None) -> Truth:
    """The released folder holds 20 times as many images as any test set of it."""
    if wanted is None:
        test_set = read_flickr(folder)
    else:
        test_set = replace(read_flickr(folder, wanted.ids), name=f"flickr-{wanted.name}")
    return Truth("flickr", test_set, protocols=("ezvsl", "adaptive"))


FORMATS = {"flickr": Format("Flickr-SoundNet: the folder of XML files, one an image", _truth, narrows=True)}
