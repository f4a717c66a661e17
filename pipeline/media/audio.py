"""From audio frames to a mono span at the rate that is asked for, every sample at its own time.

Frames are laid down at their presentation time (`settled` says how it is read), so a late start or a hole stays where
it is and the offset between sound and image is kept; channels are mixed, and the span is resampled once, as a whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import cast

import av
import numpy as np
from av.filter import Graph

from pipeline.media.layouts import channel_names, channels_first, mixed
from pipeline.media.settled import AROUND, settled
from pipeline.shards.record import Rejected

MARGIN = 0.08  # seconds decoded on either side for the resampling filter; whole samples at all common rates
MAX_RATE = 768_000  # Hz; the highest that is recorded with. A header may claim billions, and memory follows it
LOWEST_RATE = 100  # Hz; far below any sound, and the resampler fails below 10
MOST_CHANNELS = 64  # ambisonic recordings of the seventh order
BEYOND_FULL_SCALE = 8.0  # mixing and lossy codecs go somewhat beyond 1; integers kept as floats go far beyond it
SIXTEEN_OF_32 = 2.0**-16  # the loudest value of 16 bits where 32 were said, below one step of 16-bit sound
FAINTEST_OF_32 = 2.0**-24  # and what only rounding leaves in a silent recording of 32 bits
LONGEST_PADDING = 0.2  # seconds; what encoders add to fill their last frame is shorter
CONTEXT = MARGIN + AROUND  # seconds on either side of a span whose frames tell where those of the span belong


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


Kind = tuple[int, tuple[str, ...]]  # samples a second, the channels' names


@dataclass(frozen=True)
class _Piece:
    """Samples that lie next to each other: float32 (channels, n), from `position` on, counted from the margin before
    the span. `kind`: rate, channel names."""

    position: int
    kind: Kind
    samples: np.ndarray

    @property
    def rate(self) -> int:
        return self.kind[0]

    @property
    def end(self) -> int:
        return self.position + self.samples.shape[1]

    def until(self, position: int) -> "_Piece":
        return replace(self, samples=self.samples[:, : max(0, position - self.position)])


@dataclass
class _Run:
    """Frames of one kind in the order in which they came: their samples, and how many are of each."""

    kind: Kind
    first: int  # the number of the first of them
    samples: list[np.ndarray]  # which follow one another
    counts: list[int]


@dataclass
class _Batch:
    """The same of PyAV's frames, whose samples are still in a queue: it would read channels that are not there."""

    kind: tuple[int, str, str] = (0, "", "")
    first: int = 0
    queue: av.AudioFifo = field(default_factory=av.AudioFifo)
    counts: list[int] = field(default_factory=list)


