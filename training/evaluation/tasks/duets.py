"""Mixed sounds over several images (NoPrior): whichever maps a model gives for a mixture, against the images it is of.

`maps.npz` then holds `names` (N,), each a case `<image>+<image>...` of K images, `maps` (M, K h, w), every map over the
case's images below one another, and `owner` (M,), the row of `names` a map belongs to; a case may own any number, none
too. Cases are those of the released pairing: of the sorted list of L clips, clip i goes with i + L/K, i + 2 L/K and so
on, in any order. Others that a file names are scored as well, and counted apart. Numbers as released stand beside the
textbook's. Where a file says how frames were shown, `shown` has one part for all images of a case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.annotations import WHOLE, Annotation
from manifests.errors import InputError
from manifests.namesakes import clips_named
from manifests.pixels import SIZE, disc_map
from manifests.test_sets import PAIR_SEPARATOR, MusicFrame, Truth
from training.evaluation.duets import Case, duet_scores, music_pixels, released_case, textbook_case
from training.evaluation.floors import CENTRED_DISC, RANDOM, noise_map
from training.evaluation.given_arrays import in_float32, names_of
from training.evaluation.needs import refuse_negatives, require_boxes, require_instruments
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import OF_MAPS
from training.evaluation.reaches import COUNT, Reach
from training.evaluation.results import ROW_SCHEMA, Result, counted
from training.evaluation.scores import Score
from training.evaluation.truth import weight_map

_CODED = (
    ("duet_ciou50", "cIoU@0.5", "share of entries whose IoU is at least 0.5, an entry for each map or image"),
    ("duet_ciou30", "cIoU@0.3", "the same at 0.3"),
    ("duet_ciou10", "cIoU@0.1", "the same at 0.1"),
    ("duet_auc", "AUC of entries", "area under the share of entries whose IoU reaches t"),
    ("cap", "CAP", "mean average precision of a map's mask on the image it was matched to"),
    ("piap", "PIAP", "mean average precision of all maps added up, over all images of a case"),
)
SCORES = (
    *(Score(key, f"{title} as coded", f"{meaning}, as NoPrior codes it.") for key, title, meaning in _CODED),
    *(Score(f"{key}_textbook", title, f"{meaning}; best matching, raw maps, an entry for each image.")
      for key, title, meaning in _CODED),
)  # fmt: skip
NO_MAPS = "no_maps"


@dataclass(frozen=True)
class MixtureProtocol(Protocol):
    """`images`: K, how many a sound is mixed of. `instruments`: one image whose instruments all sound (MUSIC); its
    boxes x, y, width, height are made pixels before they are added."""

    task: ClassVar[str] = "duets"
    images: int = 2
    instruments: bool = False

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {"images": COUNT}

    @property
    def asks(self) -> str:
        return "mixtures"


@dataclass(frozen=True)
class MixtureMaps:
    """names (N,) of cases, maps (M, K h, w), owner (M,): the row of `names` that each map belongs to."""

    names: Sequence[str]
    maps: np.ndarray
    owner: np.ndarray

    def __post_init__(self) -> None:
        maps, owner = self.maps, self.owner
        numbers = maps.dtype.kind in "fiub" and owner.dtype.kind in "iu"
        if not numbers or maps.ndim != 3 or owner.shape != (len(maps),) or 0 in maps.shape[1:]:
            raise InputError(
                f"The maps have the shape {maps.shape} and the owners {owner.shape}. Give maps (M, K h, w), numbers, "
                "and for each the row of names it belongs to."
            )
        if len(owner) and not 0 <= owner.min() <= owner.max() < len(self.names):
            raise InputError(f"owner must hold rows of names, whole numbers from 0 to {len(self.names) - 1}.")
        if not np.isfinite(maps).all():
            bad = self.names[int(owner[~np.isfinite(maps).all(axis=(1, 2))][0])]
            raise InputError(f"A map of {bad} holds NaN or infinity: its pixels have no ranking. Export it again.")

    def of(self, row: int) -> list[np.ndarray]:
        """The maps of a case, in the order they come in."""
        return list(in_float32(self.maps[self.owner == row], "maps"))


ANSWERS, TAKES = MixtureMaps, "any number of maps a mixture"
ARRAYS, OPTIONAL = ("names", "maps", "owner"), ()


def read(arrays: dict[str, np.ndarray], alpha: float, protocol: MixtureProtocol) -> MixtureMaps:
    """The arrays of a file. InputError when they do not fit one another."""
    return MixtureMaps(names_of(arrays), np.asarray(arrays["maps"]), np.asarray(arrays["owner"]))


def check(truth: Truth, protocol: MixtureProtocol) -> None:
    """InputError for a truth without boxes, or without instruments where these are mixed; or with silent pairs."""
    require_boxes(truth, protocol)
    refuse_negatives(truth, protocol)
    if protocol.instruments:
        require_instruments(truth, protocol)


def score(
    found: MixtureMaps, truth: Truth, protocol: MixtureProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """Score maps of mixtures. InputError for a case named twice or not of K images, or none of the set's."""
    images = _truths(truth, protocol)
    rows = _rows(found.names, truth, images, protocol)
    released = {frozenset(case): PAIR_SEPARATOR.join(case) for case in cases_of(truth, protocol)}
    scored = [released[case] for case in map(frozenset, rows) if case in released]
    if found.maps.shape[1] % protocol.images:
        raise InputError(f"Maps of {found.maps.shape[1]} rows are not {protocol.images} images below one another.")
    truths = {case: np.stack([images[key] for key in case]) for case in rows}
    coded = {case: released_case(found.of(row), truths[case]) for case, row in rows.items()}
    book = {case: textbook_case(found.of(row), truths[case]) for case, row in rows.items()}
    floors, ceiling = _without_a_run(tuple(truths), np.packbits(np.stack([*truths.values()])).tobytes(), seed)
    summary = counted(truth.test_set, scored, run, released.values()) | {
        "task": "duets",
        "protocol": protocol.as_json(),
        "seed": seed,
        "n_of_another_pairing": len(rows) - len(scored),
        "n_maps": int(np.isin(found.owner, list(rows.values())).sum()),
        "n_without_maps": sum(not case.iou for case in coded.values()),
        "n_empty_truth": sum(not own.any(axis=(1, 2)).all() for own in truths.values()),
        "scores": {AUDIO_VISUAL: _scores(coded.values(), book.values())},
        "floors": floors,
        "ceiling": ceiling,
    }
    return Result(_table(truth, truths, coded, book), summary)


