"""What a media file says of itself, once its data have been asked where the header cannot be believed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What the header says, in seconds and Hz. `zero` is where the presented timeline starts on the container's clock.

    `*_end` is stated only where the container has an index of every stream (mp4), else None. `codec`: of the sound, as
    ffmpeg spells it. `sound_step`: of its clock, in seconds. `channels`: one name each, AMBI0 is W. `seekable`:
    packets have the same times and palette after a seek as when everything is read; `sound_seekable`: so is the sound
    that they give. `cropped`: the container says that edges of the image are not shown. `joined`: recordings lie end
    to end in it, and the clock of a later one begins anew.
    """

    format: str
    seekable: bool
    sound_seekable: bool
    cropped: bool
    joined: bool
    zero: float
    duration: float
    video_index: int
    audio_index: int
    sample_rate: int
    codec: str
    sound_step: float
    channels: tuple[str, ...]
    audio_start: float
    video_end: float | None
    audio_end: float | None
