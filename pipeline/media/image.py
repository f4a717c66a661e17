"""From video packets to an upright image: which packet holds the moment, its frame, its place in the world.

Used by `reader`. Frames are chosen by presentation time, never by number: a stream-copied clip hides frames before
its edit list, and frame rates vary.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import atan2, degrees, floor

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from manifests.files.images import LONGEST_SIDE, MOST_PIXELS
from pipeline.media.colours import MATRICES, light_in, samples_needed, seen
from pipeline.media.framing import check_turn
from pipeline.media.side_data import display_matrix
from pipeline.shards.record import Rejected

PACKETS_BEYOND = 8  # read past the moment to tell a still image from a moving one; never decoded
# swscale's faster default darkens an image by one to two of 255
SCALING = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
STANDS_ALONE = (PictureType.NONE, PictureType.I)
CALM_BITS_PER_PIXEL = 0.02  # a moving image spends several times that on every frame between keyframes


@dataclass(frozen=True)
class PacketRun:
    """Packets in decoding order from a keyframe to just beyond a moment (ticks of the stream's time base).

    `target` is the packet of the last image presented at or before the moment, None when there is none; `first` the
    earliest presented one. `passed`: the data go on beyond the moment. `timed`: every packet says when it is shown.
    """

    packets: list[av.Packet]
    moment: int
    target: av.Packet | None
    first: av.Packet | None
    passed: bool
    timed: bool

    @property
    def end(self) -> int | None:
        """Where the last packet's presentation ends, in ticks."""
        return max((p.pts + (p.duration or 0) for p in self.packets if p.pts is not None), default=None)

    def is_calm(self, ticks_per_second: float, pixels: int) -> bool:
        """So few bits around the moment that the image may stand still, or none that begins in the second before it;
        only a comparison of pixels can say."""
        since = self.moment - ticks_per_second
        if not any(p.pts is not None and since < p.pts <= self.moment for p in self.packets):
            return True
        sizes = [p.size for p in self.packets if not p.is_keyframe and p.pts is not None and p.pts > since]
        return not sizes or 8 * sum(sizes) / len(sizes) < CALM_BITS_PER_PIXEL * pixels

    @property
    def is_guessed(self) -> bool:
        """Whether two images are shown at once: no writer means that."""
        return len({packet.pts for packet in self.packets}) < len(self.packets)


@dataclass(frozen=True)
class ShownFrame:
    """The image presented at a moment, uint8 (H, W, 3) RGB, upright, with square pixels.

    `seconds` is when its presentation began; `source_width` and `source_height` are its upright size before it was
    reduced; `data_end` is where the last image ends when the data stop before the moment, else None; `calm` says
    that so few bits are spent around the moment that the image may be standing still.
    """

    pixels: np.ndarray
    seconds: float
    source_width: int
    source_height: int
    data_end: float | None
    calm: bool


def read_packet_run(packets: Iterable[av.Packet], moment: int) -> PacketRun:
    """Read on from a seek: skip to the last keyframe before the moment, or else the first, then keep packets until none
    that follows can matter."""
    kept: list[av.Packet] = []
    target: av.Packet | None = None
    first: av.Packet | None = None
    latest = earliest = beyond = 0  # ticks of target and first
    for packet in packets:
        if not packet.size or not (kept or packet.is_keyframe):
            continue
        if packet.pts is None:
            return PacketRun([*kept, packet], moment, None, None, passed=False, timed=False)
        if packet.is_keyframe and packet.pts <= moment and not packet.is_discard:
            kept = []
        kept.append(packet)
        if not packet.is_discard:  # discarded packets are the edit list's pre-roll: decoded, never presented
            if first is None or packet.pts < earliest:
                first, earliest = packet, packet.pts
            if packet.pts <= moment and (target is None or packet.pts > latest):
                target, latest = packet, packet.pts
        beyond += packet.dts is not None and packet.dts > moment and first is not None
        if beyond >= PACKETS_BEYOND:
            break
    return PacketRun(kept, moment, target, first, passed=beyond > 0, timed=True)


def is_dated_by_decoding(packets: Sequence[av.Packet]) -> bool:
    """Whether packets in a row give times in the order of decoding, though their images may be shown in another."""
    times = [packet.pts for packet in packets if packet.pts is not None]
    is_ascending = len(times) == len(packets) > 2 and times == sorted(times)
    return is_ascending and bool(packets[0].stream.codec_context.has_b_frames)


def decode_packet(codec: av.VideoCodecContext, run: PacketRun, wanted: av.Packet) -> av.VideoFrame | None:
    """The frame of one packet of a run, skipping every frame that no other depends on; bit-exact with a full decode.

    None when no frame carries the packet's time (hidden frames of VP8), or when the run begins with what only the
    container calls a keyframe. Raises Rejected when decoding fails on the way.
    """
    codec.skip_frame = "NONREF"
    for packet in run.packets:
        if packet is wanted:
            codec.skip_frame = "DEFAULT"
        for frame in decoded(codec, packet):
            if frame.pts == run.packets[0].pts and frame.pict_type not in STANDS_ALONE:
                return None
            if frame.pts == wanted.pts:
                return frame
        if packet is wanted:
            break
    return next((frame for frame in decoded(codec, None) if frame.pts == wanted.pts), None)


def refuse(failure: Rejected) -> None:
    """What is done about a packet that cannot be decoded, unless the caller knows better."""
    raise failure


def decode_all(
    codec: av.VideoCodecContext, packets: Iterable[av.Packet], failed: Callable[[Rejected], None] = refuse
) -> Iterator[av.VideoFrame]:
    """Every frame in presentation order, nothing skipped. `failed` is told of every packet that cannot be decoded."""
    codec.skip_frame = "DEFAULT"
    for packet in chain((packet for packet in packets if packet.size), [None]):
        try:
            frames = decoded(codec, packet)
        except Rejected as failure:
            failed(failure)
        else:
            yield from frames


def decoded(codec: av.VideoCodecContext, packet: av.Packet | None) -> list[av.VideoFrame]:
    """The frames that a packet, or at its end the decoder, gives out. Raises Rejected when it cannot be decoded."""
    try:
        return codec.decode(packet)
    except av.error.EOFError:  # a decoder that was drained before it had been given anything
        return []
    except av.FFmpegError as error:
        raise Rejected("corrupt", f"the image cannot be decoded: {error.strerror}") from error


def check_size(width: int, height: int) -> None:
    """Bound what a small file can make us allocate. Raises Rejected."""
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise Rejected(
            "too_large", f"an image of {width}x{height} is above {LONGEST_SIDE} a side or {MOST_PIXELS} pixels"
        )


@dataclass(frozen=True)
class Placement:
    """How a decoded frame becomes upright: scaled to (width, height), then its axes swapped, then mirrored left-right,
    then flipped upside down. `source` is its upright (width, height) before it was reduced."""

    width: int
    height: int
    swapped: bool
    mirrored: bool
    flipped: bool
    source: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when it is upright."""
        return (self.height, self.width) if self.swapped else (self.width, self.height)


def placement(frame: av.VideoFrame, aspect: Fraction | None, short_side: int) -> Placement:
    """Where a player puts a frame. aspect: width of a stored pixel over its height. short_side: see
    `MediaFile.frame_at`. Raises Rejected for one too large."""
    check_size(frame.width, frame.height)
    swapped, mirrored, flipped = _orientation(frame)
    width, height = frame.width * float(aspect or 1), float(frame.height)
    scale = min(1.0, short_side / min(width, height)) if short_side else 1.0
    check_size(whole_pixels(width), whole_pixels(height))
    source = (whole_pixels(height), whole_pixels(width)) if swapped else (whole_pixels(width), whole_pixels(height))
    return Placement(whole_pixels(width * scale), whole_pixels(height * scale), swapped, mirrored, flipped, source)


def upright(
    frame: av.VideoFrame, aspect: Fraction | None, short_side: int, scaler: VideoReformatter | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """(H, W, 3) uint8 RGB as a player shows it, and its (width, height) before it was reduced.

    aspect: width of a stored pixel over its height. short_side: see `MediaFile.frame_at`. scaler: one for many frames,
    as a new one takes as long as to scale.
    """
    placed = placement(frame, aspect, short_side)
    light = light_in(frame)
    form = samples_needed(frame.format.name, light)
    samples = _scaled(scaler or VideoReformatter(), frame, placed, form).to_ndarray()
    pixels = seen(samples, light)
    pixels = pixels.transpose(1, 0, 2) if placed.swapped else pixels
    pixels = pixels[:: -1 if placed.flipped else 1, :: -1 if placed.mirrored else 1]
    return np.ascontiguousarray(pixels), placed.source


def _scaled(scaler: VideoReformatter, frame: av.VideoFrame, placed: Placement, form: str) -> av.VideoFrame:
    try:
        return scaler.reformat(frame, placed.width, placed.height, form, interpolation=SCALING, threads=1)
    except av.FFmpegError as error:
        matrix = MATRICES.get(int(frame.colorspace), f"number {int(frame.colorspace)} of ISO/IEC 23091-2")
        message = (
            f"no decoder here turns {frame.format.name} with the colour matrix {matrix} into RGB: {error.strerror}"
        )
        raise Rejected("unreadable", message) from error


def whole_pixels(length: float) -> int:
    """A length rounded to pixels, half up, at least one."""
    return max(1, floor(length + 0.5))


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """(axes swapped, then mirrored left-right, then flipped upside down), from the display matrix; right angles and
    mirrors. Raises Rejected for others."""
    matrix = display_matrix(frame)
    if matrix is None:
        return False, False, False
    (a, b, _), (c, d, _), _ = matrix
    check_turn(degrees(atan2(b, a)))
    if abs(int(b)) > abs(int(a)):
        return True, bool(c < 0), bool(b < 0)
    return False, bool(a < 0), bool(d < 0)
