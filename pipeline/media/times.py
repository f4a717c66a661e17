"""When a frame is shown: one rule for ingest and for overlays, and which containers can be asked after a seek.

Only some containers store when each image is shown (mp4, Matroska). Others store it now and then (MPEG program and
transport streams) or only the order of decoding (AVI, ASF, MXF): there the demuxer guesses, and after a seek it guesses
anew. Such files are read from their beginning, and where only the order of decoding is known, an image is shown when
the decoder, given everything before it, gives it out: decoders put images in order.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import av

TRUE_AFTER_SEEK = ("mov", "matroska", "wav")
DECODING_ORDER_ONLY = ("avi", "asf", "mxf")
HELD_FRAMES = 8  # how far back a time that proves wrong is corrected

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


def unguessed(packet: av.Packet) -> av.Packet:
    """A packet of a stream of which only the order of decoding is known, without the time that the demuxer guessed."""
    packet.pts = None if packet.stream.codec_context.has_b_frames else packet.dts
    return packet


def presented(
    frames: Iterable[av.VideoFrame], seconds: Callable[[int], float], interval: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Every frame of a full decode with the second at which it is shown; seconds never decrease.

    frames: in the order of the decoder. seconds: the second of a tick. interval: between frames of unknown time. A
    frame without a time of presentation has that of the packet that gave it out, the last ones follow in equal steps. A
    time that is not before those of later frames is wrong: it is laid between its neighbours.
    """
    held: deque[Shown] = deque()
    given = float("-inf")  # when the last frame given out is shown
    for frame in frames:
        held = _in_order(held, _time(frame, held, given, seconds, interval), frame, given)
        if len(held) > HELD_FRAMES:
            given = held[0][0]
            yield held.popleft()
    yield from held


def _time(
    frame: av.VideoFrame, held: deque[Shown], given: float, seconds: Callable[[int], float], interval: float
) -> float:
    ticks = frame.dts if frame.pts is None else frame.pts
    time = None if ticks is None else seconds(ticks)
    if time is not None and time > given:
        return time
    last = held[-1][0] if held else given  # no time, or a clock that starts anew: frames follow each other
    return 0.0 if last == float("-inf") else last + interval


def _in_order(held: deque[Shown], time: float, frame: av.VideoFrame, given: float) -> deque[Shown]:
    """The frames held, and a new one behind them: times before `time` stay, the others are spread out before it."""
    sure = [shown for shown in held if shown[0] < time]
    wrong = list(held)[len(sure) :]
    begin = sure[-1][0] if sure else max(given, time - 1.0)
    step = (time - begin) / (len(wrong) + 1)
    spread = [(begin + step * place, late) for place, (_, late) in enumerate(wrong, 1)]
    return deque([*sure, *spread, (time, frame)])
