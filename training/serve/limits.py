"""What the page takes: how many bytes, seconds and frames. Each refusal is one sentence for the person at the page.

A file is judged by its content, never by its name. Nothing is decoded here: headers and packets are read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av

from manifests.errors import InputError
from pipeline.media.decode import DecodeOptions
from pipeline.media.opening import nameless, open_container
from pipeline.media.reader import MediaFile
from pipeline.media.spectra import FrontEnd
from pipeline.media.still import FORMATS, AudioFile, read_image
from pipeline.media.streams import shown_stream
from pipeline.shards.record import Rejected

MEGABYTE = 1 << 20  # as gradio counts them
MOST_FRAMES_A_SECOND = 120  # a camera's; of more, drawing would take longer than a person waits
SHORTEST = 0.1  # seconds
SLACK = 0.5  # seconds that a video cut to the limit may be longer
MOST_SOUND = 600.0  # seconds of a sound beside an image, of which a few are heard
IMAGES = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
WORDS = {
    "unreadable": "is no {kind}, or it is damaged",
    "no_video": "has no moving image, only sound",
    "no_audio": "has no sound",
    "too_large": "has too large an image: {message}",
}


class Refused(InputError):
    """What was given is not taken; the message is the sentence for the page."""


@dataclass(frozen=True)
class Limits:
    """The most that is taken of one file: megabytes, and of a video seconds."""

    megabytes: int = 200
    seconds: float = 60.0

    @property
    def bytes(self) -> int:
        return self.megabytes * MEGABYTE

    def check_video(self, path: Path) -> None:
        """Raises Refused for what is no video with sound, or more of it than is taken."""
        self._check_size(path)
        with refusing(path, "video"), MediaFile(path) as media:
            duration = media.facts.duration
        self._check_length(path, duration, self.seconds, "Cut out the part that matters.")
        most = int((self.seconds + SLACK) * MOST_FRAMES_A_SECOND)
        if sum(1 for _ in islice(_image_packets(path), most + 1)) > most:
            raise Refused(f"{path.name} has more than {most:,} frames. Give it fewer frames a second.")

    def check_image(self, path: Path) -> None:
        """Raises Refused for what is no image, or too large a one."""
        self._check_size(path)
        with refusing(path, f"{IMAGES} image"):
            read_image(path, 0.0, 1)

    def check_audio(self, path: Path, front_end: FrontEnd) -> None:
        """Raises Refused for what holds no sound, is too long, or was cut off before what `front_end` hears."""
        self._check_size(path)
        with refusing(path, "sound"), AudioFile(path) as media:
            media.moment(DecodeOptions(front_end=front_end, minimum_seconds=0.0))
            duration = media.facts.duration
        self._check_length(path, duration, MOST_SOUND, "A few seconds are enough.")

    def _check_size(self, path: Path) -> None:
        if (size := path.stat().st_size) > self.bytes:
            raise Refused(f"{path.name} has {size / MEGABYTE:,.0f} MB; at most {self.megabytes:,} MB are taken.")

    @staticmethod
    def _check_length(path: Path, seconds: float, most: float, advice: str) -> None:
        if seconds > most + SLACK:
            raise Refused(f"{path.name} is {seconds:,.0f} s long; at most {most:g} s are taken. {advice}")
        if seconds < SHORTEST:
            raise Refused(f"{path.name} is {seconds:.2f} s long; at least {SHORTEST:g} s are needed.")


@contextmanager
def refusing(path: Path, kind: str) -> Iterator[None]:
    """A reader's verdict on a file, or a command's sentence, in words for the page: by name, without its place."""
    try:
        yield
    except Rejected as verdict:
        said = WORDS.get(verdict.reason, "cannot be used: {message}").format(kind=kind, message=verdict.message)
        raise Refused(f"{path.name} {said}.") from verdict
    except InputError as error:
        raise Refused(str(error).replace(str(path), path.name)) from error


def _image_packets(path: Path) -> Iterator[av.Packet]:
    """The packets of a video's image, as far as they can be read."""
    with nameless(path) as content, open_container(content) as container:
        try:
            yield from (packet for packet in container.demux(shown_stream(container)) if packet.size)
        except av.FFmpegError:
            return  # what is drawn ends here, too
