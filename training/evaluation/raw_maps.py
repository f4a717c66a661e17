"""Raw heat maps as a method or any other program gave them, and which of them belong to a test set's clips.

On disk they are `maps.npz`: `names` (N,) text, `maps` (N, h, w) float32 at any resolution, not normalised, and
optionally `object_maps` (N, h', w') and `confidence` (N,); or, where that is all, the map (h, w) of each clip by its
name. A negative pair is named `<video>+<audio>`. A map covers the
whole frame unless the file says otherwise: `view` is how frames were shown, `shown` (N, 4) the part of each that was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from manifests.annotations import MOST_SHOWN, Box, TestSet
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.arrays import read_npz
from manifests.files.given import shortened, understood
from manifests.files.recognised import ARRAYS, JSON, PARQUET, words_of
from manifests.namesakes import clips_named
from manifests.test_sets import PAIR_SEPARATOR, ExtendedSet, Truth
from manifests.views import VIEWS, ViewName
from training.evaluation.given_arrays import in_float32, names_of, texts
from training.evaluation.postprocess import Prepared, prepare, require_finite
from training.evaluation.protocol import MapProtocol, Protocol

SAY_WHAT_IS_SHOWN = ("view", "shown")
OF_MAPS = "The file of maps"
COLOURS = (3, 4)  # values of a coloured pixel: red, green, blue, and how opaque it is
NO_COLOURS = (
    "colours do not say which place is higher. Write each map as it was before it was coloured: its numbers, or a grey "
    "picture, (height, width)."
)
_SLACK = 1e-3  # of a fraction: half precision rounds to that
FoundIn = Callable[[Sequence[str]], Mapping[str, int]]


@dataclass(frozen=True)
class RawMaps:
    """Maps in one order: names (N,), maps (N, h, w) and what may go along.

    object_maps (N, h', w') adds the maps "object_prior" and "combined" (weight `alpha` on the audio-visual map);
    confidence (N,) is the method's own score, replacing the protocol's confidence rule.
    """

    names: Sequence[str]
    maps: np.ndarray
    object_maps: np.ndarray | None = None
    confidence: np.ndarray | None = None
    alpha: float = 0.4

    def __post_init__(self) -> None:
        named = {"maps": self.maps, "object maps": self.object_maps, "confidences": self.confidence}
        shapes = dict.fromkeys(named, "(clips, height, width)") | {"confidences": "(clips,)"}
        for what, values in named.items():
            if values is not None and np.ndim(values) != len(shapes[what].split(", ")):
                raise InputError(f"The {what} have shape {np.shape(values)}. Give {shapes[what]}.")
            if values is not None and len(values) != len(self.names):
                raise InputError(
                    f"There are {len(self.names)} names but {len(values)} {what}. Give one per name, in one order."
                )
            if values is not None and 0 in np.shape(values)[1:]:
                raise InputError(f"The {what} have shape {np.shape(values)}: they are empty. Export them again.")
            if values is not None and np.asarray(values).dtype.kind not in "fiub":
                raise InputError(f"The {what} are of type {np.asarray(values).dtype}. Give numbers.")
        if self.confidence is not None and not np.isfinite(self.confidence).all():
            raise InputError("The confidences hold NaN or infinity. Every clip needs a finite confidence.")

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], alpha: float = 0.4) -> "RawMaps":
        """The arrays of a `maps.npz` with one map per clip. InputError when lengths or shapes do not fit."""
        return cls(names_of(arrays), arrays["maps"], arrays.get("object_maps"), arrays.get("confidence"), alpha)

    def prepare(self, positions: list[int], protocol: MapProtocol) -> dict[str, Prepared]:
        """The maps at `positions` as the protocol compares them, by map name. InputError names a non-finite map."""
        raw = self.finite(self.maps, positions)
        object_raw = None if self.object_maps is None else self.finite(self.object_maps, positions, "object_maps")
        try:
            prepared = prepare(raw, protocol, object_raw, self.alpha)
            for values in prepared.values():
                require_finite(values.maps)
        except ValueError as error:
            raise InputError(f"The maps do not fit the protocol {protocol.name}: {error}.") from error
        if self.confidence is None:
            return prepared
        given = np.asarray(self.confidence, np.float64)[positions]
        return {name: Prepared(values.maps, given) for name, values in prepared.items()}

    def finite(self, maps: np.ndarray, positions: list[int], array: str = "maps") -> np.ndarray:
        """float32 `maps` at `positions`. InputError names the first with NaN or infinity, and the array it is in."""
        chosen = in_float32(maps[positions], array)
        finite = np.isfinite(chosen).all(axis=(1, 2))
        if not finite.all():
            raise InputError(
                f"In the array {array} the map of {self.names[positions[int(finite.argmin())]]} holds NaN or infinity: "
                "its pixels have no ranking. Find out why the model produced it and export the maps again."
            )
        return chosen


def read_single_maps(arrays: dict[str, np.ndarray], alpha: float, protocol: Protocol) -> RawMaps:
    """The arrays of a `maps.npz` for a protocol that takes one map a frame. InputError for any other number of axes."""
    shape = np.shape(arrays["maps"])
    if len(shape) == 4:
        raise InputError(
            f"The protocol {protocol.name} takes one map a frame, (clips, height, width); these maps have the shape "
            f"{shape}. {_of_four_axes(shape)}"
        )
    return RawMaps.of(arrays, alpha)


def _of_four_axes(shape: tuple[int, ...]) -> str:
    """What maps of four axes may be, and what to do about it: a single channel, pictures, several sources."""
    _, second, _, last = shape
    if second == 1:
        return "Write maps[:, 0]: the second axis is of length one."
    if last == 1:
        return "Write maps[..., 0]: the last axis is of length one."
    if last == 2:
        return "They look like grey pictures with transparency: write maps[..., 0], and check that grey is the value."
    if last in COLOURS:
        return f"They look like coloured pictures of maps: {NO_COLOURS}"
    pictures = f" If they are coloured pictures, {NO_COLOURS}" if second in COLOURS else ""
    return f"Maps of several sources in a frame are for protocols such as music_duet.{pictures}"


def load_arrays(path: Path | str, needed: Sequence[str] = ("names", "maps")) -> dict[str, np.ndarray]:
    """Every array of a `maps.npz`. InputError when it is no archive, holds Python objects, or lacks a needed one."""
    with understood(
        path, "cannot be read as maps", f"{_other_than_arrays(path)}Write it with numpy.savez, plain arrays."
    ):
        arrays = read_npz(Path(path))
    check_arrays(arrays, str(path), needed)
    return arrays


def _other_than_arrays(path: Path | str) -> str:
    """What a file is that is no archive of arrays, and where it may belong."""
    held = words_of(path)
    belongs = ", as annotations are, which --truth takes" if held in (JSON, PARQUET) else ""
    return f"It is {held}{belongs}. " if held not in ("", ARRAYS) else ""


def check_arrays(arrays: Mapping[str, np.ndarray], source: str, needed: Sequence[str]) -> None:
    """InputError when what a source holds lacks a needed array, or has a single value in place of one."""
    if not set(needed) <= set(arrays):
        held = shortened(", ".join(arrays) or "nothing", MOST_SHOWN)
        wanted = f"{', '.join(needed[:-1])} and {needed[-1]}"
        raise InputError(f"{source} holds {held}; scoring needs the arrays {wanted}.")
    if single := [name for name in needed if np.ndim(arrays[name]) == 0]:
        raise InputError(
            f"{source} holds a single value as {' and '.join(single)}. Give arrays, with a row for each name."
        )


def as_shown(truth: Truth, arrays: Mapping[str, np.ndarray], found_in: FoundIn) -> Truth:
    """The truth within what the maps of a file cover, as its arrays `view` and `shown` say; whole frames without them.

    found_in: the position of every clip in the file's names. InputError for a view that is not known, or parts that are
    not one x1, y1, x2, y2 (fractions) for each name.
    """
    view = cast(ViewName, " ".join(texts(np.atleast_1d(arrays.get("view", VIEWS[0])), "array view")))
    if view not in VIEWS:
        meant = did_you_mean(view, VIEWS)
        raise InputError(f"The maps' file says view {view!r}.{meant} The known ones are {', '.join(VIEWS)}.")
    if view == VIEWS[0]:
        return truth
    names = names_of(arrays)
    parts = _parts(arrays, len(names), view)
    return truth.seen_as(view, {key: cast(Box, tuple(parts[at].tolist())) for key, at in found_in(names).items()})


def _parts(arrays: Mapping[str, np.ndarray], count: int, view: str) -> np.ndarray:
    """The array `shown` (count, 4). InputError when it holds no parts of frames."""
    parts = np.asarray(arrays.get("shown", ()))
    fits = parts.shape == (count, 4) and parts.dtype.kind in "fiu"
    within = fits and bool(((parts >= -_SLACK) & (parts <= 1 + _SLACK)).all())
    if not within or not (parts[:, :2] < parts[:, 2:]).all():
        held = f"numbers from {parts.min():g} to {parts.max():g}" if fits and parts.size else parts.dtype
        raise InputError(
            f"The maps' file says view {view}, and its array shown has the shape {parts.shape} and holds {held}. Give "
            f"for each of the {count} names the part of the frame that its map covers: x1, y1, x2, y2 as fractions "
            "from 0 to 1."
        )
    return parts


def match_names(names: Sequence[str], test_set: TestSet, extended: ExtendedSet | None = None) -> dict[str, int]:
    """Position in `names` of every test clip (and negative pair) that is there.

    A name matches as it is or by the clip it names. InputError for two maps of one clip, none of any positive clip, or
    a name that several clips could have.
    """
    positives = set(test_set.keys)
    wanted = positives | ({negative.key for negative in extended.negatives} if extended else set())
    called = _called([name for name in map(str, names) if name not in wanted], test_set, extended)
    positions: dict[str, int] = {}
    for position, name in enumerate(map(str, names)):
        key = called.get(name, name)
        if key in positions:
            raise InputError(f"There are two maps for {key} (positions {positions[key]} and {position}). Keep one.")
        if key in wanted:
            positions[key] = position
    if not positives & positions.keys():
        first, clip = next(iter(names), "absent"), next(iter(test_set.keys), "absent")
        raise InputError(
            f"None of the {len(names)} maps belongs to a clip of {test_set.name} ({test_set.source}): the first map is "
            f"{first}, the first clip {clip}. Give the matching truth."
        )
    return positions


def _called(names: Sequence[str], test_set: TestSet, extended: ExtendedSet | None) -> dict[str, str]:
    """What names in a spelling of their own are called by the truth: those of clips, and of pairs where it has any."""
    pairs = {name: name.partition(PAIR_SEPARATOR)[::2] for name in names if extended and PAIR_SEPARATOR in name}
    own, clips = test_set.names, [name for name in names if name not in pairs]
    found = dict(zip(clips, clips_named(clips, OF_MAPS).as_in(own), strict=True))
    if extended is not None:
        halves = clips_named((half for pair in pairs.values() for half in pair), OF_MAPS).as_in(extended.clips)
        joined = map(PAIR_SEPARATOR.join, zip(halves[::2], halves[1::2], strict=True))
        found |= dict(zip(pairs, joined, strict=True))
    return found
