"""Reading what lies beside the shards: waveforms, further images, proposals, annotations, by manifest row.

Reached as `store.companions`; `pipeline.shards.companion` says what there is and how it is made. A method that needs
one that was not made learns which flag of `pipeline ingest` makes it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manifests.annotations import Annotation
from manifests.errors import InputError
from pipeline.shards.codecs import decode_flac, decode_image, decode_npy
from pipeline.shards.companion import (
    BOXES,
    COMPANION_SCHEMA,
    CONTEXT,
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
from pipeline.storage.files import read_table
from pipeline.storage.remote import Place

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Waveform:
    """float32 (T,) mono in [-1, 1] at `rate` Hz; sample 0 is heard `start` seconds after the clip's start."""

    samples: "np.ndarray"
    rate: int
    start: float


class Companions:
    """The companions of a shard folder: `keys` of its rows, and `content(tar, offset, size)`, which reads a piece of
    one of its tars. Every method takes a row, and raises InputError when the folder was ingested without what it
    reads."""

    def __init__(self, folder: Place, keys: Sequence[str], content: Callable[[str, int, int], bytes]) -> None:
        self._folder, self._keys, self._content = folder, keys, content
        self._places: dict[str, dict[tuple[str, str], tuple[str, int, int]]] = {}

    def waveform(self, row: int) -> Waveform:
        """The sound around the moment, as far as the recording goes (`--audio context`)."""
        facts = json.loads(self._read(CONTEXT, row, WAVEFORM_FACTS))
        return Waveform(decode_flac(self._read(CONTEXT, row, WAVEFORM)), facts["rate"], facts["start"])

    def frames(self, row: int) -> list[tuple[float, "np.ndarray"]]:
        """Images spread over the clip, uint8 (H, W, 3) RGB, each with its presentation time (`--frames N`)."""
        seconds = json.loads(self._read(FRAMES, row, FRAME_FACTS))["seconds"]
        names = [f"frames.{number:03d}.jpg" for number in range(len(seconds))]
        return [(at, decode_image(self._read(FRAMES, row, name))) for at, name in zip(seconds, names, strict=True)]

    def proposals(self, row: int) -> "np.ndarray":
        """float32 (n, 4): x1, y1, x2, y2 as fractions of the image, best first (`--proposals`)."""
        return decode_npy(self._read(PROPOSALS, row, BOXES))

    def truth(self, row: int) -> Annotation | None:
        """Boxes, label and consensus of an annotated clip, None of another (`pipeline annotate`)."""
        if (self._keys[row], TRUTH_FACTS) not in self._of_kind(TRUTH):
            return None
        facts = json.loads(self._read(TRUTH, row, TRUTH_FACTS))
        boxes = tuple(tuple(box) for box in facts["boxes"])
        return Annotation(self._keys[row], facts["label"], boxes, facts["consensus"])

    def mask(self, row: int) -> "np.ndarray | None":
        """bool (H, W): the pixels that sound, in the annotators' size; None of a clip without a mask."""
        if (self._keys[row], TRUTH_MASK) not in self._of_kind(TRUTH):
            return None
        import numpy as np

        return np.any(decode_image(self._read(TRUTH, row, TRUTH_MASK)), axis=2)

    def _read(self, kind: str, row: int, member: str) -> bytes:
        shard, offset, size = self._of_kind(kind)[self._keys[row], member]
        content = self._content(shard, offset, size)
        if len(content) != size:
            raise InputError(
                f"{self._folder / shard} ends before the {member} of {self._keys[row]}: the file is "
                "truncated. Copy it again, or ingest again into a new folder."
            )
        return content

    def _of_kind(self, kind: str) -> dict[tuple[str, str], tuple[str, int, int]]:
        if kind not in self._places:
            path = self._folder / companion_manifest(kind)
            if not path.exists():
                raise InputError(f"The shards in {self._folder} hold no {kind} companion. To have it, {MADE_BY[kind]}.")
            key, shard, member, offset, size = read_table(path, COMPANION_SCHEMA).to_pydict().values()
            places = zip(shard, offset, size, strict=True)
            self._places[kind] = dict(zip(zip(key, member, strict=True), places, strict=True))
        return self._places[kind]
