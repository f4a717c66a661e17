"""The process that decodes: reads one clip a line, answers with what was decoded or with the reason there is nothing.

Media decoders crash and hang, so they run here and not in the worker that writes the shard
(`pipeline.jobs.decoder_client` is the other end of the pipes and may kill this process at any time). Nothing it does
outlives a clip, and it knows nothing of a clip but its bytes: key, label and split are the worker's.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from manifests.machine import is_machines_fault
from pipeline.jobs.clip_reader import ClipContent, ClipReader
from pipeline.jobs.decoder_messages import ClipToDecode, DecodedMembers
from pipeline.jobs.options import IngestOptions, decoder_function
from pipeline.media.companion_members import companion_members
from pipeline.media.decode import DecodedClip, DecodeOptions
from pipeline.media.front_ends import find_front_end
from pipeline.media.proposals import check_proposals
from pipeline.media.spectra import FrontEnd
from pipeline.media.still import decode_pair
from pipeline.shards.codecs import encode_jpeg, encode_npy
from pipeline.shards.record import FRAME, SPECTROGRAM, Rejected

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve clips from stdin until it closes; argv[1] holds the options."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a row of the rejects, not gigabytes of core files
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not write into the answers
    maker = RecordMaker(IngestOptions.from_stored(json.loads(sys.argv[1])))
    _answer(answers, {"ready": True})
    for line in sys.stdin.buffer:
        try:
            decoded = maker.make(ClipToDecode(**json.loads(line)), lambda: _answer(answers, {"read": True}))
        except Rejected as verdict:
            _answer(answers, {"reason": verdict.reason, "message": verdict.message})
        except OSError as failure:
            if not is_machines_fault(failure):
                raise
            _answer(answers, {"lost": f"Decoding cannot go on: {failure}"})
        else:
            sizes = {name: len(content) for name, content in decoded.members.items()}
            _answer(answers, {"sizes": sizes, "facts": decoded.facts}, decoded.members)


def _answer(answers: BinaryIO, header: Mapping[str, object], members: Mapping[str, bytes] | None = None) -> None:
    answers.write(json.dumps(header).encode() + b"\n")
    for content in (members or {}).values():
        answers.write(content)
    answers.flush()


class RecordMaker:
    """Makes of one clip after another what its record and its companions hold."""

    def __init__(self, options: IngestOptions) -> None:
        self._decode = decoder_function(options.decoder)
        self._companions = options.companions
        self._form = DecodeOptions(short_side=options.short_side, front_end=find_front_end(options.front_end))
        self._reader = ClipReader()
        _warm_up(self._form.front_end)
        if options.companions.proposals:
            check_proposals()

    def make(self, clip: ClipToDecode, unpacked: Callable[[], None] = lambda: None) -> DecodedMembers:
        """May raise Rejected. `unpacked` is called when a clip of a compressed archive was found in it, which may take
        long: all that lies before it is unpacked as well."""
        content = self._reader.read(clip)
        if clip.is_compressed:
            unpacked()
        decoded = self._decoded(content, clip.moment)
        front_end = self._form.front_end
        facts = _facts(decoded) | {"source_sha256": content.sha256, "front_end": front_end.name}
        return DecodedMembers(facts, self._members(content, decoded))

    def _decoded(self, content: ClipContent, moment: float | str) -> DecodedClip:
        form = replace(self._form, moment=moment)
        if content.audio is None:
            return self._decode(content.media, form)
        return decode_pair(content.media, content.audio, form)

    def _members(self, content: ClipContent, decoded: DecodedClip) -> dict[str, bytes]:
        return {
            FRAME: encode_jpeg(decoded.frame),
            SPECTROGRAM: encode_npy(self._form.front_end.spectrogram(decoded.waveform)),
            **companion_members(content.media, content.audio, decoded, self._companions, self._form.short_side),
        }


def _warm_up(front_end: FrontEnd) -> None:
    """Import and compute what every clip needs once: the first clip's time must not pay for it."""
    encode_npy(front_end.spectrogram(np.zeros(front_end.samples, np.float32)))
    encode_jpeg(np.zeros((8, 8, 3), np.uint8))


def _facts(clip: DecodedClip) -> dict[str, object]:
    """What the `json` member says of the decoded clip."""
    height, width = clip.frame.shape[:2]
    return {
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


if __name__ == "__main__":
    main()
