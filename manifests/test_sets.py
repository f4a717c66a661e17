"""A test set as it was read, with what some tasks need beside boxes: negative pairs, pixel masks, instruments."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from manifests.annotations import WHOLE, Annotation, Box, TestSet
from manifests.errors import InputError
from manifests.namesakes import Names, Place
from manifests.splits import IdList, check_annotated, hash_of, restrict, video_of_clip
from manifests.views import ViewName

Value = TypeVar("Value")
PAIR_SEPARATOR = "+"  # never part of a YouTube or Flickr id
LOCALIZATION, SEGMENTATION, SEMANTIC, PROMPTED, MULTI_SOURCE, INTERACTIVE, RETRIEVAL = TASKS = (
    "localization",  # boxes
    "segmentation",  # pixel masks
    "semantic",  # a class for every pixel
    "prompted",  # a class for every pixel, and the one that is asked for
    "multi_source",  # boxes by instrument
    "interactive",  # one image under several sounds
    "retrieval",  # clips that are both seen and heard
)


@dataclass(frozen=True)
class Negative:
    """The image of one clip with the sound of another (or the same) one; `kind`: `manifests.readers.extended.KINDS`."""

    video: str
    audio: str
    kind: str

    @property
    def key(self) -> str:
        """The pair's name, `<video>+<audio>`."""
        return f"{self.video}{PAIR_SEPARATOR}{self.audio}"


@dataclass(frozen=True)
class ExtendedSet:
    """Positives and negatives that are scored together; `source` and `sha256` are those of the negatives' file, the
    latter with the part's where the set was narrowed.

    `places` has the folders of clips that this file names in folders, `left_out` how many of its pairs of each kind are
    of no clip of the part that the set was narrowed to.
    """

    name: str
    positives: TestSet
    negatives: tuple[Negative, ...]
    source: str
    sha256: str
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def clips(self) -> Names:
        """The clips of all pairs, image and sound in turn, with their folders."""
        keys = tuple(key for pair in self.negatives for key in (pair.video, pair.audio))
        return Names(keys, {**self.positives.places, **self.places}, self.source)

    def known_as(self, present: Collection[str], positives: TestSet) -> "ExtendedSet":
        """With the clips of the pairs in the names that `present` clips have. InputError as `Names.among`."""
        names = self.clips.among(present)
        pairs = tuple(
            replace(pair, video=names.get(pair.video, pair.video), audio=names.get(pair.audio, pair.audio))
            for pair in self.negatives
        )
        return replace(self, positives=positives, negatives=pairs, places={})

    def narrowed(self, positives: TestSet) -> "ExtendedSet":
        """The pairs whose image is of a part of the set, beside that part; the others are counted.

        An image that is no clip of the whole set is another moment of one of its videos, as those of real pairs are:
        it belongs to every part with a clip of that video. InputError when no pair is left.
        """
        whole, kept = set(self.positives.keys), set(positives.keys)
        videos = {video_of_clip(key) for key in kept}
        pairs = tuple(
            pair
            for pair in self.negatives
            if pair.video in kept or (pair.video not in whole and video_of_clip(pair.video) in videos)
        )
        if not pairs:
            raise InputError(
                f"{self.source} holds no pair whose image is in {positives.source}. Leave --negatives out."
            )
        left_out = dict(Counter(pair.kind for pair in set(self.negatives).difference(pairs)))
        digest = hash_of((self.sha256, positives.sha256))  # which clips of a video are in the part decides on pairs
        return replace(self.beside(positives), negatives=pairs, sha256=digest, left_out=left_out)

    def beside(self, positives: TestSet) -> "ExtendedSet":
        """The same pairs under the name of these positives."""
        return replace(self, name=f"extended_{positives.name}", positives=positives)

    @property
    def kinds(self) -> dict[str, int]:
        """How many negatives of each kind there are."""
        return dict(Counter(negative.kind for negative in self.negatives))


