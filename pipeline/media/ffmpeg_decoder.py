"""The second decoder: the promise of `media.decode_clip` kept by the ffmpeg binary, through an ffmpeg-python graph.

For files or machines on which the fast decoder is not wanted, and as its independent check. Two calls per clip, each
with its own seek: one for the image and one for the sound. The header's facts (duration, streams, channels) come from
`media.reader`, as the binary has no machine-readable way to tell them; which frame is shown at the moment, its
orientation and its shape are ffmpeg's own answer, and so is every sample. One rule decides for both decoders what is
shown and heard when: the frames of the sound are laid down as `media.audio` does it; where the container's times are
partly guesses the number of the image is taken from the reader, and where clocks begin anew, or the form of the sound
changes on the way, its sound: one output of ffmpeg cannot follow. So it is where the clock of the sound counts images
(GXF). One that counts milliseconds (Matroska, WebM, FLV, ASF) rounds the time of each frame, and ffmpeg counts on from
the frame that it begins with: the sound of the two decoders then differs by a millisecond at most.
"""

import re
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import ffmpeg
import numpy as np

from pipeline.media.audio import CONTEXT, MARGIN, AudioCollector, AudioSpan
from pipeline.media.colours import DEEP_RGB, RGB, RGB_AND_ALPHA, light_of, samples_needed, seen
from pipeline.media.decode import (
    DecodedClip,
    DecodeOptions,
    assemble,
    check_complete,
    choose_moment,
    comparison_moment,
    is_static,
    span_start,
)
from pipeline.media.facts import Facts
from pipeline.media.ffmpeg import FfmpegFailed, FfmpegTimeout, file_input, run_logged
from pipeline.media.image import ShownFrame, whole_pixels
from pipeline.media.layouts import channel_names
from pipeline.media.reader import MediaFile
from pipeline.media.times import CLOCK_SLACK, Place, places
from pipeline.shards.record import Rejected

CONTENT = "content"  # the clip's name inside the scratch folder: its own may hold what no command line can
SOUND_BY_IMAGES = ("gxf",)  # containers whose clock of the sound counts images
AUDIO_PREROLL = 0.25  # seconds decoded before a span and thrown away: codecs carry state from packet to packet
LOOK_BACK = 0.2  # seconds before a moment in which its image is first looked for
_SCALING = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"  # as image.SCALING
_TIME_BASE = r"\[showinfo@{name} .*config in time_base: (\d+)/(\d+)"
_IMAGE = r"\[showinfo@{name} .* pts: *(-?\d+) .* sar:(\d+)/(\d+) s:(\d+)x(\d+)"
_FORM = re.compile(r"\[showinfo@.* pts: .* fmt:(\S+)")
_TRANSFER = re.compile(r"\[showinfo@.* color_trc:(\S+)")
_PRIMARIES = re.compile(r"\[showinfo@.* color_primaries:(\S+)")
_AUDIO = re.compile(r"\[ashowinfo@sound .* n:\d+ pts:(-?\d+) .* chlayout:(.*) rate:(\d+) nb_samples:(\d+)")
_BROKEN_AUDIO = re.compile(r"\[aist#.*Error submitting packet to decoder")
_BROKEN_IMAGE = re.compile(r"\[vist#.*Error submitting packet to decoder: (.*)")


