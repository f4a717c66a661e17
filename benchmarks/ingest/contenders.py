"""Five ways from a 10 s clip to the image at 5.0 s and three seconds of sound at 11025 Hz: ours, others', the floor.

Each is a function of a path. The first three make a whole shard sample (JPEG, spectrogram, tar member); `torchcodec`
only decodes, as does the floor. ffmpeg is called as its users call it, except in `one_ffmpeg_call`, which is the best
command line known (reference: two inputs, each with its own seek, one thread, a static binary).
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
import scipy.signal

from pipeline.jobs.decoder_messages import ClipToDecode
from pipeline.jobs.decoder_process import RecordMaker
from pipeline.jobs.options import IngestOptions
from pipeline.media.front_ends import find_front_end
from pipeline.media.image import decode_packet, read_packet_run
from pipeline.shards.codecs import encode_npy
from pipeline.shards.record import FACTS
from pipeline.shards.writer import ShardWriter

MOMENT, START, SECONDS, RATE, SHORT_SIDE = 5.0, 3.5, 3.0, 11025, 256


def ours(tar: ShardWriter) -> Callable[[Path], None]:
    """What the decoder process does for a clip, then the tar."""
    maker = RecordMaker(IngestOptions(short_side=SHORT_SIDE))

    def run(path: Path) -> None:
        decoded = maker.make(clip_of(path))
        tar.add(path.stem, decoded.members | {FACTS: json.dumps(decoded.facts).encode()})

    return run


def clip_of(path: Path) -> ClipToDecode:
    return ClipToDecode(str(path), path.stat().st_size, MOMENT)


def field(tar: tarfile.TarFile) -> Callable[[Path], None]:
    """ffprobe, one ffmpeg-python call for the image, one for the sound, scipy's spectrogram in float64."""

    def run(path: Path) -> None:
        duration = float(ffmpeg.probe(str(path))["format"]["duration"])
        image = ffmpeg.input(str(path), ss=duration / 2)
        jpeg, _ = image.output("pipe:", vframes=1, format="image2", vcodec="mjpeg").run(capture_stdout=True, quiet=True)
        audio = ffmpeg.input(str(path), ss=duration / 2 - SECONDS / 2, t=SECONDS)
        raw, _ = audio.output("pipe:", format="s16le", ac=1, ar=RATE).run(capture_stdout=True, quiet=True)
        samples = np.frombuffer(raw, np.int16) / 32768
        power = scipy.signal.spectrogram(samples, RATE, nperseg=512, noverlap=402)[2]
        add(tar, path, jpeg, np.log(power + 1e-7).astype(np.float16))

    return run


def one_ffmpeg_call(tar: tarfile.TarFile, scratch: Path) -> Callable[[Path], None]:
    """One process of imageio-ffmpeg's static binary, its sound through the file `scratch`; the spectrogram is ours."""
    binary, front_end = imageio_ffmpeg.get_ffmpeg_exe(), find_front_end()

    def run(path: Path) -> None:
        command = [
            binary, "-nostdin", "-loglevel", "error", "-y", "-filter_threads", "1",
            "-threads", "1", "-ss", str(MOMENT), "-i", path, "-threads", "1", "-ss", str(START), "-i", path,
            "-map", "0:v:0", "-frames:v", "1", "-vf", f"scale=-2:{SHORT_SIDE}", "-q:v", "3", "-f", "mjpeg", "pipe:1",
            "-map", "1:a:0", "-t", str(SECONDS), "-ac", "1", "-ar", str(RATE), "-f", "f32le", scratch,
        ]  # fmt: skip
        jpeg = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        samples = np.fromfile(scratch, np.float32)[: front_end.samples]
        samples = np.pad(samples, (0, front_end.samples - len(samples)))
        add(tar, path, jpeg, front_end.spectrogram(samples))

    return run


def add(tar: tarfile.TarFile, path: Path, jpeg: bytes, values: np.ndarray) -> None:
    """A sample's members; an image or sound that did not come is an error, not a quick clip."""
    assert jpeg.startswith(b"\xff\xd8"), path
    assert values.shape[1] > 290, (path, values.shape)
    for name, content in ((f"{path.stem}.jpg", jpeg), (f"{path.stem}.npy", encode_npy(values))):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def torchcodec() -> Callable[[Path], None]:
    """Image and sound as tensors, one thread, the quicker of its two seek modes. Raises ImportError without it."""
    from torchcodec.decoders import AudioDecoder, VideoDecoder  # pyrefly: ignore[missing-import]

    def run(path: Path) -> None:
        image = VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode="approximate").get_frame_played_at(MOMENT)
        audio = AudioDecoder(str(path), sample_rate=RATE, num_channels=1)
        samples = audio.get_samples_played_in_range(START, START + SECONDS)
        assert image.data.shape[-1] == 640
        assert samples.data.shape[-1] >= SECONDS * RATE - 1

    return run


def floor(probing: bool) -> Callable[[Path], None]:
    """Open, decode from the keyframe to the moment what cannot be skipped, and the AAC frames of the three seconds.

    probing: open as PyAV does by default, decoding some frames to learn about the streams; without, as ours does.
    """
    options = {} if probing else {"skip_frame": "all"}

    def run(path: Path) -> None:
        with av.open(str(path), options=options) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert video.time_base is not None
            assert audio.time_base is not None
            video.codec_context.thread_count = audio.codec_context.thread_count = 1
            container.seek(round(MOMENT / video.time_base), stream=video)
            packets = read_packet_run(container.demux(video), round(MOMENT / video.time_base))
            assert packets.target is not None
            assert decode_packet(video.codec_context, packets, packets.target) is not None
            container.seek(round(START / audio.time_base), stream=audio)
            for packet in container.demux(audio):
                audio.codec_context.decode(packet)
                if packet.pts is not None and packet.pts * audio.time_base > START + SECONDS:
                    break

    return run
