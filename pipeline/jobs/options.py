"""What the user chose for a shard folder: one record, made once and passed on as it is.

`pipeline.ingest` receives it, the plan keeps it in `options.json`, the decoder process is started with it.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, cast

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.companion import NOTHING, Wanted
from pipeline.shards.record import SCHEMA_VERSION

if TYPE_CHECKING:
    from pipeline.media.decode import DecodedClip

DECODERS = {"pyav": "pipeline.media.decode:decode_clip", "ffmpeg": "pipeline.media.ffmpeg_decoder:decode_clip_ffmpeg"}
# How the first folders spelled them. The hash in index.json still does, so that those of all folders can be compared.
FIRST_SPELLINGS = {"pyav": "pipeline.media:decode_clip", "ffmpeg": "pipeline.media_ffmpeg:decode_clip_ffmpeg"}
LATER = ("burst", "burst_rate")  # companions' options that the first folders do not know: stored where they are chosen
MOMENTS = ("annotated", "centre")
FEWEST_CLIPS, MOST_CLIPS, SHARDS_WANTED = 64, 1000, 128


@dataclass(frozen=True)
class IngestOptions:
    """What decides the shards' bytes, besides the clips.

    `moment` is in seconds, or "annotated", or "centre"; `short_side` in pixels, 0 keeps the source's; `decoder` one of
    DECODERS, or the `module:function` of another one with the signature of `pipeline.media.decode.decode_clip`;
    `shard_clips` None: chosen from the size of the corpus.
    """

    short_side: int = 256
    moment: float | str = "annotated"
    front_end: str = DEFAULT
    decoder: str = "pyav"
    shard_clips: int | None = None
    companions: Wanted = NOTHING
    schema_version: int = SCHEMA_VERSION

    def stored(self) -> dict[str, object]:
        """Every option by name, those of the companions beside the others: the form on disk."""
        own = asdict(self)
        companions = own.pop("companions")
        return own | {name: value for name, value in companions.items() if value or name not in LATER}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "IngestOptions":
        """The options that `stored` gave, here or in an earlier version of this program."""
        of_companions = {field.name for field in fields(Wanted)}
        companions = {name: value for name, value in stored.items() if name in of_companions}
        own = {name: value for name, value in stored.items() if name not in of_companions}
        decoder = _decoder_spelled(str(own["decoder"]))
        return cls(**own | {"decoder": decoder, "companions": Wanted(**companions)})

    def sha256(self) -> str:
        """The hash in index.json: equal options give equal hashes, whichever version made the folder."""
        stored = self.stored() | {"decoder": FIRST_SPELLINGS.get(self.decoder, self.decoder)}
        return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _decoder_spelled(text: str) -> str:
    """A decoder's name; folders of earlier versions hold where its function was."""
    return next((name for name in DECODERS if text in (DECODERS[name], FIRST_SPELLINGS[name])), text)


def decoder_function(decoder: str) -> Callable[..., "DecodedClip"]:
    """The function behind `IngestOptions.decoder`. ImportError when there is none."""
    module, _, function = DECODERS.get(decoder, decoder).partition(":")
    return cast("Callable[..., DecodedClip]", getattr(importlib.import_module(module), function))


def automatic_shard_clips(clips: int) -> int:
    """Clips per shard: about 128 shards for a small corpus, never fewer than 64 clips nor more than 1,000 in one."""
    return min(max(clips // SHARDS_WANTED, FEWEST_CLIPS), MOST_CLIPS)


# --- as a command line gives them -----------------------------------------------------------------------------------


def known(option: str, name: str, table: Collection[str]) -> str:
    """The name, when the table has it. InputError lists the names there are."""
    if name not in table:
        raise InputError(f"{option} {name!r} is not known.{did_you_mean(name, table)} There are: {', '.join(table)}.")
    return name


def checked_audio(audio: str | None, rate: int, seconds: float) -> tuple[int, float]:
    """Rate and seconds of the stored waveform, both 0 without one."""
    if audio not in (None, "context"):
        raise InputError(f"--audio {audio!r} is not known; `--audio context` stores the waveform beside the shards.")
    return (rate, seconds) if audio else (0, 0.0)


def parse_moment(text: str) -> float | str:
    """`annotated`, `centre` or a number of seconds >= 0."""
    if text in MOMENTS:
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        meant = did_you_mean(text, MOMENTS)
        raise InputError(f"--moment {text!r} is neither annotated nor centre nor a number of seconds from 0 on.{meant}")
    return seconds
