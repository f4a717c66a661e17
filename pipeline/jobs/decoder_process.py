"""The process that decodes: reads one request a line, answers with a record's bytes or with the reason there is none.

Media decoders crash and hang, so they run here and not in the worker that writes the shard
(`pipeline.jobs.decoder_client` is the other end of the pipes and may kill this process at any time). Nothing it does
outlives a clip.
"""

import ctypes
import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.media.proposals import check_proposals
from pipeline.shards.codecs import encode_jpeg, encode_npy
from pipeline.shards.companion import NOTHING, Wanted
from pipeline.shards.record import FACTS, FRAME, SPECTROGRAM, Rejected
from pipeline.sources.archives import BROKEN, ForwardReader, is_compressed
from pipeline.storage.failures import check_still_there, is_machines_fault
from pipeline.storage.remote import Place, RemotePath, place

if TYPE_CHECKING:
    from pipeline.media.decode import DecodedClip
    from pipeline.media.front_ends import FrontEnd

HELD_IN_MEMORY = 64 << 20  # bytes; larger files are decoded from disk instead
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Settings:
    """What is the same for all clips of a run. `decoder` is `module:function` with
    `pipeline.media.decode.decode_clip`'s signature, `front_end` a name of `pipeline.media.front_ends.FRONT_ENDS`,
    `short_side` in pixels (0 keeps the source's), `companions` what is made besides the record."""

    decoder: str
    short_side: int
    front_end: str
    companions: Wanted = NOTHING


@dataclass(frozen=True)
class DecodeRequest:
    """One clip to decode: its identity, `file` and the place inside it (see `pipeline.sources.listing.Clip`), and the
    moment: seconds after the clip's start, "annotated" or "centre". With `audio`, another file, `file` is an image."""

    key: str
    source_id: str
    label: str | None
    split: str | None
    display: str
    file: str
    member: str | None
    position: int
    offset: int | None
    size: int
    moment: float | str
    audio: str | None = None

    @property
    def is_compressed(self) -> bool:
        """Whether the clip lies in an archive that can only be read from its beginning."""
        return self.member is not None and is_compressed(self.file)


def main() -> None:
    """Serve requests from stdin until it closes; argv[1] holds the Settings."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a row of the rejects, not gigabytes of core files
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not write into the answers
    make_record = record_maker(settings_from(sys.argv[1]), lambda: _answer(answers, {"read": True}))
    _answer(answers, {"ready": True})
    for line in sys.stdin.buffer:
        try:
            members = make_record(DecodeRequest(**json.loads(line)))
        except Rejected as verdict:
            _answer(answers, {"reason": verdict.reason, "message": verdict.message})
        except OSError as failure:
            if not is_machines_fault(failure):
                raise
            _answer(answers, {"lost": f"Decoding cannot go on: {failure}"})
        else:
            _answer(answers, {"sizes": {name: len(content) for name, content in members.items()}}, members)


def settings_from(text: str) -> Settings:
    """The Settings that `json.dumps(asdict(settings))` wrote."""
    given = json.loads(text)
    return Settings(**(given | {"companions": Wanted(**given["companions"])}))


def _answer(answers: BinaryIO, header: Mapping[str, object], members: Mapping[str, bytes] | None = None) -> None:
    answers.write(json.dumps(header).encode() + b"\n")
    for content in (members or {}).values():
        answers.write(content)
    answers.flush()


def record_maker(
    settings: Settings, unpacked: Callable[[], None] = lambda: None
) -> Callable[[DecodeRequest], dict[str, bytes]]:
    """A function from request to the record's members by name (`pipeline.shards.record.MEMBERS`) and those of its
    companions (`pipeline.shards.companion`); it may raise Rejected. `unpacked` is called when a clip of a compressed
    archive was found in it, which may take long: all that lies before it is unpacked as well."""
    from pipeline.media.companion_members import companion_members
    from pipeline.media.decode import DecodeOptions
    from pipeline.media.front_ends import FRONT_ENDS, spectrogram
    from pipeline.media.still import decode_pair

    module, function = settings.decoder.split(":")
    decode = getattr(importlib.import_module(module), function)
    front_end = FRONT_ENDS[settings.front_end]
    _warm_up(front_end)
    if settings.companions.proposals:
        check_proposals()
    reader = ClipReader()

    def make(request: DecodeRequest) -> dict[str, bytes]:
        options = DecodeOptions(moment=request.moment, short_side=settings.short_side, front_end=front_end)
        content, sha256 = reader.read(request)
        if request.is_compressed:
            unpacked()
        audio: bytes | Path | None = None
        if request.audio is None:
            clip = decode(content, options)
        else:
            audio, of_audio = reader.read(replace(request, file=request.audio))
            clip, sha256 = (
                decode_pair(content, audio, options),
                hashlib.sha256(f"{sha256}{of_audio}".encode()).hexdigest(),
            )
        facts = _facts(request, clip) | {"source_sha256": sha256, "front_end": front_end.name}
        return {
            FRAME: encode_jpeg(clip.frame),
            FACTS: json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode(),
            SPECTROGRAM: encode_npy(spectrogram(clip.waveform, front_end)),
            **companion_members(content, audio, clip, settings.companions, settings.short_side),
        }

    return make


def _warm_up(front_end: "FrontEnd") -> None:
    """Import and compute what every clip needs once: the first clip's time must not pay for it."""
    import numpy as np

    from pipeline.media.front_ends import spectrogram

    encode_npy(spectrogram(np.zeros(front_end.samples, np.float32), front_end))
    encode_jpeg(np.zeros((8, 8, 3), np.uint8))


