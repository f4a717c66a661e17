"""The one maker of shard folders without videos: as `pipeline ingest` leaves them, from arrays a test chooses.

    write_shards(folder, [MadeClip("a", frame, spectrogram, label="dog"), ...], sizes=[3, 1])

writes tars, `manifest.parquet`, `rejects.parquet` and `index.json` with the pipeline's own writer and row.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.jobs.shard_job import manifest_row
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.codecs import encode_flac, encode_jpeg, encode_npy
from pipeline.shards.companion import (
    BOXES,
    BURST,
    BURST_FACTS,
    COMPANION_SCHEMA,
    CONTEXT,
    FLOW,
    FLOW_FIELD,
    PROPOSALS,
    WAVEFORM,
    WAVEFORM_FACTS,
    companion_manifest,
    companion_name,
)
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, REJECT_SCHEMA, SCHEMA_VERSION, SPECTROGRAM
from pipeline.shards.store import INDEX, MANIFEST, REJECTS
from pipeline.shards.writer import ShardWriter, shard_name, writing_shard


@dataclass(frozen=True)
class MadeClip:
    """One record: frame uint8 (H, W, 3), spectrogram float16 (F, T). `facts` overrides what the json member says."""

    key: str
    frame: np.ndarray
    spectrogram: np.ndarray
    label: str | None = None
    split: str | None = "train"
    flags: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


def write_shards(
    folder: Path,
    clips: Sequence[MadeClip],
    sizes: Sequence[int] | None = None,
    companions: Sequence[str] = (),
    **index: object,
) -> Path:
    """A finished shard folder; `sizes` clips go to each tar (all to one unless said), `index` overrides index.json."""
    folder.mkdir(parents=True)
    remaining, rows, sizes = iter(clips), [], sizes or [len(clips)]
    front_end = str(index.get("front_end", DEFAULT))
    for number, size in enumerate(sizes):
        with writing_shard(folder / shard_name(number)) as shard:
            rows += [_add(shard, shard_name(number), clip, front_end) for clip in islice(remaining, size)]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST_SCHEMA), folder / MANIFEST)
    pq.write_table(pa.Table.from_pylist([], REJECT_SCHEMA), folder / REJECTS)
    facts: dict[str, object] = {
        "schema_version": SCHEMA_VERSION, "front_end": DEFAULT, "short_side": 256, "clips": len(rows), "rejects": 0,
        "shards": len(sizes), "companions": list(companions), "options_sha256": "0" * 64,
        "manifest_sha256": hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
    }  # fmt: skip
    (folder / INDEX).write_text(json.dumps(facts | index))
    return folder


def _add(shard: ShardWriter, name: str, clip: MadeClip, front_end: str) -> dict[str, object]:
    """Append a clip to a tar; its row of the manifest."""
    height, width = clip.frame.shape[:2]
    facts = {
        "key": clip.key, "source_id": clip.key[:11], "label": clip.label, "split": clip.split, "duration": 10.0,
        "moment": 5.0, "frame_pts": 5.0, "width": width, "height": height, "source_width": width,
        "source_height": height, "sample_rate": 11025, "audio_start": 0.0, "flags": list(clip.flags),
        "source_path": f"{clip.key}.mp4", "source_sha256": "", "front_end": front_end,
    } | dict(clip.facts)  # fmt: skip
    members = {
        FRAME: encode_jpeg(clip.frame),
        FACTS: json.dumps(facts).encode(),
        SPECTROGRAM: encode_npy(clip.spectrogram),
    }
    return manifest_row(name, facts, shard.add(clip.key, members))


def write_waveforms(folder: Path, waveforms: Mapping[str, np.ndarray], rate: int, start: float = 4.0) -> None:
    """The `context` companion of a folder with one tar: float32 (T,) per key at `rate` Hz, `start` seconds in."""

    def members(samples: np.ndarray) -> dict[str, bytes]:
        facts = json.dumps({"rate": rate, "samples": len(samples), "start": start}).encode()
        return {WAVEFORM: encode_flac(samples, rate), WAVEFORM_FACTS: facts}

    _write_companion(folder, CONTEXT, {key: members(samples) for key, samples in waveforms.items()})


def write_proposals(folder: Path, boxes: Mapping[str, np.ndarray]) -> None:
    """The `proposals` companion of a folder with one tar: (n, 4) per key, fractions of the frame."""
    members = {key: {BOXES: encode_npy(np.asarray(own, np.float32))} for key, own in boxes.items()}
    _write_companion(folder, PROPOSALS, members)


def write_flow(folder: Path, fields: Mapping[str, np.ndarray]) -> None:
    """The `flow` companion of a folder with one tar: (2, h, w) per key, sides of the frame a second."""
    members = {key: {FLOW_FIELD: encode_npy(np.asarray(own, np.float16))} for key, own in fields.items()}
    _write_companion(folder, FLOW, members)


def write_bursts(folder: Path, bursts: Mapping[str, np.ndarray], rate: float, moment: int = 0) -> None:
    """The `burst` companion of a folder with one tar: uint8 (N, H, W, 3) per key, so many images a second."""

    def members(images: np.ndarray) -> dict[str, bytes]:
        facts = {"seconds": [number / rate for number in range(len(images))], "moment": moment}
        named = {f"burst.{number:03d}.jpg": encode_jpeg(image) for number, image in enumerate(images)}
        return {**named, BURST_FACTS: json.dumps(facts).encode()}

    _write_companion(folder, BURST, {key: members(images) for key, images in bursts.items()})


def _write_companion(folder: Path, kind: str, members: Mapping[str, Mapping[str, bytes]]) -> None:
    rows, name = [], companion_name(kind, 0)
    with writing_shard(folder / name) as shard:
        for key, own in members.items():
            rows += [
                {"key": key, "shard": name, "member": member, "offset": place.offset, "size": place.size}
                for member, place in shard.add(key, dict(own)).items()
            ]
    pq.write_table(pa.Table.from_pylist(rows, COMPANION_SCHEMA), folder / companion_manifest(kind))