def decode_clip_ffmpeg(
    content: bytes | Path, options: DecodeOptions = DecodeOptions(), *, timeout: float = 3600.0
) -> DecodedClip:
    """Decode one file with the ffmpeg binary. Raises Rejected with its verdict, as `media.decode_clip` does."""
    with MediaFile(content) as media:
        facts = media.facts
        moment = choose_moment(facts.duration, options)
        calm = media.is_calm(moment)
        moments = {"moment": moment, "other": comparison_moment(moment, facts.duration)}
        facts = replace(facts, seekable=facts.seekable and not media.is_in_decoding_order)
        found = [] if facts.seekable else places(media.frames(), list(moments.values()))
    with tempfile.TemporaryDirectory(prefix="decode-") as folder:
        if isinstance(content, bytes):
            Path(folder, CONTENT).write_bytes(content)
        else:
            Path(folder, CONTENT).symlink_to(content.absolute())
        call = _Call(Path(folder), facts, moments, dict(zip(moments, found, strict=False)), options, timeout)
        try:
            image, other, audio = call.decode()
        except Rejected as verdict:
            raise _in_words(content, moment, verdict) from verdict
    audio = _from_reader(content, moment, options) if audio is None else audio
    check_complete(facts, moment, image.data_end, audio, options, partial(_is_cut_off, content))
    return assemble(facts, moment, image, audio, calm and is_static(image.pixels, other.pixels), options)


def _in_words(content: bytes | Path, moment: float, verdict: Rejected) -> Rejected:
    """The reader's reason where it cannot show the image either: a log of ffmpeg does not say what it was."""
    if verdict.reason == "corrupt":
        try:
            with MediaFile(content) as media:
                media.frame_at(moment, 1)
        except Rejected as reason:
            return reason
    return verdict


def _is_cut_off(content: bytes | Path) -> bool:
    with MediaFile(content) as media:
        return media.is_cut_off()


def _from_reader(content: bytes | Path, moment: float, options: DecodeOptions) -> AudioSpan:
    with MediaFile(content) as media:
        return media.audio_between(
            span_start(moment, options), options.front_end.sample_rate, options.front_end.samples
        )


