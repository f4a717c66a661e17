"""Reading what lies beside the shards: waveforms, further pictures, box proposals, by manifest row.

Reached as `store.companions`; `pipeline.companion` says what there is and how it is made. A method that needs one that
was not made learns which flag of `pipeline ingest` makes it.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manifests.errors import InputError
from pipeline.companion import (
    BOXES,
    COMPANION_SCHEMA,
    CONTEXT,
    FLAG_OF,
    FRAME_FACTS,
    FRAMES,
    PROPOSALS,
    WAVEFORM,
    WAVEFORM_FACTS,
    companion_manifest,
    decode_flac,
)
from pipeline.files import read_table
from pipeline.store import ShardStore, decode_picture, decode_spectrogram

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Waveform:
    """float32 (T,) mono in [-1, 1] at `rate` Hz; sample 0 is heard `start` seconds after the clip's start."""

    samples: "np.ndarray"
    rate: int
    start: float


class Companions:
    """The companions of a shard folder. Every method takes a row of the store, and raises InputError when the folder
    was ingested without what it reads."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._places: dict[str, dict[tuple[str, str], tuple[str, int, int]]] = {}

    def waveform(self, row: int) -> Waveform:
        """The sound around the moment, as far as the recording goes (`--audio context`)."""
        facts = json.loads(self._read(CONTEXT, row, WAVEFORM_FACTS))
        return Waveform(decode_flac(self._read(CONTEXT, row, WAVEFORM)), facts["rate"], facts["start"])

    def frames(self, row: int) -> list[tuple[float, "np.ndarray"]]:
        """Pictures spread over the clip, uint8 (H, W, 3) RGB, each with its presentation time (`--frames N`)."""
        seconds = json.loads(self._read(FRAMES, row, FRAME_FACTS))["seconds"]
        names = [f"frames.{number:03d}.jpg" for number in range(len(seconds))]
        return [(at, decode_picture(self._read(FRAMES, row, name))) for at, name in zip(seconds, names, strict=True)]

    def proposals(self, row: int) -> "np.ndarray":
        """float32 (n, 4): x1, y1, x2, y2 as fractions of the picture, best first (`--proposals`)."""
        return decode_spectrogram(self._read(PROPOSALS, row, BOXES))

    def _read(self, kind: str, row: int, member: str) -> bytes:
        shard, offset, size = self._of_kind(kind)[self._store.keys[row], member]
        content = self._store.content(shard, offset, size)
        if len(content) != size:
            raise InputError(
                f"{self._store.folder / shard} ends before the {member} of {self._store.keys[row]}: the file is "
                "truncated. Copy it again, or ingest again into a new folder."
            )
        return content

    def _of_kind(self, kind: str) -> dict[tuple[str, str], tuple[str, int, int]]:
        if kind not in self._store.companion_kinds:
            raise InputError(
                f"The shards in {self._store.folder} hold no {kind} companion. Ingest the videos again with "
                f"`{FLAG_OF[kind]}` into a new folder."
            )
        if kind not in self._places:
            path = self._store.folder / companion_manifest(kind)
            key, shard, member, offset, size = read_table(path, COMPANION_SCHEMA).to_pydict().values()
            places = zip(shard, offset, size, strict=True)
            self._places[kind] = dict(zip(zip(key, member, strict=True), places, strict=True))
        return self._places[kind]
