"""The members that a clip adds to companion tars, by name: its waveform with context, more frames, consecutive ones,
box proposals.

`pipeline.shards.companion` says which there are; the decoder process calls this once per clip, after the record's own
members are made.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.media.decode import DecodedClip
from pipeline.media.proposals import selective_search
from pipeline.media.reader import MediaFile
from pipeline.media.still import AudioFile
from pipeline.media.times import CLOCK_SLACK
from pipeline.shards.codecs import encode_flac, encode_jpeg, encode_npy
from pipeline.shards.companion import BOXES, BURST_FACTS, FRAME_FACTS, WAVEFORM, WAVEFORM_FACTS, Wanted

if TYPE_CHECKING:
    import av
    import numpy as np


def companion_members(
    content: bytes | Path, audio: bytes | Path | None, clip: DecodedClip, wanted: Wanted, short_side: int
) -> dict[str, bytes]:
    """The members of all companions that are wanted, by name. `audio`: the second file of a clip without a video.

    Raises Rejected as decoding does.
    """
    members: dict[str, bytes] = {}
    if wanted.audio_rate:
        members |= _waveform(content if audio is None else audio, audio is not None, clip, wanted)
    if wanted.frames:
        members |= _frames(content if audio is None else None, clip, wanted.frames, short_side)
    if wanted.burst:
        members |= _burst(content if audio is None else None, clip, wanted, short_side)
    if wanted.proposals:
        members[BOXES] = encode_npy(selective_search(clip.frame))
    return members


def _waveform(content: bytes | Path, apart: bool, clip: DecodedClip, wanted: Wanted) -> dict[str, bytes]:
    """What the recording has of the seconds around the moment: nothing is padded or repeated, the start is written.

    Of a sound that was cut off, but not before what the record needs, this is less; the number of samples tells.
    """
    start = max(0.0, clip.moment - wanted.audio_seconds / 2)
    end = min(clip.duration, clip.moment + wanted.audio_seconds / 2)
    with AudioFile(content) if apart else MediaFile(content) as media:
        span = media.audio_between(start, wanted.audio_rate, round((end - start) * wanted.audio_rate))
    samples = span.samples[span.first : span.last]
    facts = {
        "rate": wanted.audio_rate,
        "samples": len(samples),
        "start": round(start + span.first / wanted.audio_rate, 6),
    }
    return {WAVEFORM: encode_flac(samples, wanted.audio_rate), WAVEFORM_FACTS: _json(facts)}


def _frames(content: bytes | Path | None, clip: DecodedClip, count: int, short_side: int) -> dict[str, bytes]:
    """`count` images in the middles of equal parts of the clip; a clip without a video has its one image."""
    if content is None:
        seconds, images = [clip.moment], [clip.frame]
    else:
        with MediaFile(content) as media:
            shown = [media.frame_at((part + 0.5) * clip.duration / count, short_side) for part in range(count)]
        seconds, images = [image.seconds for image in shown], [image.pixels for image in shown]
    members = {f"frames.{number:03d}.jpg": encode_jpeg(pixels) for number, pixels in enumerate(images)}
    return members | {FRAME_FACTS: _json({"seconds": [round(each, 6) for each in seconds]})}


def _burst(content: bytes | Path | None, clip: DecodedClip, wanted: Wanted, short_side: int) -> dict[str, bytes]:
    """Images in steps of 1 / `burst_rate` s, the moment's in the middle (before it, where their number is even); a clip
    without a video has its one image."""
    middle = (wanted.burst - 1) // 2 if content is not None else 0
    if content is None:
        shown = [(clip.moment, clip.frame)]
    else:
        moments = [clip.moment + (number - middle) / wanted.burst_rate for number in range(wanted.burst)]
        with MediaFile(content) as media:
            shown = _shown_at(media, moments, short_side)
    members = {f"burst.{number:03d}.jpg": encode_jpeg(pixels) for number, (_, pixels) in enumerate(shown)}
    facts = {"seconds": [round(seconds, 6) for seconds, _ in shown], "moment": middle}
    return members | {BURST_FACTS: _json(facts)}


def _shown_at(media: MediaFile, moments: Sequence[float], short_side: int) -> "list[tuple[float, np.ndarray]]":
    """What is shown at ascending moments, each with the time since which it is, in one pass from the beginning.

    Packets that fail are passed over, as the moment's own image has decoded.
    """
    waiting, current = deque(moments), list[tuple[float, "av.VideoFrame"]]()
    shown: list[tuple[float, np.ndarray]] = []
    for start, frame in media.frames(lambda _: None):
        while current and waiting and start > waiting[0] + CLOCK_SLACK:
            shown.append((current[0][0], media.pixels(current[0][1], short_side)[0]))
            waiting.popleft()
        if not waiting:
            return shown
        current = [(start, frame)]
    return shown + [(start, media.pixels(frame, short_side)[0]) for start, frame in current for _ in waiting]


def _json(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
