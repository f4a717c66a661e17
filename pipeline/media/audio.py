"""From audio frames to a mono span at the rate that is asked for, every sample at its own time.

Used by `media_file`. Frames are laid down at their presentation time, so a late start or a hole stays where it is and
the offset between sound and image is kept; channels are mixed, and the span is resampled once, as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.filter import Graph

from pipeline.shards.record import Rejected

MARGIN = 0.08  # seconds decoded on either side for the resampling filter; whole samples at all common rates
MAX_RATE = 768_000  # Hz; the highest that is recorded with. A header may claim billions, and memory follows it
JITTER = 0.05  # seconds between a frame's stated time and the end of the one before that still count as continuous
_INTEGER_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}
_CHANNEL_WEIGHT = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
_OTHER_CHANNEL_WEIGHT = 0.5


@dataclass(frozen=True)
class AudioSpan:
    """Mono float32 samples of a span. Samples [first, last) come from the file, those outside are zero.

    `hole` is how many seconds between them are missing, `errors` how many packets of the span failed to decode,
    `data_end` where the sound stops in seconds when the data ended before the span did, else None.
    """

    samples: np.ndarray
    first: int
    last: int
    hole: float
    errors: int
    data_end: float | None


class AudioCollector:
    """Collects the frames of [start, start + seconds), in seconds of the presented timeline."""

    def __init__(self, start: float, seconds: float) -> None:
        self.start, self.seconds = start, seconds
        self.errors = 0
        self.ended = False
        self.reached: float | None = None  # where the sound laid down so far ends
        self.begun: float | None = None  # when the first frame seen starts, inside the span or not
        self._rate = 0
        self._next = 0
        self._batch, self._batched = av.AudioFifo(), 0  # and the samples in it
        self._batch_start, self._batch_kind = 0, ("", "")
        self._pieces: list[tuple[int, np.ndarray]] = []

    @property
    def is_full(self) -> bool:
        return self.reached is not None and self.reached >= self.start + self.seconds + MARGIN

    def add(self, frame: av.AudioFrame, seconds: float | None) -> None:
        """Lay a frame down at its time, or right after the one before when its time is unknown or only jitters."""
        rate, samples = frame.sample_rate, frame.samples  # a clip has hundreds of frames, and PyAV's properties cost
        if rate != self._rate:
            self._begin(rate)
        position = self._next if seconds is None else round((seconds - self.start + MARGIN) * self._rate)
        if self._has_audio and abs(position - self._next) <= JITTER * self._rate:
            position = self._next
        if self.begun is None:
            self.begun = seconds if seconds is not None else 0.0
        if position + samples > 0:
            self._append(frame, position)
            self._batched += samples
        self._next = position + samples
        self.reached = self._next / self._rate + self.start - MARGIN

    def _begin(self, rate: int) -> None:
        if self._rate:
            raise Rejected("corrupt", f"the sound changes from {self._rate} to {rate} Hz")
        check_rate(rate)
        self._rate = rate

    @property
    def _has_audio(self) -> bool:
        """Whether a frame was laid down yet: the first one goes by its own time, wherever decoding began."""
        return bool(self._batched or self._pieces)

    def _append(self, frame: av.AudioFrame, position: int) -> None:
        kind = frame.layout.name, frame.format.name  # the queue itself would read channels that are not there
        if position != self._next or kind != self._batch_kind:
            self._finish_batch()
        if not self._batched:
            self._batch_start, self._batch_kind = position, kind
        frame.pts = None  # the queue insists on times of its own counting
        self._batch.write(frame)

    def _finish_batch(self) -> None:
        if self._batched:
            self._pieces.append((self._batch_start, _mixed(self._batch.read())))
            self._batch, self._batched = av.AudioFifo(), 0

    def resampled(self, rate: int, count: int) -> AudioSpan:
        """`count` samples from `start` on at `rate` Hz."""
        self._finish_batch()
        data_end = self.reached if self.ended else None
        if not self._pieces:
            return AudioSpan(np.zeros(count, np.float32), 0, 0, 0.0, self.errors, data_end)
        buffer = np.zeros(round((self.seconds + 2 * MARGIN) * self._rate), np.float32)
        for position, piece in self._pieces:
            inside = slice(max(0, position), max(0, position + len(piece)))
            buffer[inside] = piece[max(0, -position) :][: max(0, len(buffer) - inside.start)]
        if not np.isfinite(buffer).all():
            raise Rejected("corrupt", "the sound decodes to values that are no numbers")
        first, last, hole = self._extent(rate, count)
        covered = resample(buffer, self._rate, rate)[round(MARGIN * rate) :][first:last]
        samples = np.zeros(count, np.float32)
        samples[first : first + len(covered)] = covered
        return AudioSpan(samples, first, last, hole, self.errors, data_end)

    def _extent(self, rate: int, count: int) -> tuple[int, int, float]:
        """First and last output sample that come from the file, and the seconds missing between them."""
        length, margin = round(self.seconds * self._rate), round(MARGIN * self._rate)
        edges = [
            (min(length, max(0, place - margin)), min(length, max(0, place - margin + len(piece))))
            for place, piece in self._pieces
        ]
        inside = [(begin, end) for begin, end in edges if begin < end]
        if not inside:
            return 0, 0, 0.0
        begin, end = min(begin for begin, _ in inside), max(end for _, end in inside)
        first, last = round(begin / self._rate * rate), min(count, round(end / self._rate * rate))
        return first, last, (end - begin - sum(stop - start for start, stop in inside)) / self._rate


def check_rate(rate: int) -> None:
    """Bound what a small file can make us allocate. Raises Rejected."""
    if rate > MAX_RATE:
        raise Rejected("corrupt", f"its sound claims {rate} samples a second; none has more than {MAX_RATE}")


def mixing_weights(channels: Sequence[str]) -> np.ndarray:
    """float32 (channels,), sum 1: the mean of mono, stereo and unknown layouts, the usual down-mix of surround sound.

    Surround (ITU-R BS.775): centre 1, front left and right 0.707, all others 0.5, low-frequency effects left out.
    """
    weights = np.array([_CHANNEL_WEIGHT.get(name, _OTHER_CHANNEL_WEIGHT) for name in channels], np.float32)
    return weights / weights.sum() if weights.any() else np.full(len(channels), 1 / len(channels), np.float32)


def _mixed(frame: av.AudioFrame) -> np.ndarray:
    """float32 (samples,), full scale 1, of a frame of any layout and sample type."""
    weights = mixing_weights([channel.name for channel in frame.layout.channels])
    return _to_float(weights, _channels_first(frame))


def _channels_first(frame: av.AudioFrame) -> np.ndarray:
    """(channels, samples) in the frame's own sample type; interleaved frames come as one row."""
    samples = frame.to_ndarray()
    channels = frame.layout.nb_channels
    return samples if samples.shape[0] == channels else samples.reshape(-1, channels).T


def _to_float(weights: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Mix (channels, samples) of any sample type to float32 (samples,), full scale 1."""
    kind = samples.dtype.str[1:]
    if scale := _INTEGER_SCALE.get(kind):
        samples = (samples.astype(np.float32) - (scale if kind == "u1" else 0.0)) / np.float32(scale)
    return np.einsum("c,cn->n", weights, samples.astype(np.float32, copy=False))  # `@` would start BLAS threads


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """float32 (n,) at `rate` Hz to `wanted` Hz in one call of libswresample; sample 0 keeps its time."""
    if rate == wanted:
        return samples
    graph = Graph()
    graph.threads = 1  # av.AudioResampler starts a pool of threads for every call
    source = graph.add("abuffer", sample_rate=str(rate), sample_fmt="flt", channel_layout="mono", time_base=f"1/{rate}")
    graph.link_nodes(source, graph.add("aresample", str(wanted)), graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = rate
    graph.push(frame)
    graph.push(None)
    return np.concatenate([piece.to_ndarray()[0] for piece in _pulled(graph)])


def _pulled(graph: Graph) -> Iterator[av.AudioFrame]:
    while True:
        try:
            yield graph.pull()
        except av.error.EOFError:
            return
