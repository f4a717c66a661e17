"""Which streams of a container count, how their packets are read, and how one packet of sound is decoded.

Used by `reader` and by overlays.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, BinaryIO, TypeVar, cast

import av
from av.stream import Discard, Disposition

from pipeline.shards.record import Rejected

_PLAIN = re.compile(r"pcm_[suf](\d+)(?:le|be)?")  # the bits of a sample
_OF_ONE_BYTE = ("pcm_u8", "pcm_mulaw", "pcm_alaw")  # of which no byte is the high one
# whose packets, some tenths of a second after a first one, are decoded as if all before them had been
_STARTS_ANYWHERE = re.compile(
    r"pcm_.*|aac(_latm)?|e?ac3|mp[123]|opus|vorbis|flac|alac|dts|mlp|truehd|tta|wavpack|wmav[12]|amr_[nw]b"
    r"|adpcm_(ima_wav|ima_qt|ms|swf)|s302m"
)
_Stream = TypeVar("_Stream", bound=av.stream.Stream)


def is_cover_art(stream: av.stream.Stream) -> bool:
    """Whether a stream of images is the one image that music players show."""
    return bool(stream.disposition & Disposition.attached_pic)


def is_default(stream: av.stream.Stream) -> bool:
    """Whether the container says that players should take it where nobody chooses."""
    return bool(stream.disposition & Disposition.default)


def shown_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The stream of a container whose images count. Raises Rejected where no moving image can be decoded.

    Of several streams the one that ffmpeg takes unasked: one marked as default before others, then the largest, then
    the first. Cover art is none of them.
    """
    moving = [stream for stream in container.streams.video if not is_cover_art(stream)]
    return _preferred(moving, lambda codec: codec.width * codec.height, "no_video", "moving image")


def heard_stream(container: av.container.InputContainer) -> av.AudioStream:
    """The stream of a container whose sound counts: by the same rule, the most channels counting as the largest."""
    return _preferred(container.streams.audio, lambda codec: codec.channels, "no_audio", "sound")


def _preferred(streams: Sequence[_Stream], size: Callable[[Any], int], reason: str, what: str) -> _Stream:
    if not streams:
        raise Rejected(reason, f"it has no {what}")
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise Rejected("unreadable", f"its {what} is of a codec that no decoder here knows")
    return max(decodable, key=lambda stream: (is_default(stream), size(stream.codec_context)))  # of equals the first


def has_others(container: av.container.InputContainer, *used: av.stream.Stream) -> bool:
    """Whether streams lie beside those used whose length may be another: subtitles, data, a second sound."""
    numbers = {stream.index for stream in used}
    others = [stream for stream in container.streams if stream.index not in numbers]
    return any(stream.type != "attachment" and not is_cover_art(stream) for stream in others)


def read_packets(container: av.container.InputContainer, *streams: av.stream.Stream) -> Iterator[av.Packet]:
    """Packets of these streams until the data end, in whatever way; the demuxer does not read the others."""
    for stream in container.streams:
        stream.discard = Discard.default if stream in streams else Discard.all
    try:
        yield from container.demux(*streams)
    # A file that was cut off, or damage that looks like a new stream (PyAV knows none); whether what is missing was
    # needed is judged by the caller.
    except (av.FFmpegError, IndexError):
        return


def starts_anywhere(audio: av.AudioStream) -> bool:
    """Whether its sound may be decoded from any packet on. Codecs may carry their state through the whole file and say
    it nowhere (ADPCM of Yamaha, DFPWM): one that is not known to begin anew is decoded from the beginning."""
    return _STARTS_ANYWHERE.fullmatch(audio.codec_context.codec.canonical_name) is not None


def has_palette(video: av.VideoStream) -> bool:
    """Whether its images are numbers of colours, which containers tell with the first packet alone. The keyframes of
    such codecs may need tables of earlier ones, too (SMC). They are decoded from the beginning."""
    form = video.codec_context.format
    return form is not None and form.name == "pal8"


def seconds_of(packet: av.Packet) -> float:
    """How long a packet lasts. Plain samples are counted: a file that does not say how many it holds is cut into equal
    packets, and the demuxer takes the last one for whole."""
    codec, plain = packet.stream.codec_context, None
    if isinstance(codec, av.AudioCodecContext):
        plain = _PLAIN.fullmatch(codec.name)
    if plain is not None:
        return packet.size * 8 / (int(plain[1]) * codec.channels * codec.sample_rate)
    base = cast(Fraction, packet.stream.time_base)  # every stream of a file has one
    return float((packet.duration or 0) * base)


def decoder_of(audio: av.AudioStream, content: BinaryIO) -> av.AudioCodecContext:
    """The decoder of a sound of a file, whose handle stands afterwards where it stood.

    ffmpeg understands the header of RIFX, which is WAV with the high byte first, and takes its samples for those of
    WAV. Raises Rejected where they are more than plain numbers.
    """
    codec, stood = audio.codec_context, content.tell()
    content.seek(0)
    is_turned = content.read(4) == b"RIFX"
    content.seek(stood)
    if not is_turned or codec.name in _OF_ONE_BYTE:
        return codec
    if not (_PLAIN.fullmatch(codec.name) and codec.name.endswith("le")):
        raise Rejected("unreadable", f"no decoder reads {codec.name} in RIFX, big-endian WAV; write it anew as WAV")
    turned = cast(av.AudioCodecContext, av.CodecContext.create(codec.name.removesuffix("le") + "be", "r"))
    turned.sample_rate, turned.layout = codec.sample_rate, codec.layout
    return turned


def padding_of(packet: av.Packet) -> int:
    """How many samples at the end of a packet are padding, as its container says (AV_PKT_DATA_SKIP_SAMPLES)."""
    notes = (bytes(note) for note in packet.iter_sidedata() if note.data_type == "skip_samples")
    return next((int.from_bytes(note[4:8], "little") for note in notes), 0)


def decode_audio(
    codec: av.AudioCodecContext, packet: av.Packet, failed: Callable[[av.Packet], None]
) -> list[av.AudioFrame]:
    """The frames of one packet, or at its end of the decoder; `failed` is told when it cannot be decoded."""
    try:
        return codec.decode(packet if packet.size else None)
    except av.error.EOFError:
        return []
    except av.FFmpegError:
        failed(packet)
        return []