def _facts(request: DecodeRequest, clip: "DecodedClip") -> dict[str, object]:
    """The `json` member, but for hash and front end."""
    height, width = clip.frame.shape[:2]
    return {
        "key": request.key,
        "source_id": request.source_id,
        "label": request.label,
        "split": request.split,
        "source_path": request.display,
        "duration": round(clip.duration, 6),
        "moment": round(clip.moment, 6),
        "frame_pts": round(clip.frame_pts, 6),
        "width": width,
        "height": height,
        "source_width": clip.source_width,
        "source_height": clip.source_height,
        "sample_rate": clip.sample_rate,
        "audio_start": round(clip.audio_start, 6),
        "flags": sorted(clip.flags),
    }


class ClipReader:
    """Source bytes of clips: loose files, members of plain tars by offset, members of compressed ones in order."""

    def __init__(self) -> None:
        self._archive: ForwardReader | None = None
        self._place = ("", -1)

    def read(self, request: DecodeRequest) -> tuple[bytes | Path, str]:
        """A clip's content (its path when too large to hold) and sha256; Rejected when it cannot be read."""
        if request.size == 0:
            raise Rejected("unreadable", "the file is empty (0 bytes)")
        try:
            content = self._content(request)
            if isinstance(content, bytes):
                return content, hashlib.sha256(content).hexdigest()
            with open(content, "rb") as handle:
                return content, hashlib.file_digest(handle, "sha256").hexdigest()
        except BROKEN as error:
            if isinstance(error, OSError) and is_machines_fault(error):
                raise
            if isinstance(error, FileNotFoundError) and isinstance(path := place(request.file), Path):
                check_still_there(path)
            raise Rejected("unreadable", f"{type(error).__name__}: {error}") from error

    def _content(self, request: DecodeRequest) -> bytes | Path:
        path = place(request.file)
        if request.member is None:
            return self._local(path) if request.size > HELD_IN_MEMORY else path.read_bytes()
        return self._forward(path, request.position) if is_compressed(path.name) else _slice(path, request)

    def _local(self, path: Place) -> Path:
        """A file too large to hold, on this machine until the next one."""
        if isinstance(path, Path):
            return path
        self._copy = tempfile.NamedTemporaryFile(prefix="clip-")  # noqa: SIM115  # deleted with its last reference
        path.download(self._copy.name)
        return Path(self._copy.name)

    def _forward(self, path: Place, position: int) -> bytes:
        if self._archive is None or self._place[0] != str(path) or self._place[1] >= position:
            if self._archive is not None:
                self._archive.close()
            self._archive = ForwardReader(path)
        self._place = (str(path), position)
        return self._archive.read(position)


def _slice(path: Place, request: DecodeRequest) -> bytes:
    """A member of a plain tar."""
    assert request.offset is not None
    if isinstance(path, RemotePath):
        content = path.read_range(request.offset, request.size)
    else:
        with open(path, "rb") as handle:
            content = os.pread(handle.fileno(), request.size, request.offset)
    if len(content) < request.size:
        raise EOFError(f"the archive ends after {len(content)} of the member's {request.size} bytes")
    return content


if __name__ == "__main__":
    main()
