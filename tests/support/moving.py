"""Videos that PyAV writes in any container and codec, of images that carry their number, and what a decode shows."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np

from pipeline.media.ffmpeg import binary

FPS = 30
AUDIO = {
    "avi": "pcm_s16le", "mxf": "pcm_s16le", "asf": "wmav2", "webm": "libopus", "ogg": "libopus",
    "mp4": "aac", "mov": "aac", "3gp": "aac", "matroska": "aac", "flv": "aac",
}  # fmt: skip
CODECS = {  # with how many B-frames each is written, and whether groups of images may be open
    "libx264": ((0, 2, 3), True), "libx265": ((0, 3), True), "mpeg4": ((0, 2), True), "mpeg2video": ((0, 2), True),
    "mpeg1video": ((0, 2), True), "mjpeg": ((0,), False), "libvpx": ((0,), False), "libvpx-vp9": ((0,), False),
    "flv": ((0,), False), "wmv2": ((0,), False), "msmpeg4": ((0,), False), "h263p": ((0,), False),
    "prores_ks": ((0,), False), "ffv1": ((0,), False),
}  # fmt: skip
CONTAINERS = (
    "avi", "mp4", "mov", "3gp", "matroska", "webm", "mpegts", "mpeg", "vob", "flv", "asf", "ogg", "nut", "mxf", "wtv",
)  # fmt: skip
NOT_OF_THE_FORMAT = {  # what muxers write and the container's specification does not know
    ("vob", "libx264"): "a DVD's program stream holds MPEG-1 and MPEG-2 only",
    ("wtv", "wmv2"): "TV of MPEG's codecs: what WMV needs beside its images is not stored",
    ("wtv", "ffv1"): "TV of MPEG's codecs: what FFV1 needs beside its images is not stored",
}
# What muxers do not write though the format wants it, so that the file does not say when the first image after a hole
# is shown. A program stream must state its time (H.222.0, 2.7.5): it gets into one packet with those before the hole,
# under their time. A page of Ogg says the time of its last image, from which the others are counted: a hole needs a
# page's end.
WITHOUT_HOLES = ("mpeg", "vob", "ogg")
COUNTED = ("mxf",)  # holds images at a fixed rate from its start on, and no times
GUESSED = 2e-3  # seconds beside the regular time: beyond it is no rounding
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}


@dataclass(frozen=True)
class Form:
    """How a video is written. `gap`: two seconds without an image."""

    container: str
    codec: str
    b_frames: int = 0
    is_open: bool = False
    gop: int = 12
    gap: bool = False

    def __str__(self) -> str:
        group = "open" if self.is_open else "closed"
        return f"{self.container}-{self.codec}-b{self.b_frames}-{group}{self.gop}{'-gap' * self.gap}"

    @property
    def numbers(self) -> list[int]:
        """The images' numbers, which are their times as well."""
        return [*range(50), *range(110, 170)] if self.gap else list(range(130))

    @property
    def options(self) -> dict[str, str]:
        common = f"keyint={self.gop}:min-keyint={self.gop}:scenecut=0:bframes={self.b_frames}:b-adapt=0"
        common += f":open-gop={int(self.is_open)}"
        match self.codec:
            case "libx264":
                return {"x264-params": common, "preset": "ultrafast"}
            case "libx265":
                return {"x265-params": f"{common}:log-level=none:pools=none", "preset": "ultrafast"}
            case "mpeg4" | "mpeg2video" | "mpeg1video":
                closed = {} if self.is_open else {"flags": "+cgop"}
                return {"bf": str(self.b_frames), "g": str(self.gop), "sc_threshold": "1000000000", **closed}
        return {"g": str(self.gop)}


def every_form() -> Iterator[Form]:
    for container in CONTAINERS:
        for codec, (b_frames, may_be_open) in CODECS.items():
            if (container, codec) in NOT_OF_THE_FORMAT:
                continue
            for count in b_frames:
                for is_open in (False, True) if count and may_be_open else (False,):
                    for gop in (12, 60):
                        holes = (False,) if container in WITHOUT_HOLES else (False, True)
                        yield from (Form(container, codec, count, is_open, gop, gap) for gap in holes)