class AudioCollector:
    """Collects the frames of [start, start + seconds), in seconds of the presented timeline.

    Rate and layout may change on the way (broadcasts, recordings put end to end): each part is resampled from its own
    rate, and their sum is the span, as a filter of a whole would have it. `step`: seconds of one of the clock that the
    frames' times are of.
    """

    def __init__(
        self, start: float, seconds: float, channels: tuple[str, ...] = (), codec: str = "", step: float = 0.0
    ) -> None:
        self.start, self.seconds, self._codec, self._step = start, seconds, codec, step
        self._ambisonic = channels if "AMBI0" in channels else ()  # what frames may call loudspeakers
        self.errors = 0
        self.ended = False
        self.reached: float | None = None  # where the sound so far ends, as far as its times are right
        self.begun: float | None = None  # when the first frame seen starts, inside the span or not
        self._end: float | None = None  # where what was laid down stops being sound
        self._rate = 0
        self._stated: list[float | None] = []  # of every frame that is kept
        self._lengths: list[float] = []
        self._batch = _Batch()
        self._runs: list[_Run] = []

    @property
    def is_full(self) -> bool:
        return self.reached is not None and self.reached >= self.start + self.seconds + CONTEXT

    def add(self, frame: av.AudioFrame, seconds: float | None) -> None:
        """Keep a frame, which begins at its time, or right after the one before where its time is unknown."""
        rate, samples = frame.sample_rate, frame.samples  # a clip has hundreds of frames, and PyAV's properties cost
        if self._keeps(rate, samples, seconds):
            kind = rate, frame.layout.name, frame.format.name
            if kind != self._batch.kind:
                self._finish_batch()
                self._batch = _Batch(kind, len(self._stated) - 1)
            frame.pts = None  # the queue insists on times of its own counting
            self._batch.queue.write(frame)
            self._batch.counts.append(samples)

    def lay(self, samples: np.ndarray, rate: int, names: tuple[str, ...], seconds: float | None) -> None:
        """As `add`, of float32 (channels, n) that another decoder made."""
        if self._keeps(rate, samples.shape[1], seconds):
            kind = rate, self._heard_as(names)
            if not self._runs or self._runs[-1].kind != kind:
                self._runs.append(_Run(kind, len(self._stated) - 1, [], []))
            self._runs[-1].samples.append(samples)
            self._runs[-1].counts.append(samples.shape[1])

    def _keeps(self, rate: int, samples: int, seconds: float | None) -> bool:
        """Whether a frame lies near the span; then its time is noted."""
        if rate != self._rate:
            check_rate(rate)
            self._rate = rate
        before = self.reached
        begin = seconds if seconds is not None else (self.start - MARGIN if before is None else before)
        self.begun = begin if self.begun is None else self.begun
        self.reached = begin + samples / rate
        if self.reached < self.start - CONTEXT or not samples:
            return False
        self._stated.append(seconds if self._stated else begin)
        self._lengths.append(samples / rate)
        return True

    def skip(self, begin: float, end: float) -> None:
        """Sound of [begin, end) seconds lies too far before the span to be worth decoding."""
        self.begun = begin if self.begun is None else self.begun
        self.reached = end

    def end_at(self, seconds: float) -> None:
        """No more frames follow, and what was laid down after `seconds` is the padding of the last one: where it is too
        long for that, the container is wrong about its end."""
        if self.reached is not None and 0.0 < self.reached - seconds < LONGEST_PADDING:
            self._end = self.reached = seconds

    def _finish_batch(self) -> None:
        batch = self._batch
        if batch.counts:
            frame = cast(av.AudioFrame, batch.queue.read())  # there is one: None stands for an empty queue
            kind = frame.sample_rate, self._heard_as(channel_names(frame.layout))
            self._runs.append(_Run(kind, batch.first, [channels_first(frame)], batch.counts))
            self._batch = _Batch()

    def _heard_as(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return self._ambisonic if len(self._ambisonic) == len(names) else names

    def _pieces(self) -> list[_Piece]:
        """All frames where they belong, those end to end as one."""
        begins = settled(self._stated, self._lengths, self._step)
        pieces: list[_Piece] = []
        for run in self._runs:
            counted = list(accumulate(run.counts, initial=0))
            samples = np.concatenate(run.samples, axis=1) if len(run.samples) > 1 else run.samples[0]
            parts = [number for number in range(len(run.counts)) if not number or run.first + number in begins]
            for number, after in pairwise([*parts, len(run.counts)]):
                position = self._position(run.kind[0], begins.get(run.first + number), pieces)
                pieces.append(_Piece(position, run.kind, samples[:, counted[number] : counted[after]]))
        return pieces if self._end is None else [piece.until(self._place(self._end, piece.rate)) for piece in pieces]

    def _position(self, rate: int, begin: float | None, before: list[_Piece]) -> int:
        """Of a piece that begins at its time, or where none is said right behind the one before."""
        if begin is not None:
            return self._place(begin, rate)
        return round(before[-1].end * rate / before[-1].rate)

    def _place(self, seconds: float, rate: int) -> int:
        return round((seconds - self.start + MARGIN) * rate)

    def resampled(self, rate: int, count: int) -> AudioSpan:
        """`count` samples from `start` on at `rate` Hz."""
        self._finish_batch()
        data_end = self.reached if self.ended else None
        if not self._runs:
            return AudioSpan(np.zeros(count, np.float32), 0, 0, 0.0, self.errors, data_end)
        pieces = self._pieces()
        first, last, hole = self._extent(pieces, rate, count)
        samples = np.zeros(count, np.float32)
        for kind in dict.fromkeys(piece.kind for piece in pieces):
            laid = self._laid_out([piece for piece in pieces if piece.kind == kind])
            covered = resample(laid, kind[0], rate)[round(MARGIN * rate) :][first:last]
            samples[first : first + len(covered)] += covered
        return AudioSpan(samples, first, last, hole, self.errors, data_end)

    def _laid_out(self, pieces: list[_Piece]) -> np.ndarray:
        """Mono float32 of all pieces of a kind at their rate, the margins included; zero where others are."""
        rate, channels = pieces[0].kind
        buffer = np.zeros((len(channels), round((self.seconds + 2 * MARGIN) * rate)), np.float32)
        for piece in pieces:
            inside = slice(max(0, piece.position), max(0, piece.end))
            part = piece.samples[:, max(0, -piece.position) :][:, : max(0, buffer.shape[1] - inside.start)]
            buffer[:, inside.start : inside.start + part.shape[1]] = part
        _check_scale(buffer, self._codec)
        return mixed(buffer, channels)

    def _extent(self, pieces: list[_Piece], rate: int, count: int) -> tuple[int, int, float]:
        """First and last output sample that come from the file, and the seconds missing between them."""
        edges = [
            [min(self.seconds, max(0.0, edge / piece.rate - MARGIN)) for edge in (piece.position, piece.end)]
            for piece in pieces
        ]
        inside = [(begin, end) for begin, end in edges if begin < end]
        if not inside:
            return 0, 0, 0.0
        begin, end = min(begin for begin, _ in inside), max(end for _, end in inside)
        first, last = round(begin * rate), min(count, round(end * rate))
        return first, last, max(0.0, end - begin - sum(stop - start for start, stop in inside))


def check_sound(codec: av.AudioCodecContext) -> None:
    """Bound what a small file can make us allocate, and refuse what no decoder makes sound of. Raises Rejected."""
    check_rate(codec.sample_rate)
    if not 1 <= codec.channels <= MOST_CHANNELS:
        raise Rejected("corrupt", f"its sound claims {codec.channels} channels; there are 1 to {MOST_CHANNELS}")


def check_rate(rate: int) -> None:
    """The same of samples a second alone."""
    if not LOWEST_RATE <= rate <= MAX_RATE:
        said = f"none has more than {MAX_RATE}" if rate > MAX_RATE else f"none has less than {LOWEST_RATE}"
        raise Rejected("corrupt", f"its sound claims {rate} samples a second; {said}")


def _check_scale(samples: np.ndarray, codec: str) -> None:
    """Raise Rejected for samples, of which 1 is the loudest, that are no numbers or of another scale than they say."""
    peak = max(float(samples.max(initial=0)), -float(samples.min(initial=0)))  # NaN where there is one
    if not np.isfinite(peak):
        raise Rejected("corrupt", "the sound decodes to values that are no numbers")
    if peak > BEYOND_FULL_SCALE:
        raise Rejected("corrupt", f"the sound decodes to values up to {peak:g}, where 1 is the loudest")
    if codec.startswith("pcm_s32") and FAINTEST_OF_32 < peak <= SIXTEEN_OF_32:
        raise Rejected("corrupt", f"its samples of 32 bits go up to {peak * 2**31:.0f}, which is 16-bit sound in them")


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
            yield cast(av.AudioFrame, graph.pull())
        except av.error.EOFError:
            return
