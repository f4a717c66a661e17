"""When a frame is shown: one rule for ingest and for overlays, and which containers can be asked after a seek.

Only some containers store when each image is shown (mp4, Matroska). Others store it now and then (MPEG program and
transport streams) or only the order of decoding (AVI, ASF, MXF; MP4 and MOV into which an AVI was copied): there the
demuxer guesses, and after a seek it guesses anew. Such files are read from their beginning, and where only the order of
decoding is known, an image is shown when the decoder, given everything before it, gives it out: decoders put images in
order. Where some images have a time and others have none, those follow in equal steps.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from statistics import median

import av

TRUE_AFTER_SEEK = ("mov", "matroska", "wav")
DECODING_ORDER_ONLY = ("avi", "asf", "mxf")
AT_ONCE = ("mxf",)  # of those, the ones whose first image is shown at the start, however late the decoder gives it out
SHARED_TIMES = ("mpeg",)  # one time may stand for several images
CLOCK_END_STATED = ("matroska", "asf", "nut", "wtv", "ogg")  # may say what the clock shows at the end as their length
ANEW_SECONDS = 0.2  # a clock that goes back by more begins anew
HOLE = 5  # so many steps are no wrong time of decoding any more
HELD_FRAMES = 8  # how far back a time that proves wrong is corrected
CLOCK_SLACK = 1e-5  # containers count microseconds: a frame at 5.0 s is one at or before 5.0 s

Shown = tuple[float, av.VideoFrame]


def kind_of(container: av.container.InputContainer) -> str:
    """The first of the format's names, as ffmpeg's `-f` takes it."""
    return container.format.name.split(",")[0]


def tells_decoding_order_only(container: av.container.InputContainer, video: av.VideoStream) -> bool:
    """Whether the container stores no time of presentation. Matroska does, but for streams taken over from an AVI."""
    kind = kind_of(container)
    as_in_avi = kind == "matroska" and video.codec_context.codec_tag.strip("\0") != ""
    return kind in DECODING_ORDER_ONLY or as_in_avi


def is_true_after_seek(container: av.container.InputContainer, *videos: av.VideoStream) -> bool:
    """Whether packets carry the same times after a seek as in a pass from the beginning."""
    return kind_of(container) in TRUE_AFTER_SEEK and not any(
        tells_decoding_order_only(container, video) for video in videos
    )


def unguessed(
    container: av.container.InputContainer,
    packets: Iterable[av.Packet],
    videos: Iterable[av.VideoStream],
    shifts: dict[int, int] | None,
) -> Iterator[av.Packet]:
    """Packets of a container without the times that its demuxer guessed; some are of these streams of images.

    shifts: by number of a stream, how many ticks later than its clock says its packets come by now; filled in here.
    None where no clock begins anew.
    """
    guessing = [video for video in videos if tells_decoding_order_only(container, video)]
    packets = packets if shifts is None else _end_to_end(packets, shifts)
    for packet in _once_each(packets) if kind_of(container) in SHARED_TIMES else packets:
        if packet.stream in guessing:
            packet.pts = None if packet.stream.codec_context.has_b_frames else packet.dts
        yield packet


def undated(packet: av.Packet) -> av.Packet:
    """A packet of which only the time of decoding is believed."""
    packet.pts = None
    return packet


def may_begin_anew(container: av.container.InputContainer) -> bool:
    """Whether files of this format are read on where another one of it was put behind."""
    return kind_of(container) not in TRUE_AFTER_SEEK


def _end_to_end(packets: Iterable[av.Packet], shifts: dict[int, int]) -> Iterator[av.Packet]:
    """Recordings put end to end whose clocks begin anew each time: the next goes on where the one before ended."""
    ends: dict[int, int] = {}
    shown: dict[int, int] = {}  # where presentation ends; a clock of decoding may be a guess
    for packet in packets:
        number, shift = packet.stream_index, shifts.get(packet.stream_index, 0)
        if packet.dts is not None:
            end = ends.get(number, packet.dts + shift)
            if float((end - shift - packet.dts) * packet.time_base) > ANEW_SECONDS:
                shift = end - packet.dts
                shift = max(shift, shown[number] - packet.pts) if number in shown and packet.pts is not None else shift
                shifts[number] = shift
            packet.dts += shift
            ends[number] = packet.dts + (packet.duration or 0)
        if packet.pts is not None:
            packet.pts += shift
            shown[number] = max(packet.pts + (packet.duration or 0), shown.get(number, packet.pts))
        yield packet


def _once_each(packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
    """Of two images in a row of one time, the first ended in the packet of the system where the second begins: the time
    there is the second's."""
    held: av.Packet | None = None
    for packet in packets:
        if held is not None:
            if held.stream is packet.stream and (held.pts, held.dts) == (packet.pts, packet.dts):
                held.pts = held.dts = None
            yield held
        held = packet
    if held is not None:
        yield held