@dataclass(frozen=True)
class MaskSet:
    """Frames with pixel masks, in video order: `masks` maps key to file; `sha256` covers keys and file contents.

    `shown` maps key to the part of the frame that a model was shown, where that is not the whole. `light_from`: the
    grey value from which a pixel is of the object, where masks were stored as jpg; None: whatever is drawn is.
    """

    name: str
    masks: dict[str, Path]
    source: str
    sha256: str
    shown: Mapping[str, Box] = field(default_factory=dict)
    light_from: int | None = None

    def only(self, keys: Collection[str]) -> "MaskSet":
        """The frames of these keys, in the order they are here."""
        return replace(self, masks={key: file for key, file in self.masks.items() if key in keys})


@dataclass(frozen=True)
class ClassSet:
    """Frames with a class for every pixel: `files` maps key to file, `coding` says how classes are written in it (see
    `manifests.class_maps`), `prompts` which class a sound asks for, where one does; `shown` as in `MaskSet`; `numbers`
    what the classes are called, where the set says it: name to number.
    """

    files: dict[str, Path]
    coding: str
    prompts: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, Box] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)

    def only(self, keys: Collection[str]) -> "ClassSet":
        """The frames of these keys, in the order they are here."""
        return replace(self, files={key: file for key, file in self.files.items() if key in keys})


@dataclass(frozen=True)
class MusicFrame:
    """One frame: its boxes by instrument name, and the part of it that a model was shown.

    `as_read` are the boxes of all instruments as the file has them, x, y, width, height: released evaluators make
    pixels of these in ways of their own.
    """

    key: str
    boxes: dict[str, tuple[Box, ...]]
    shown: Box = WHOLE
    as_read: tuple[Box, ...] = ()


@dataclass(frozen=True)
class MusicSet:
    """Frames in file order; those without a box are kept, `scorable` leaves them out."""

    name: str
    frames: tuple[MusicFrame, ...]
    source: str
    sha256: str

    @property
    def scorable(self) -> tuple[MusicFrame, ...]:
        """The frames with at least one box."""
        return tuple(frame for frame in self.frames if frame.boxes)

    @property
    def without_boxes(self) -> tuple[MusicFrame, ...]:
        """The frames that a detector found nothing in, which nothing scores."""
        return tuple(frame for frame in self.frames if not frame.boxes)

    def among(self, wanted: IdList) -> tuple[tuple[MusicFrame, ...], IdList]:
        """The frames without boxes that a list names, and the list of the others. InputError when it names no other."""
        names = Names(tuple(frame.key for frame in self.frames), {}, self.source)
        called, empty = wanted.names.as_in(names), {frame.key: frame for frame in self.without_boxes}
        check_annotated(called, {frame.key for frame in self.frames}, wanted, self.source)
        others = tuple(own for own, key in zip(wanted.ids, called, strict=True) if key not in empty)
        if not others:
            raise InputError(
                f"{self.source} has no box in any of the {len(called)} frames of {wanted.source}, so there is nothing "
                "to localize. Give a list with frames that have some."
            )
        return tuple(empty[key] for key in dict.fromkeys(called) if key in empty), replace(wanted, ids=others)

    def test_set(self) -> TestSet:
        """The scorable frames with the union of their boxes, as MUSIC-solo is scored; labels join the instruments."""
        annotations = (
            Annotation(frame.key, " ".join(frame.boxes), tuple(box for boxes in frame.boxes.values() for box in boxes))
            for frame in self.scorable
        )
        return TestSet(self.name, tuple(annotations), self.source, self.sha256)


