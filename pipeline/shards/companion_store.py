"""Reading what lies beside the shards: waveforms, further images, proposals, annotations, flow, by manifest row.

Reached as `store.companions`; `pipeline.shards.companion` says what there is and how it is made. A method that needs
one that was not made learns which flag of `pipeline ingest` makes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.files.given import understood
from manifests.files.plain_data import object_with
from manifests.given_arrays import given_place
from pipeline.shards.codecs import decode_flac, decode_image, decode_npy
from pipeline.shards.companion import (
    AFTERWARDS,
    BOXES,
    BURST,
    BURST_FACTS,
    COMPANION_SCHEMA,
    CONTEXT,
    FLOW,
    FLOW_FIELD,
    FRAME_FACTS,
    FRAMES,
    MADE_BY,
    PROPOSALS,
    TRUTH,
    TRUTH_FACTS,
    TRUTH_MASK,
    WAVEFORM,
    WAVEFORM_FACTS,
    companion_manifest,
)
from pipeline.shards.record import Member
from pipeline.shards.tars import MAKE_AGAIN, Decoded, Tars
from pipeline.storage.files import read_table
from pipeline.storage.remote import Place

if TYPE_CHECKING:
    import numpy as np

MAKE_ANNOTATION_AGAIN = "Fetch that tar again from where it was made, or repeat `pipeline annotate`"


@dataclass(frozen=True)
class Waveform:
    """float32 (T,) mono in [-1, 1] at `rate` Hz; sample 0 is heard `start` seconds after the clip's start."""

    samples: "np.ndarray"
    rate: int
    start: float


@dataclass(frozen=True)
class Recording:
    """The same as it is stored: a FLAC file's `content`."""

    content: bytes
    rate: int
    start: float


@dataclass(frozen=True)
class Burst:
    """Consecutive `images`, uint8 (H, W, 3) RGB, shown since `seconds`; `moment` is the number of the clip's own."""

    images: "list[np.ndarray]"
    seconds: list[float]
    moment: int


def _with(*names: str) -> Callable[[bytes], dict[str, Any]]:
    """What makes facts of a member, which must have these names."""
    return lambda content: object_with(content, *names)


class _Kind:
    """One companion of a folder: its tars, and where every member of it lies in them."""

    def __init__(self, folder: Place, kind: str) -> None:
        manifest = folder / companion_manifest(kind)
        if not manifest.exists():
            raise InputError(f"The shards in {folder} hold no {kind} companion. To have it, {MADE_BY[kind]}.")
        with understood(manifest, "is damaged", f"To have it again, {MADE_BY[kind]}."):
            keys, tars, members, offsets, sizes = read_table(manifest, COMPANION_SCHEMA).to_pydict().values()
        places = zip(tars, map(Member, offsets, sizes), strict=True)
        self.places = dict(zip(zip(keys, members, strict=True), places, strict=True))
        ends: dict[str, int] = {}
        for tar, member in self.places.values():
            ends[tar] = max(ends.get(tar, 0), member.offset + member.size)
        self.tars = Tars(folder, manifest.name, ends, MAKE_ANNOTATION_AGAIN if kind in AFTERWARDS else MAKE_AGAIN)