@dataclass(frozen=True)
class Part:
    """Where in a longer recording a video stands: the number of its first image, its clock's start in seconds (whole
    images), and its sound."""

    first: int = 0
    begin: float = 0.0
    rate: int | None = None
    hertz: float = 440.0


def write(path: Path, form: Form, clips: ModuleType, part: Part = Part(), **options: str) -> None:
    """options: of the muxer. Raises av.FFmpegError or ValueError where the container does not take the codec."""
    rate = part.rate or (48000 if form.container in ("webm", "ogg", "mxf") else 44100)
    with av.open(str(path), "w", format=form.container, container_options=options) as out:
        video = out.add_stream(form.codec, rate=FPS, options=form.options)
        video.width, video.height = clips.WIDTH, clips.HEIGHT
        video.pix_fmt = PIXELS.get(form.codec, "yuv420p")
        video.codec_context.bit_rate = 2_000_000
        audio = out.add_stream(AUDIO.get(form.container, "mp2"), rate=rate, layout="mono")
        audio.bit_rate = 96_000
        sounds = _sound(audio, form, clips, rate, part)
        for number in form.numbers:
            frame = av.VideoFrame.from_ndarray(clips.numbered_frames(1, number + part.first)[0], format="rgb24")
            frame.pts, frame.time_base = number + round(part.begin * FPS), Fraction(1, FPS)
            for sound in next(sounds, []):
                out.mux(audio.encode(sound))
            out.mux(video.encode(frame))
        for rest in sounds:
            for sound in rest:
                out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def _sound(
    audio: av.AudioStream, form: Form, clips: ModuleType, rate: int, part: Part
) -> Iterator[list[av.AudioFrame]]:
    """A tone as long as the images, in pieces of 50 ms."""
    resampler = av.AudioResampler(format=audio.codec_context.format.name, layout="mono", rate=rate)
    tone = clips.tone((form.numbers[-1] + 1) / FPS, part.hertz, rate)
    for begin in range(0, len(tone), rate // 20):
        frame = av.AudioFrame.from_ndarray(tone[None, begin : begin + rate // 20], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, begin + round(part.begin * rate), Fraction(1, rate)
        yield resampler.resample(frame)


def full_decode(path: Path, form: Form, clips: ModuleType) -> list[tuple[float, int]]:
    """Every image's time and number: the order as PyAV decodes, the times as the ffmpeg binary shows them, but where
    it guesses: images are shown at their number over the rate, from a start that most of its times agree on."""
    with av.open(str(path)) as container:
        zero, kind = (container.start_time or 0) / av.time_base, container.format.name.split(",")[0]
        pixels = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        numbers = [clips.number_of(image) for image in pixels]
    times = _stated_times(path, kind) - zero
    assert len(times) == len(numbers)
    regular = np.arange(len(times)) / FPS if form.container in COUNTED else np.array(numbers) / FPS
    start = 0.0 if form.container in COUNTED else np.median(times - regular)
    times = np.where(np.abs(times - start - regular) > GUESSED, start + regular, times)
    return list(zip(times.tolist(), numbers, strict=True))


def _stated_times(path: Path, kind: str) -> np.ndarray:
    graph = ["-copyts", "-map", "0:v:0", "-vf", "showinfo=checksum=0", "-fps_mode", "passthrough", "-f", "null", "-"]
    command = [binary(), "-nostdin", "-threads", "1", "-f", kind, "-i", str(path), *graph]
    log = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stderr
    base = re.search(r"config in time_base: (\d+)/(\d+)", log)
    assert base is not None
    ticks = [int(one) for one in re.findall(r" n: *\d+ pts: *(-?\d+)", log)]
    return np.array(ticks) * int(base[1]) / int(base[2])


def shown_at(frames: list[tuple[float, int]], moment: float) -> tuple[float, int]:
    """The last that began, else the first."""
    return ([frame for frame in frames if frame[0] <= moment + 1e-5] or frames[:1])[-1]
