"""Decoders for tests of ingest: the first word of a clip's content says what happens to it.

Imported by the decoding process (`PYTHONPATH`), so crashes and hangs are real ones. Every call is written to the file
named by FAKE_DECODER_LOG: one line per clip that reached a decoder.
"""

import errno
import os
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from pipeline.media.decode import DecodedClip, DecodeOptions
from pipeline.shards.record import Rejected
from pipeline.sources.archives import ForwardReader

if "FAKE_SLOW_SKIP" in os.environ:  # as a large compressed archive is, before a clip far behind
    _read = ForwardReader.read
    ForwardReader.read = lambda self, position: time.sleep(float(os.environ["FAKE_SLOW_SKIP"])) or _read(self, position)

HEAVY = ("torch", "webdataset", "faiss")


def decode(content: bytes | Path, options: DecodeOptions) -> DecodedClip:
    """`pipeline.media.decode.decode_clip` for clips such as b"ok 17", b"segv", b"sleep 0.2"."""
    assert isinstance(content, bytes)
    word, *rest = content.decode().split()
    with open(os.environ["FAKE_DECODER_LOG"], "a") as log:
        log.write(content.decode() + "\n")
    match word:
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "raise":
            raise ValueError("a defect in the decoder")
        case "full":  # until it is asked for the fourth time
            if Path(os.environ["FAKE_DECODER_LOG"]).read_text().split().count("full") < 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case "print":
            print("noise on standard output")
        case "hang":
            time.sleep(3600)
        case "worker":  # takes the worker that waits for it down
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(3600)
        case "sleep":
            time.sleep(float(rest[0]))
        case "process" | "modules":
            raise Rejected("corrupt", str(os.getpid()) if word == "process" else f"loaded: {loaded_modules()}")
        case "no_audio":
            raise Rejected("no_audio", "it has no sound")
    return image_of(content, options)


def image_of(content: bytes, options: DecodeOptions) -> DecodedClip:
    """A clip that depends on the content alone."""
    random = np.random.default_rng(zlib.crc32(content))
    moment = options.moment if isinstance(options.moment, float) else 5.0 if options.moment == "annotated" else 1.0
    return DecodedClip(
        frame=random.integers(0, 255, (16, 24, 3), dtype=np.uint8),
        waveform=random.uniform(-1, 1, options.front_end.samples).astype(np.float32),
        duration=10.0,
        moment=moment,
        frame_pts=moment,
        source_width=48,
        source_height=32,
        sample_rate=44100,
        audio_start=0.0,
        flags=("static",),
    )


def loaded_modules() -> list[str]:
    """Which modules that ingest must not need are in this process."""
    return [name for name in HEAVY if name in sys.modules]