class Companions:
    """The companions of a shard folder; `keys` of its rows, and as they are `stored`, which may be in another form of
    Unicode. Every method takes a row, and raises InputError when the folder was ingested without what it reads, or a
    tar is not the one that its manifest describes."""

    def __init__(self, folder: Place, keys: Sequence[str], stored: Sequence[str]) -> None:
        self._folder, self._keys, self._stored = folder, keys, stored
        self._of_kind = lru_cache(None)(partial(_Kind, folder))

    def __reduce__(self) -> tuple[Any, ...]:
        """As of `Tars`: another process reads the manifests anew, when it needs them."""
        return type(self), (self._folder, self._keys, self._stored)

    def has(self, kind: str) -> bool:
        """Whether ingest, or `pipeline annotate`, was asked to make the companion of this kind."""
        return (self._folder / companion_manifest(kind)).exists()

    def recording(self, row: int) -> Recording:
        """The file that `waveform` decodes (`--audio context`)."""
        facts = self._decoded(CONTEXT, row, WAVEFORM_FACTS, _with("rate", "start"))
        return Recording(self._decoded(CONTEXT, row, WAVEFORM, bytes), facts["rate"], facts["start"])

    def waveform(self, row: int) -> Waveform:
        """The sound around the moment, as far as the recording goes (`--audio context`)."""
        facts = self._decoded(CONTEXT, row, WAVEFORM_FACTS, _with("rate", "start"))
        return Waveform(self._decoded(CONTEXT, row, WAVEFORM, decode_flac), facts["rate"], facts["start"])

    def frames(self, row: int) -> list[tuple[float, "np.ndarray"]]:
        """Images spread over the clip, uint8 (H, W, 3) RGB, each with its presentation time (`--frames N`)."""
        seconds = self._decoded(FRAMES, row, FRAME_FACTS, _with("seconds"))["seconds"]
        names = [f"frames.{number:03d}.jpg" for number in range(len(seconds))]
        images = (self._decoded(FRAMES, row, name, decode_image) for name in names)
        return list(zip(seconds, images, strict=True))

    def burst(self, row: int) -> Burst:
        """Consecutive images around the moment (`--burst N`)."""
        facts = self._decoded(BURST, row, BURST_FACTS, _with("seconds", "moment"))
        names = [f"burst.{number:03d}.jpg" for number in range(len(facts["seconds"]))]
        return Burst(
            [self._decoded(BURST, row, name, decode_image) for name in names], facts["seconds"], facts["moment"]
        )

    def flow(self, row: int) -> "np.ndarray":
        """float16 (2, h, w): how fast what a cell shows moves right and down, in widths and heights a second
        of the image (`pipeline annotate --flow`)."""
        return self._decoded(FLOW, row, FLOW_FIELD, decode_npy)

    def proposals(self, row: int) -> "np.ndarray":
        """float32 (n, 4): x1, y1, x2, y2 as fractions of the image, best first (`--proposals`)."""
        return self._decoded(PROPOSALS, row, BOXES, decode_npy)

    def truth(self, row: int) -> Annotation | None:
        """Boxes, label and consensus of an annotated clip, None of another (`pipeline annotate`)."""
        if self._stored_as(TRUTH, row, TRUTH_FACTS) is None:
            return None
        facts = self._decoded(TRUTH, row, TRUTH_FACTS, _with("boxes", "label", "consensus"))
        boxes = tuple(tuple(box) for box in facts["boxes"])
        return Annotation(self._keys[row], facts["label"], boxes, facts["consensus"])

    def mask(self, row: int) -> "np.ndarray | None":
        """bool (H, W): the pixels that sound, in the annotators' size; None of a clip without a mask."""
        if self._stored_as(TRUTH, row, TRUTH_MASK) is None:
            return None
        import numpy as np

        return np.any(self._decoded(TRUTH, row, TRUTH_MASK, decode_image), axis=2)

    def _decoded(self, kind: str, row: int, member: str, decode: Callable[[bytes], Decoded]) -> Decoded:
        row = given_place(row, len(self._keys), "the row")
        companion, key = self._of_kind(kind), self._stored_as(kind, row, member)
        if key is None:
            raise InputError(
                f"The {kind} companion in {self._folder} has no {member} of {self._keys[row]}: its manifest is that of "
                f"other shards. To have it, {MADE_BY[kind]}."
            )
        tar, place = companion.places[key, member]
        name = f"{key}.{member}"
        return companion.tars.decoded(tar, name, companion.tars.read(tar, name, place), decode)

    def _stored_as(self, kind: str, row: int, member: str) -> str | None:
        """The key a row has in a companion, which is made with the shards or after them; None when it is not there."""
        places = self._of_kind(kind).places
        return next((key for key in (self._stored[row], self._keys[row]) if (key, member) in places), None)