def cases_of(truth: Truth, protocol: Protocol) -> list[tuple[str, ...]]:
    """The released cases of a set, each by the names of its images; none of a protocol that mixes nothing."""
    return pairing(sorted(truth.test_set.keys), protocol.images) if isinstance(protocol, MixtureProtocol) else []


def pairing(keys: Sequence[str], images: int) -> list[tuple[str, ...]]:
    """The released cases of a sorted list: clip i with i + jL/K. What does not fill a case is left out, as there."""
    count = len(keys) // images
    return [tuple(keys[at + part * count] for part in range(images)) for at in range(count)]


def _rows(
    names: Sequence[str], truth: Truth, images: dict[str, np.ndarray], protocol: MixtureProtocol
) -> dict[tuple[str, ...], int]:
    """The cases of a file whose images are all in the set, with their row."""
    rows: dict[tuple[str, ...], int] = {}
    seen: set[tuple[str, ...]] = set()
    for row, case in enumerate(_cases(names, truth, protocol)):
        if (same := tuple(sorted(case))) in seen:
            raise InputError(f"The case {names[row]} is there twice. Keep one, and let it own all of its maps.")
        seen.add(same)
        if images.keys() >= set(case):
            rows[case] = row
    if not rows:
        first = next((f", such as {PAIR_SEPARATOR.join(case)}" for case in cases_of(truth, protocol)), "")
        raise InputError(
            f"None of the {len(names)} cases is of clips of this set, which has {len(images)}. A case is named by "
            f"{protocol.images} images{first}."
        )
    return rows


def _cases(names: Sequence[str], truth: Truth, protocol: MixtureProtocol) -> list[tuple[str, ...]]:
    """The images of every case in the truth's own keys; released cases are known as a whole, as keys may hold a +.

    InputError for a case of another number of images, or an image that several clips could be.
    """
    whole = {PAIR_SEPARATOR.join(order): order for case in cases_of(truth, protocol) for order in permutations(case)}
    cases = [whole.get(name) or tuple(name.split(PAIR_SEPARATOR)) for name in names]
    for name, case in zip(names, cases, strict=True):
        if len(case) != protocol.images:
            raise InputError(f"The case {name} is of {len(case)} images; {protocol.name} mixes {protocol.images}.")
    known = set(truth.test_set.keys)
    others = [part for case in cases for part in case if part not in known]
    called = dict(zip(others, clips_named(others, OF_MAPS).as_in(truth.test_set.names), strict=True))
    return [tuple(called.get(part, part) for part in case) for case in cases]


