"""Clips for the gallery: image and spectrogram from the shards, sound from the source video where it still is.

The shards themselves keep no waveform (a companion of `--audio context` is not read here), and a spectrogram without
phase is not the sound: nothing is reconstructed. The sound is cut again from where the ingest's plan says
the video lies, after its hash has shown that it is the same file.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from manifests.keys import normal_key
from pipeline.jobs.plan import is_planned, load_head, load_shard
from pipeline.shards.joined import Folders, open_shards
from pipeline.shards.record import Rejected
from pipeline.shards.store import PLAN, ShardStore
from pipeline.sources.listing import Clip
from pipeline.storage.remote import Place
from training.report.images import audio_uri

ABSENT = "The source video is no longer where it was ingested from, so there is no sound to play."
ARCHIVED = "The source video lies inside a compressed archive, which is not unpacked for this page."
LARGE = "The source video is larger than what is taken here."
CHANGED = "The source video has changed since it was ingested, so its sound is not played."


@dataclass(frozen=True)
class PlayableAudio:
    """A playable data URI, or the reason why there is none."""

    uri: str | None
    reason: str = ""


class Clips:
    """Records of shard folders by clip key."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._planned, self._roots = lru_cache(64)(_read_plan), lru_cache(64)(_roots_of)

    @classmethod
    def open(cls, folders: Folders) -> "Clips":
        """Open finished shard folders; InputError as `open_shards`."""
        return cls(open_shards(folders))

    def __contains__(self, key: str) -> bool:
        return key in self._store

    def facts(self, key: str) -> dict[str, Any]:
        """The record's `json` member."""
        return self._store.facts(self._store.row_of(key))

    def frame(self, key: str) -> np.ndarray:
        """uint8 (H, W, 3) RGB."""
        return self._store.frame(self._store.row_of(key))

    def spectrogram(self, key: str) -> np.ndarray:
        """float16 (F, T) log power."""
        return self._store.spectrogram(self._store.row_of(key))

    def audio(self, key: str) -> PlayableAudio:
        """The sound that became the spectrogram, cut again from the source video."""
        content = self.source(key)
        return PlayableAudio(None, content) if isinstance(content, str) else self._cut(key, content)

    def source(self, key: str, most: int | None = None) -> bytes | str:
        """The file that was ingested, of at most so many bytes; or a sentence that says why it is not there."""
        store, row = self._store.alone(self._store.row_of(key))
        plan, tar = store.folder / PLAN, store.table["shard"][row].as_py()
        clip = self._planned(plan, int(Path(tar).stem.rpartition("-")[2])).get(normal_key(key))
        source = None if clip is None else self._roots(plan)[clip.root] / clip.path
        if clip is None or not isinstance(source, Path) or not source.is_file():  # one in object storage is not fetched
            return ABSENT
        if clip.stream is not None:
            return ARCHIVED
        if most is not None and clip.size > most:
            return LARGE
        try:
            content = _read(clip, source)
        except OSError as error:
            return f"The source video cannot be read ({error.strerror}), so there is no sound to play."
        return content if hashlib.sha256(content).hexdigest() == self.facts(key)["source_sha256"] else CHANGED

    def _cut(self, key: str, content: bytes) -> PlayableAudio:
        from pipeline.media.decode import DecodeOptions, decode_clip
        from pipeline.media.front_ends import find_front_end

        front_end = find_front_end(self._store.front_end)
        try:
            decoded = decode_clip(content, DecodeOptions(moment=self.facts(key)["moment"], front_end=front_end))
        except Rejected as refusal:
            return PlayableAudio(None, f"The sound could not be decoded again: {refusal.message}.")
        return PlayableAudio(audio_uri(decoded.waveform, front_end.sample_rate))


def _read(clip: Clip, source: Path) -> bytes:
    with open(source, "rb") as file:
        file.seek(clip.offset or 0)  # members of a plain tar are read in place
        return file.read(clip.size)


def _roots_of(plan: Place) -> tuple[Place, ...]:
    return load_head(plan)[1]


def _read_plan(plan: Place, shard: int) -> dict[str, Clip]:
    """What the ingest planned for a shard; nothing in a folder that was copied without its plan."""
    if not is_planned(plan):
        return {}
    return {normal_key(clip.key): clip for clip in load_shard(plan, shard)}
