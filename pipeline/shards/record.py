"""The shard record: what one clip becomes, and the row that describes it in `manifest.parquet`.

A shard is a WebDataset tar; clip `<key>` has three members, `<key>.frame.jpg`, `<key>.json` and `<key>.spec.npy`
(sorted, fixed mtime, so equal input gives equal bytes). The manifest row holds the byte offset and size of each
member's content inside its tar: any member can be read at random, without reading the shard.
"""

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 1
FRAME, SPECTROGRAM, FACTS = "frame.jpg", "spec.npy", "json"
MEMBERS = (FRAME, FACTS, SPECTROGRAM)

MANIFEST_SCHEMA = pa.schema(
    [
        ("key", pa.string()),  # unique; canonical `<id>_<start:06d>` for VGGSound names
        ("source_id", pa.string()),  # the video the clip was cut from
        ("shard", pa.string()),  # tar file name inside the shard folder
        ("frame_offset", pa.int64()),
        ("frame_size", pa.int64()),
        ("json_offset", pa.int64()),
        ("json_size", pa.int64()),
        ("spec_offset", pa.int64()),
        ("spec_size", pa.int64()),
        ("label", pa.string()),  # null when unknown
        ("split", pa.string()),  # "train", "test", ... as the corpus says; null when it does not
        ("duration", pa.float64()),  # seconds of the whole clip
        ("moment", pa.float64()),  # presentation time of the stored frame, seconds after the clip's start
        ("width", pa.int32()),  # stored frame, pixels
        ("height", pa.int32()),
        ("flags", pa.list_(pa.string())),  # any of FLAGS, sorted
        ("source_path", pa.string()),  # relative to --src, `archive.tar!member` inside an archive
        ("source_sha256", pa.string()),
    ]
)

REJECT_SCHEMA = pa.schema(
    [("path", pa.string()), ("stage", pa.string()), ("reason", pa.string()), ("message", pa.string())]
)

SILENT, STATIC, SHORT, TILED, PADDED = "silent", "static", "short", "tiled", "padded"
FLAGS = {
    SILENT: "the sound of the spectrogram is digital silence",
    STATIC: "the image does not change around the moment",
    SHORT: "the clip is shorter than the spectrogram's sound",
    TILED: "sound was repeated to fill the spectrogram",
    PADDED: "part of the spectrogram has no sound and was left silent",
}

REASONS = {
    "unreadable": "no decoder opens the file",
    "no_video": "the file has no moving image",
    "no_audio": "the file has no sound",
    "corrupt": "decoding fails at the moment that is needed",
    "too_large": "its image is larger than any this project decodes",
    "too_short": "shorter than the shortest clip accepted",
    "decoder_crash": "the decoder took its process down",
    "timeout": "decoding did not end within the time allowed",
    "duplicate": "another file with the same key was taken",
    "refused": "a link or an archive path that leads out of the source folder, or an archive member too large to hold",
}


class Rejected(Exception):
    """One clip cannot become a record. `reason` is one of REASONS, `message` says what was seen."""

    def __init__(self, reason: str, message: str) -> None:
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Member:
    """Where a member's content lies inside its tar, in bytes."""

    offset: int
    size: int
