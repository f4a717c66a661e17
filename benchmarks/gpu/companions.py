"""What single methods of the GPU check need beside its shards, drawn: waveforms, boxes, optical flow, bursts."""

import json
from pathlib import Path

import numpy as np

from pipeline.shards.codecs import encode_flac, encode_jpeg, encode_npy
from pipeline.shards.companion import (
    BOXES,
    BURST,
    BURST_FACTS,
    CONTEXT,
    FLOW,
    FLOW_FIELD,
    PROPOSALS,
    WAVEFORM,
    WAVEFORM_FACTS,
)
from pipeline.shards.companion_writer import write_companion
from pipeline.shards.store import ShardStore

RATE, SECONDS, MOMENT = 11025, 4.0, 5.0
BOXES_A_CLIP, FLOW_SHAPE = 16, (2, 32, 56)
IMAGES, IMAGE_RATE = 9, 25.0  # of a burst, as avobject asks for them


def add_companions(shards: Path) -> None:
    """Write all of them beside a finished shard folder, a draw of its own for each clip."""
    store = ShardStore.open(shards)
    for kind, members in ((CONTEXT, _context), (PROPOSALS, _proposals), (FLOW, _flow), (BURST, _burst)):
        write_companion(shards, kind, store, range(len(store)), members)


def _context(row: int) -> dict[str, bytes]:
    """Four seconds of a tone around the moment."""
    times = np.arange(int(SECONDS * RATE)) / RATE
    facts = {"rate": RATE, "samples": len(times), "start": MOMENT - SECONDS / 2}
    tone = 0.3 * np.sin(2 * np.pi * (300 + 50 * (row % 16)) * times)
    return {WAVEFORM: encode_flac(tone.astype(np.float32), RATE), WAVEFORM_FACTS: json.dumps(facts).encode()}


def _proposals(row: int) -> dict[str, bytes]:
    """Boxes (n, 4) of half the frame's sides, as fractions of it."""
    corners = np.random.default_rng(row).uniform(0, 0.5, (BOXES_A_CLIP, 2))
    return {BOXES: encode_npy(np.concatenate([corners, corners + 0.5], axis=1).astype(np.float32))}


def _flow(row: int) -> dict[str, bytes]:
    """(2, h, w) in sides of the frame a second."""
    return {FLOW_FIELD: encode_npy(np.random.default_rng(row).normal(0, 0.1, FLOW_SHAPE).astype(np.float16))}


def _burst(row: int) -> dict[str, bytes]:
    """Consecutive images of noise, the middle one at the moment."""
    noise = np.random.default_rng(row).integers(0, 256, (IMAGES, 72, 128, 3), np.uint8)
    facts = {"seconds": [number / IMAGE_RATE for number in range(IMAGES)], "moment": IMAGES // 2}
    images = {f"burst.{number:03d}.jpg": encode_jpeg(image) for number, image in enumerate(noise)}
    return images | {BURST_FACTS: json.dumps(facts).encode()}