class _Call:
    """One clip's calls of ffmpeg: what they read and write in the scratch folder, and how that is understood.

    ffmpeg keeps the container's clock (`copyts`): left alone it shifts some formats by each stream's own start.
    Image and sound have a call each: ffmpeg begins all filters of a call anew when the form of a sound changes on the
    way (broadcasts), and frames would be counted anew.

    moments: seconds by name. places: by name, which frame of a full decode is shown; empty where the container's times
    say it.
    """

    def __init__(
        self,
        scratch: Path,
        facts: Facts,
        moments: dict[str, float],
        places: dict[str, Place],
        options: DecodeOptions,
        timeout: float,
    ) -> None:
        self.scratch, self.facts, self.options, self.timeout = scratch, facts, options, timeout
        self.moments, self.places = moments, places
        self.audio_from = span_start(moments["moment"], options)
        self._samples = RGB  # in which form samples are asked for
        self._light: str | None = None  # what the frames say of theirs

    def decode(self) -> tuple[ShownFrame, ShownFrame, AudioSpan | None]:
        """The image at the moment, the one to compare it with, the sound, None where only the reader can tell that.

        The first run seeks. Where that missed something (a long pause, an inexact index, sound that the seek skipped)
        a second one decodes from the beginning, and takes the first frame when even that is shown after the moment.
        Where times after a seek cannot be trusted there is only that one.
        """
        early = max(0.0, min(self.moments.values()) - LOOK_BACK)
        audio_early = max(0.0, self.audio_from - MARGIN)
        seeks_sound = self.facts.sound_seekable and audio_early > AUDIO_PREROLL  # a seek may miss the first
        audio_begin = audio_early - AUDIO_PREROLL if seeks_sound else None
        failure = "ffmpeg decodes no image"
        seeks = [(early, audio_begin)] if self.facts.seekable else []
        for image_seek, audio_seek in (*seeks, (None, None)):
            try:
                log = self._run(image_seek, audio_seek)
            except FfmpegFailed as error:  # also how it ends when an output got no frame
                failure = str(error)
                continue
            image, other = (self._read_image(name, log) for name in self.moments)
            audio_begun = self._audio_begun(log)
            late_audio = audio_begun is None or audio_begun > max(audio_early, self.facts.audio_start) + MARGIN
            if image is not None and other is not None and (image_seek is None or not late_audio):
                return image, other, self._read_audio(log)
        raise Rejected("corrupt", failure)

    def _run(self, image_seek: float | None, audio_seek: float | None) -> str:
        log = self._write_images(image_seek)
        form, *light = (pattern.findall(log) or [None] for pattern in (_FORM, _TRANSFER, _PRIMARIES))
        self._light = light_of(*(found[-1] for found in light))
        needed = samples_needed(form[-1], self._light) if form[-1] else RGB
        if needed != self._samples:
            self._samples = needed
            log = self._write_images(image_seek)
        if broken := _BROKEN_IMAGE.search(log):
            raise Rejected("corrupt", f"the image cannot be decoded: {broken[1]}")
        audio_end = self.audio_from + self.options.front_end.seconds + CONTEXT
        return log + self._call(self._audio_output(self._input(audio_seek, audio_end)[str(self.facts.audio_index)]))

    def _write_images(self, seek: float | None) -> str:
        image_end = max(self.moments.values()) + LOOK_BACK
        # without this option ffmpeg before 7.1 would show all of the image; it refuses to
        crop = {"apply_cropping": "all"} if self.facts.cropped else {}
        stream = self._input(seek, image_end, reinit_filter=0, **crop)[str(self.facts.video_index)]
        video = stream.filter_multi_output("split", 2)
        look_back = None if seek is None else LOOK_BACK
        images = [self._image_output(video[place], name, look_back) for place, name in enumerate(self.moments)]
        return self._call(ffmpeg.merge_outputs(*images))

    def _call(self, graph: ffmpeg.Stream) -> str:
        try:
            return run_logged(graph, timeout=self.timeout)[1]
        except FfmpegTimeout as error:
            raise Rejected("timeout", str(error)) from error

    def _input(self, seek: float | None, end: float, **options: object) -> ffmpeg.Stream:
        """The file, as the format that its content was recognised as, so that no playlist is ever followed."""
        if seek is not None:
            options |= {"ss": f"{seek:.6f}", "t": f"{end - seek:.6f}"}
        return file_input(self.scratch / CONTENT, format=self.facts.format, protocol_whitelist="file,pipe", **options)

    def _image_output(self, video: ffmpeg.Stream, name: str, look_back: float | None) -> ffmpeg.Stream:
        """The frames that may be the one presented at the moment, reported, reduced (each from its own size, which may
        change on the way) and written over the one before: what stays is that one."""
        side = self.options.short_side
        scale = f"min(1,{side}/min(iw*sar,ih))" if side else "1"
        frames = (
            # pyrefly: ignore[missing-attribute]  # the library adds its operators at run time
            video.filter("select", self._wanted(name, look_back))
            .filter(f"showinfo@{name}", checksum=0)
            .filter(
                "scale", eval="frame", flags=_SCALING, w=f"max(1,round(iw*sar*{scale}))", h=f"max(1,round(ih*{scale}))"
            )
            .filter("format", self._samples)
        )
        options = {"format": "image2", "update": 1, "c:v": "rawvideo", "fps_mode": "passthrough", "threads": 1}
        options |= (
            {"frames:v": 1} if name in self.places else {}
        )  # what follows may be damaged, and need not be decoded
        return ffmpeg.output(frames, f"file:{self.scratch / name}", copyts=None, **options)

    def _wanted(self, name: str, look_back: float | None) -> str:
        """The frame itself, or else all from `look_back` seconds before the moment to it, or the first and all up to
        it."""
        if name in self.places:
            return f"eq(n,{self.places[name].number})"
        moment = self.facts.zero + self.moments[name] + CLOCK_SLACK
        begin = "+eq(n,0)" if look_back is None else f"*gte(t,{moment - look_back:.6f})"
        return f"lte(t,{moment:.6f}){begin}"

    def _audio_output(self, stream: ffmpeg.Stream) -> ffmpeg.Stream:
        """Every channel as it is, of the span and what is around it; each frame is reported."""
        begin = f"{self.facts.zero + self.audio_from - CONTEXT:.6f}"
        audio = (
            # pyrefly: ignore[missing-attribute]
            stream.filter("atrim", start=begin, duration=f"{self.options.front_end.seconds + 2 * CONTEXT:.6f}")
            .filter("ashowinfo@sound")
            .filter("aformat", sample_fmts="flt")
            .filter("apad", whole_len=1)  # an output without any sample would fail the whole call
        )
        return ffmpeg.output(audio, f"file:{self.scratch / 'sound'}", copyts=None, format="f32le", threads=1)

    def _read_image(self, name: str, log: str) -> ShownFrame | None:
        """The frame that was written, with the time and shape that its `showinfo` reported last."""
        content = _content(self.scratch / name)
        base = re.search(_TIME_BASE.format(name=name), log)
        frames = re.findall(_IMAGE.format(name=name), log)
        if not content or base is None or not frames:
            return None
        pts, aspect_width, aspect_height, stored_width, height = map(int, frames[-1])
        width = stored_width * (aspect_width / aspect_height if aspect_width and aspect_height else 1.0)
        side = self.options.short_side
        scale = min(1.0, side / min(width, height)) if side else 1.0
        place = self.places.get(name)
        seconds = place.seconds if place else pts * int(base[1]) / int(base[2]) - self.facts.zero
        goes_on = self.facts.video_end is not None or (place is not None and not place.is_last)
        rows, depth = whole_pixels(height * scale), np.uint16 if self._samples == DEEP_RGB else np.uint8
        samples = np.frombuffer(content, depth).reshape(rows, -1, 4 if self._samples == RGB_AND_ALPHA else 3)
        return ShownFrame(
            pixels=seen(samples, self._light),
            seconds=seconds,
            source_width=whole_pixels(width),
            source_height=height,
            # without an index only the time of the last frame tells that the data ended; see check_complete
            data_end=None if goes_on else seconds,
            calm=True,
        )

    def _audio_begun(self, log: str) -> float | None:
        first = _AUDIO.search(log)
        return int(first[1]) / int(first[3]) - self.facts.zero if first else None

    def _read_audio(self, log: str) -> AudioSpan | None:
        """The samples that were written, frame by frame laid at their times."""
        front_end = self.options.front_end
        facts = self.facts
        span = AudioCollector(self.audio_from, front_end.seconds, facts.channels, facts.codec, facts.sound_step)
        span.skip(self.audio_from, self.audio_from)
        frames = [(int(pts), layout, int(rate), int(count)) for pts, layout, rate, count in _AUDIO.findall(log)]
        forms = {(layout, rate) for _, layout, rate, _ in frames}
        if self.facts.joined or len(forms) > 1 or self.facts.format in SOUND_BY_IMAGES:
            return None
        for layout, rate in forms:
            names = channel_names(av.AudioLayout(layout))
            names = self.facts.channels if len(self.facts.channels) == len(names) else names  # ffmpeg guesses a layout
            written = np.frombuffer(_content(self.scratch / "sound"), "<f4").reshape(-1, len(names)).T
            ends = np.cumsum([count for *_, count in frames])
            if ends[-1] != written.shape[1]:  # made into the form that the header names, which is another one
                return None
            for (pts, _, _, count), end in zip(frames, ends, strict=True):
                span.lay(written[:, end - count : end], rate, names, pts / rate - self.facts.zero)
        span.errors, span.ended = len(_BROKEN_AUDIO.findall(log)), not span.is_full
        if span.ended and self.facts.audio_end is not None:
            span.end_at(self.facts.audio_end)
        return span.resampled(front_end.sample_rate, front_end.samples)


def _content(path: Path) -> bytes:
    """What an output holds; one that got no frame may be empty or missing."""
    return path.read_bytes() if path.exists() else b""