@dataclass(frozen=True)
class Truth:
    """A test set of a format. `extended` holds it again with negative pairs; `masks`, `classes` and `music` stand
    beside it where the corpus has pixel masks, a class for every pixel, or names the instrument of every box; `tasks`
    (of TASKS) is what it can be scored for, `protocols` names what its authors measure, where its tasks alone do not
    say that. `view` is how frames were shown to the model whose answers are scored.
    """

    format: str
    test_set: TestSet
    extended: ExtendedSet | None = None
    masks: MaskSet | None = None
    music: MusicSet | None = None
    tasks: frozenset[str] = field(default=frozenset({LOCALIZATION, RETRIEVAL}))
    protocols: tuple[str, ...] = ()
    view: ViewName = "squash"
    classes: ClassSet | None = None

    @property
    def name(self) -> str:
        """What results are called after."""
        return self.extended.name if self.extended else self.test_set.name

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of everything that can be scored: clips, then negative pairs."""
        return self.test_set.keys + tuple(pair.key for pair in (self.extended.negatives if self.extended else ()))

    def called(self, name: str) -> "Truth":
        """The same under another name."""
        test_set = replace(self.test_set, name=name)
        return replace(self, test_set=test_set, extended=self.extended and self.extended.beside(test_set))

    def known_as(self, present: Collection[str]) -> "Truth":
        """The same in the names that `present` clips have (`manifests.namesakes`). InputError for a name that several
        of them could have."""
        names = self.test_set.names.among(present)
        test_set, masks, classes, extended = self.test_set.with_keys(names), self.masks, self.classes, self.extended
        if masks is not None:
            masks = replace(masks, masks=_called(masks.masks, names))
        if classes is not None:
            classes = replace(classes, files=_called(classes.files, names), prompts=_called(classes.prompts, names))
        if extended is not None:
            extended = extended.known_as(present, test_set)
        return replace(self, test_set=test_set, masks=masks, classes=classes, extended=extended)

    def seen_as(self, view: ViewName, parts: Mapping[str, Box]) -> "Truth":
        """The truth of answers to a view: `parts` says by key which part of a frame was shown."""
        if view == "squash":
            return self
        seen = (replace(one, shown=parts.get(one.key, WHOLE)) for one in self.test_set.annotations)
        masks, classes, music = self.masks, self.classes, self.music
        if masks is not None:
            masks = replace(masks, shown=parts)
        if classes is not None:
            classes = replace(classes, shown=parts)
        if music is not None:
            frames = (replace(frame, shown=parts.get(frame.key, WHOLE)) for frame in music.frames)
            music = replace(music, frames=tuple(frames))
        test_set = replace(self.test_set, annotations=tuple(seen))
        return replace(self, view=view, test_set=test_set, masks=masks, classes=classes, music=music)

    def narrowed(self, wanted: IdList) -> "Truth":
        """The clips of a list. InputError names those that are not annotated; frames without boxes are, with none."""
        masks, classes, music = self.masks, self.classes, self.music
        without, wanted = music.among(wanted) if music is not None else ((), wanted)
        test_set = restrict(self.test_set, wanted)
        kept = set(test_set.keys)
        if music is not None:
            listed = kept.union(frame.key for frame in without)
            music = replace(music, frames=tuple(frame for frame in music.frames if frame.key in listed))
        masks, classes = masks and masks.only(kept), classes and classes.only(kept)
        extended = self.extended and self.extended.narrowed(test_set)
        return replace(self, test_set=test_set, masks=masks, classes=classes, music=music, extended=extended)


def _called(by_key: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    return {names.get(key, key): value for key, value in by_key.items()}


@dataclass(frozen=True)
class Format:
    """How annotations of one kind become a Truth: an entry of `FORMATS` in a module of `manifests.readers`.

    `help` is one line for people. `read(path, wanted)` narrows to `wanted` itself where reading all would be a waste
    (`narrows`: one list is then the test set, not a part of it); else `wanted` is None. `needs_negatives`: the set is
    one with silent pairs, whose csv must be given. `video_of`: the source video of a key, where frames are annotated
    and a list of clips has to know which videos they are of.
    """

    help: str
    read: Callable[[Path, IdList | None], Truth]
    narrows: bool = False
    needs_negatives: bool = False
    video_of: Callable[[str], str] | None = None