def found_in(names: Sequence[str], truth: Truth, protocol: MixtureProtocol) -> dict[str, int]:
    """The position of the case that every image is of. InputError for an image of several cases."""
    positions: dict[str, int] = {}
    for row, case in enumerate(_cases(names, truth, protocol)):
        for part in set(case):
            if positions.setdefault(part, row) != row:
                raise InputError(
                    f"The image {part} is of the cases {names[positions[part]]} and {names[row]}, so that the array "
                    "shown says twice which part of it was shown. Score the two in files of their own."
                )
    return positions


def _truths(truth: Truth, protocol: MixtureProtocol) -> dict[str, np.ndarray]:
    """bool (224, 224) of every clip or frame: a large set is held whole."""
    if protocol.instruments:
        assert truth.music is not None, "`check` comes before"
        return {frame.key: _of_instruments(frame) for frame in truth.music.scorable}
    return {one.key: weight_map(one) > 0 for one in truth.test_set.annotations}


def _of_instruments(frame: MusicFrame) -> np.ndarray:
    """The union of the boxes, each side truncated before it is added, as released; cut where a part was shown."""
    if frame.shown != WHOLE or not frame.as_read:
        boxes = tuple(box for own in frame.boxes.values() for box in own)
        return weight_map(Annotation(frame.key, None, boxes, shown=frame.shown)) > 0
    own = np.zeros((SIZE, SIZE), bool)
    for top, bottom, left, right in map(music_pixels, frame.as_read):
        own[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return own


def _scores(coded: Any, book: Any) -> dict[str, float | None]:
    try:
        own: dict[str, float | None] = {_key(name): value for name, value in duet_scores(list(coded)).items()}
    except ValueError:  # a model that finds nothing adds no entry at all
        own = dict.fromkeys(key for key, *_ in _CODED)
    return own | _textbook(book)


def _textbook(book: Any) -> dict[str, float]:
    return {f"{_key(name)}_textbook": value for name, value in duet_scores(list(book)).items()}


def _key(name: str) -> str:
    return name if name in ("cap", "piap") else f"duet_{name}"


@lru_cache(maxsize=1)
def _without_a_run(
    cases: tuple[tuple[str, ...], ...], pixels: bytes, seed: int
) -> tuple[dict[str, dict[str, float | None]], dict[str, float]]:
    """Floors and ceiling of cases and their truths as bits: found once for all runs, since they cost more than one."""
    bits = np.unpackbits(np.frombuffer(pixels, np.uint8)).astype(bool)
    truths = dict(zip(cases, bits.reshape(len(cases), -1, SIZE, SIZE), strict=True))
    floors = {name: _deaf(name, truths, seed) for name in (CENTRED_DISC, RANDOM, NO_MAPS)}
    return floors, _textbook([textbook_case(_perfect(own), own) for own in truths.values()])


def _deaf(name: str, truths: dict[tuple[str, ...], np.ndarray], seed: int) -> dict[str, float | None]:
    """What cases score whose maps know neither the image nor the sound."""
    makers = {
        CENTRED_DISC: lambda key: disc_map(),
        RANDOM: lambda key: noise_map(key, seed),
    }
    maps = {case: [np.concatenate([makers[name](key) for key in case])] * len(case) if name in makers else []
            for case in truths}  # fmt: skip
    coded = [released_case(maps[case], own) for case, own in truths.items()]
    return _scores(coded, [textbook_case(maps[case], own) for case, own in truths.items()])


def _perfect(truth: np.ndarray) -> list[np.ndarray]:
    """A map for each image that ranks its truth first."""
    return [
        np.concatenate([own * (at == row) for at, own in enumerate(truth)]).astype(np.float32)
        for row in range(len(truth))
    ]


def _table(
    truth: Truth,
    truths: dict[tuple[str, ...], np.ndarray],
    coded: dict[tuple[str, ...], Case],
    book: dict[tuple[str, ...], Case],
) -> pa.Table:
    """A row per case: the mean IoU of its entries, as released and textbook."""
    labels = truth.test_set.labels
    boxes = {one.key: len(one.boxes) for one in truth.test_set.annotations}
    columns: dict[str, Any] = {
        "key": [PAIR_SEPARATOR.join(case) for case in truths], "map": [AUDIO_VISUAL] * len(truths),
        "iou": [float(np.mean(one.iou)) if one.iou else 0.0 for one in coded.values()],
        "confidence": [None] * len(truths), "area": [float(own.mean()) for own in truths.values()],
        "boxes": [sum(boxes[key] for key in case) for case in truths],
        "label": [PAIR_SEPARATOR.join(labels[key] or "" for key in case) for case in truths],
        "flags": [[] if coded[case].iou else [NO_MAPS] for case in truths],
    }  # fmt: skip
    table = pa.table(columns, schema=ROW_SCHEMA)
    return table.append_column("iou_textbook", pa.array([float(np.mean(one.iou)) for one in book.values()]))