@dataclass(frozen=True)
class Clock:
    """How the times of a stream's frames are read.

    seconds: the second of a tick. interval: between frames of which nothing is known. by_decoding: a frame without a
    time of presentation has that of the packet that gave it out. start: when the first frame is shown, None where that
    is its own time.
    """

    seconds: Callable[[int], float]
    interval: float
    by_decoding: bool
    start: float | None = None


def clock_of(container: av.container.InputContainer, video: av.VideoStream, seconds: Callable[[int], float]) -> Clock:
    """How a stream's times are read."""
    start = seconds(video.start_time or 0) if kind_of(container) in AT_ONCE else None
    return Clock(seconds, 1 / float(rate_of(video)), tells_decoding_order_only(container, video), start)


def rate_of(video: av.VideoStream) -> Fraction:
    """Images a second; 25 where the file does not say."""
    return video.average_rate or Fraction(25)


def presented(frames: Iterable[av.VideoFrame], clock: Clock) -> Iterator[Shown]:
    """Every frame of a full decode, in the decoder's order, with the second at which it is shown; seconds never
    decrease. A time that is not before those of later frames is wrong: it is laid between its neighbours."""
    late: float | None = None if clock.start is not None else 0.0  # how late the decoder gives the first one out
    for time, frame in _in_order(frames, clock):
        late = time - (clock.start or 0.0) if late is None else late
        yield time - late, frame


def _in_order(frames: Iterable[av.VideoFrame], clock: Clock) -> Iterator[Shown]:
    held: deque[Shown] = deque()
    given = float("-inf")  # when the last frame given out is shown
    for frame in frames:
        held = _spread(held, _time(frame, held, given, clock), frame, given, clock)
        if len(held) > HELD_FRAMES:
            given = held[0][0]
            yield held.popleft()
    yield from held


def _time(frame: av.VideoFrame, held: deque[Shown], given: float, clock: Clock) -> float:
    last = held[-1][0] if held else given
    is_first = last == float("-inf")
    ticks = frame.dts if frame.pts is None and (is_first or clock.by_decoding) else frame.pts
    time = None if ticks is None else clock.seconds(ticks)
    if time is not None and time > given:
        return time
    return 0.0 if is_first else _following(frame, last, _step(held, clock), clock)


def _following(frame: av.VideoFrame, last: float, step: float, clock: Clock) -> float:
    """Of a frame that has no time, or one of a clock that starts anew: a step later, or where decoding shows a hole."""
    if frame.pts is None and frame.dts is not None and (time := clock.seconds(frame.dts)) - last > HOLE * step:
        return time
    return last + step


def _step(held: deque[Shown], clock: Clock) -> float:
    """From one frame to the next, as it was lately."""
    steps = [late - early for (early, _), (late, _) in pairwise(held)]
    return median(steps) if steps else clock.interval


def _spread(held: deque[Shown], time: float, frame: av.VideoFrame, given: float, clock: Clock) -> deque[Shown]:
    """The frames held, and a new one behind them: where some are not before `time`, they are laid in equal steps."""
    count = sum(shown[0] < time for shown in held)  # whose times may be right
    if count == len(held):
        held.append((time, frame))
        return held
    step = _step(held, clock)
    reaches = [abs(held[place][0] + step * (len(held) - place) - time) < step / 4 for place in range(count)]
    count = next((place + 1 for place in reversed(range(count)) if reaches[place]), count)
    begin = held[count - 1][0] if count else max(given, time - 1.0)
    step = (time - begin) / (len(held) - count + 1)
    moved = [(begin + step * place, late) for place, (_, late) in enumerate(list(held)[count:], 1)]
    return deque([*list(held)[:count], *moved, (time, frame)])


@dataclass(frozen=True)
class Place:
    """Which frame of a full decode is shown at a moment: its number from 0 on, its second, whether none follows it."""

    number: int
    seconds: float
    is_last: bool


def places(frames: Iterable[Shown], moments: Sequence[float]) -> list[Place]:
    """The place of each moment; the first frame where none was shown by then. Empty when there are no frames."""
    found: list[Place] = []
    for number, (start, _) in enumerate(frames):
        if not found:
            found = [Place(0, start, is_last=True)] * len(moments)
            continue
        reached = [start <= moment + CLOCK_SLACK for moment in moments]
        found = [
            Place(number, start, is_last=True) if now else replace(before, is_last=False)
            for now, before in zip(reached, found, strict=True)
        ]
        if not any(reached):
            break
    return found
