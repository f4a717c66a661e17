"""Decoding behind a wall: a child process decodes, this side waits for it, notices its death and ends its hangs.

One child serves all clips of a worker (its imports are paid once); it is restarted only after a crash or a timeout, so
a decoder that segfaults, exits or never returns costs exactly the clip it was given.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from typing import BinaryIO, cast

from manifests.errors import WorkFailed
from manifests.files.temporary import TemporaryFolder
from pipeline.jobs.decoder_messages import ClipToDecode, DecodedMembers
from pipeline.jobs.options import IngestOptions
from pipeline.shards.record import Rejected

START_SECONDS = 120.0  # imports from a cold, shared disk
PIPE_BYTES = 1 << 20  # a record passes at once; the kernel's own 64 KiB would take several turns
SKIP_SECONDS = 3600.0  # to find a clip in a compressed archive, which a new child unpacks from its beginning
RECYCLE_AFTER = 5_000  # clips per child: decoders leak
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Frames are larger than malloc's mmap threshold: each would be mapped, zeroed and given back to the kernel. Keeping
# them in the heap costs 8 % less CPU per clip (GOP 48).
KEEP_MEMORY = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "268435456")


class DecoderDied(Exception):
    """The child ended by itself; `code` as in Popen.returncode, `said` its last line on stderr."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(_cause(code) + (f" ({said})" if said and code > 0 else ""))
        self.code = code
        self.said = said


class DecoderTimeout(Exception):
    """The child did not answer in time and was killed."""


def _cause(code: int) -> str:
    return f"the decoder was killed by {signal.Signals(-code).name}" if code < 0 else f"the decoder exited with {code}"


def _kill_session(leader: int) -> None:
    """Kill what an ended child leaves behind: an ffmpeg that hangs has a process group of its own, but no session."""
    for process in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process) == leader:
                os.kill(process, signal.SIGKILL)


@cache
def shared_decoder(options: IngestOptions) -> "Decoder":
    """This process's decoder for `options`: shards that follow one another share the child."""
    return Decoder(options)


class Decoder:
    """A decoding child and the conversation with it. Not for several threads at once."""

    def __init__(self, options: IngestOptions) -> None:
        self._options = options
        self._child: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this object
        self._served = 0

    def decode(self, clip: ClipToDecode, timeout: float) -> DecodedMembers:
        """What its child makes of a clip. Raises Rejected, also for a crash and after `timeout` seconds."""
        for killed_before in (False, True):
            try:
                return self._ask(clip, timeout)
            except DecoderTimeout:
                raise Rejected("timeout", f"no answer within {timeout:g} seconds") from None
            except DecoderDied as death:
                # SIGKILL comes from outside: the kernel short of memory, or someone ending the run. Once may be chance.
                if death.code != -signal.SIGKILL or killed_before:
                    raise Rejected("decoder_crash", str(death)) from death
        raise AssertionError("unreachable: the second death is a verdict")

    def _ask(self, clip: ClipToDecode, timeout: float) -> DecodedMembers:
        child = self._running()
        os.ftruncate(self._errors.fileno(), 0)
        deadline = time.monotonic() + timeout
        try:
            stdin = cast(BinaryIO, child.stdin)
            stdin.write(json.dumps(asdict(clip)).encode() + b"\n")
            stdin.flush()
            header, rest = self._line(deadline + SKIP_SECONDS * clip.is_compressed)
            if "read" in header:
                deadline = time.monotonic() + timeout
                header, rest = self._line(deadline, rest)
        except BrokenPipeError:
            raise self._death() from None
        if "lost" in header:
            raise WorkFailed(f"{header['lost']}. Finished shards are kept; the same command continues.")
        if "reason" in header:
            raise Rejected(str(header["reason"]), str(header["message"]))
        members = self._members(cast(dict[str, int], header["sizes"]), rest, deadline)
        return DecodedMembers(cast(dict[str, object], header["facts"]), members)

    # --- the child's life ---

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and (self._child.poll() is not None or self._served >= RECYCLE_AFTER):
            self.close()
        if self._child is None:
            self._child = self._start()
        self._served += 1
        return self._child

    def _start(self) -> subprocess.Popen[bytes]:
        """A child that has imported its decoder; WorkFailed when it cannot: that is no clip's fault."""
        self._scratch = TemporaryFolder("decoder")  # goes with the child, however that ends
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pipeline.jobs.decoder_process", json.dumps(self._options.stored())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | ONE_THREAD | KEEP_MEMORY | {"TMPDIR": str(self._scratch.path)},
            start_new_session=True,  # Ctrl-C is for the run, not for the clip that happens to be decoded
        )
        with suppress(OSError):  # a user may hold 64 MiB in pipes: 32 decoders have less then, and need more turns
            fcntl.fcntl(cast(BinaryIO, self._child.stdout), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._served = 0
        try:
            self._line(time.monotonic() + START_SECONDS)
        except (DecoderDied, DecoderTimeout) as error:
            said = getattr(error, "said", "") or f"no answer within {START_SECONDS:g} seconds"
            raise WorkFailed(f"The decoder process ({self._options.decoder}) does not start: {said}.") from error
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._reap()

    def _reap(self) -> int:
        child = cast(subprocess.Popen[bytes], self._child)
        code = child.wait()
        _kill_session(child.pid)
        for pipe in (child.stdin, child.stdout):
            try:
                cast(BinaryIO, pipe).close()
            except BrokenPipeError:  # an unsent request in the buffer of a dead child's pipe
                continue
        self._child = None
        self._scratch.close()
        return code

    def _death(self) -> DecoderDied:
        code = self._reap()
        self._errors.seek(max(0, os.fstat(self._errors.fileno()).st_size - 4096))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return DecoderDied(code, lines[-1][:300] if lines else "")

    # --- reading with a deadline ---

    def _line(self, deadline: float, received: bytes = b"") -> tuple[dict[str, object], bytes]:
        """One answer's header and the bytes that came with it; `received` came with the one before."""
        while b"\n" not in received:
            received += self._receive(1 << 16, deadline)
        line, rest = received.split(b"\n", 1)
        return json.loads(line), rest

    def _members(self, sizes: dict[str, int], received: bytes, deadline: float) -> dict[str, bytes]:
        content = bytearray(received)
        while len(content) < sum(sizes.values()):
            content += self._receive(1 << 20, deadline)
        members, start = {}, 0
        for name, size in sizes.items():
            members[name] = bytes(content[start : start + size])
            start += size
        return members

    def _receive(self, most: int, deadline: float) -> bytes:
        stdout = cast(BinaryIO, cast(subprocess.Popen[bytes], self._child).stdout).fileno()
        waiting = select.poll()
        waiting.register(stdout, select.POLLIN)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self.close()
            raise DecoderTimeout
        if not (content := os.read(stdout, most)):
            raise self._death()
        return content
