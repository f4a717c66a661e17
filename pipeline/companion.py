"""What only some methods need, kept beside the shards: the waveform with its context, more pictures, box proposals,
and where a corpus has them, its boxes and masks (`pipeline.annotate`).

Each kind goes to tars of its own, in the order of the shards (`context-000000.tar` beside `shard-000000.tar`), and to a
manifest of its own (`context.parquet`, a row per member with its place). The decoder process makes the members,
`shard_job` writes them, `pipeline.store.ShardStore` reads them; a shard's own bytes are the same with and without.
"""

import ctypes
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from manifests.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.media import DecodedClip

CONTEXT, FRAMES, PROPOSALS, TRUTH = "context", "frames", "proposals", "truth"
MADE_BY = {  # the last one is made of shards that are there, so it is no part of `Wanted`
    CONTEXT: "ingest the videos again with `--audio context` into a new folder",
    FRAMES: "ingest the videos again with `--frames N` into a new folder",
    PROPOSALS: "ingest the videos again with `--proposals` into a new folder",
    TRUTH: "add it with `pipeline annotate`",
}
WAVEFORM, WAVEFORM_FACTS = "context.flac", "context.json"
FRAME_FACTS, BOXES = "frames.json", "proposals.npy"
TRUTH_FACTS, TRUTH_MASK = "truth.json", "truth.png"
MOST_PROPOSALS = 2000
FULL_SCALE = 32767

COMPANION_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.string()),  # companion tar inside the shard folder
        ("member", pa.string()),  # name of the member without its key, such as context.flac
        ("offset", pa.int64()),
        ("size", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Wanted:
    """Which companions are made. Waveform: Hz, and at most so many seconds around the moment (rate 0: none); pictures
    spread over the clip (0: none); whether box proposals are searched for in the stored picture."""

    audio_rate: int = 0
    audio_seconds: float = 0.0
    frames: int = 0
    proposals: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """The companions that are made, in fixed order."""
        chosen = {CONTEXT: self.audio_rate > 0, FRAMES: self.frames > 0, PROPOSALS: self.proposals}
        return tuple(kind for kind, made in chosen.items() if made)


NOTHING = Wanted()


def kind_of(member: str) -> str | None:
    """The companion a member belongs to; None for the members of the shard itself."""
    kind = member.partition(".")[0]
    return kind if kind in MADE_BY and member != "frame.jpg" else None


def companion_name(kind: str, shard: int) -> str:
    """File name of the companion of a shard."""
    return f"{kind}-{shard:06d}.tar"


def companion_manifest(kind: str) -> str:
    """File name of a companion's manifest."""
    return f"{kind}.parquet"


def companion_members(
    content: bytes | Path, sound: bytes | Path | None, clip: "DecodedClip", wanted: Wanted, short_side: int
) -> dict[str, bytes]:
    """The members of all companions that are wanted, by name. `sound`: the second file of a clip without a video.

    Raises Rejected as decoding does.
    """
    members: dict[str, bytes] = {}
    if wanted.audio_rate:
        members |= _waveform(content if sound is None else sound, sound is not None, clip, wanted)
    if wanted.frames:
        members |= _frames(content if sound is None else None, clip, wanted.frames, short_side)
    if wanted.proposals:
        from pipeline.decoder_process import encode_npy

        members[BOXES] = encode_npy(selective_search(clip.frame))
    return members


# --- waveform --------------------------------------------------------------------------------------------------------


def _waveform(content: bytes | Path, apart: bool, clip: "DecodedClip", wanted: Wanted) -> dict[str, bytes]:
    """What the recording has of the seconds around the moment: nothing is padded or repeated, the start is written."""
    from pipeline.media_file import MediaFile
    from pipeline.media_pair import SoundFile

    start = max(0.0, clip.moment - wanted.audio_seconds / 2)
    end = min(clip.duration, clip.moment + wanted.audio_seconds / 2)
    with SoundFile(content) if apart else MediaFile(content) as media:
        span = media.sound_between(start, wanted.audio_rate, round((end - start) * wanted.audio_rate))
    samples = span.samples[span.first : span.last]
    facts = {
        "rate": wanted.audio_rate,
        "samples": len(samples),
        "start": round(start + span.first / wanted.audio_rate, 6),
    }
    return {WAVEFORM: encode_flac(samples, wanted.audio_rate), WAVEFORM_FACTS: _json(facts)}


def encode_flac(samples: "np.ndarray", rate: int) -> bytes:
    """float32 (T,) mono in [-1, 1] as 16-bit FLAC; louder samples are clipped. Equal input gives equal bytes."""
    import av
    import numpy as np
    from av.codec.context import Flags

    buffer = io.BytesIO()
    whole = np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
    with av.open(buffer, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=rate, layout="mono", format="s16")
        stream.codec_context.flags |= Flags.bitexact
        frame = av.AudioFrame.from_ndarray(whole[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux([*(stream.encode(frame) if len(whole) else ()), *stream.encode(None)])
    return buffer.getvalue()


def decode_flac(content: bytes) -> "np.ndarray":
    """16-bit mono FLAC -> float32 (T,) in [-1, 1]."""
    import av
    import numpy as np

    with av.open(io.BytesIO(content), format="flac") as container:
        pieces = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    whole = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return whole.astype(np.float32) / FULL_SCALE


# --- pictures --------------------------------------------------------------------------------------------------------


def _frames(content: bytes | Path | None, clip: "DecodedClip", count: int, short_side: int) -> dict[str, bytes]:
    """`count` pictures in the middles of equal parts of the clip; a clip without a video has its one picture."""
    from pipeline.decoder_process import encode_jpeg
    from pipeline.media_file import MediaFile

    if content is None:
        seconds, pictures = [clip.moment], [clip.frame]
    else:
        with MediaFile(content) as media:
            shown = [media.picture_at((part + 0.5) * clip.duration / count, short_side) for part in range(count)]
        seconds, pictures = [picture.seconds for picture in shown], [picture.pixels for picture in shown]
    members = {f"frames.{number:03d}.jpg": encode_jpeg(pixels) for number, pixels in enumerate(pictures)}
    return members | {FRAME_FACTS: _json({"seconds": [round(each, 6) for each in seconds]})}


def _json(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


# --- proposals -------------------------------------------------------------------------------------------------------


def check_proposals() -> None:
    """InputError when the library that searches is not there."""
    try:
        from cv2.ximgproc import segmentation

        segmentation.createSelectiveSearchSegmentation  # noqa: B018  # absent from OpenCV without its contrib modules
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"--proposals needs OpenCV with its contrib modules ({error}). Install this project with its extra: "
            "pip install 'sound-source-localization[proposals]'."
        ) from error


def selective_search(picture: "np.ndarray") -> "np.ndarray":
    """uint8 (H, W, 3) RGB -> float32 (n, 4): x1, y1, x2, y2 as fractions of the picture, at most 2000, best first.

    Selective Search (Uijlings et al., IJCV 2013), OpenCV's fast setting. It ranks with the C library's random numbers,
    so these start anew for every picture.
    """
    import cv2
    import numpy as np
    from cv2.ximgproc import segmentation

    cv2.setNumThreads(1)
    ctypes.CDLL(None).srand(0)
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(picture[:, :, ::-1]))
    search.switchToSelectiveSearchFast()
    boxes = np.asarray(search.process(), np.float32).reshape(-1, 4)[:MOST_PROPOSALS]
    boxes[:, 2:] += boxes[:, :2]
    height, width = picture.shape[:2]
    return boxes / np.array([width, height, width, height], np.float32)
