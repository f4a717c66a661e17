"""How a command ends: its exit code, and on standard error one paragraph for a person where it failed.

0: done. 1: the work could not be finished: a full disk, a closed output, too little memory. 2: what was given cannot be
used. 75: it was asked to stop, the same command goes on. Whatever else escapes is a defect of this project, with its
traceback.

Of several processes that torchrun started, the first one says it; what the others would say stands in the summary that
torchrun prints of those that failed.
"""

import atexit
import errno
import io
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from manifests.errors import InputError, Interrupted, Saved, WorkFailed
from manifests.files.given import printable, reason, shortened

WORK_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 75
LONGEST_PARAGRAPH = 4000  # characters
LAUNCHERS_FILE = "TORCHELASTIC_ERROR_FILE"  # set by torchrun: what is written there, it prints when all have ended
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1)  # SIGUSR1: Slurm, before time is up
GOES_ON = "The same command goes on from what is saved."  # training has checkpoints, evaluation what is written
READER_LEFT = "What reads the output of this command ended before all of it was written."
# torch's words for it, python's where there is none for the stack of a thread, the linker's where none for a library
_NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|bad_alloc|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
_READER_DIED = re.compile(r"DataLoader worker .*(exited|killed)")  # torch says it in a signal's handler: anywhere


def run_to_its_end(command: Callable[[], object]) -> None:
    """Call a command and leave the process as it ends: with what is left to print written, or a sentence and its code.

    Raises SystemExit, always; anything unforeseen as it is.
    """
    _check_streams()
    threading.excepthook = _of_thread
    code: int | str | None = WORK_FAILED
    try:
        with _ended_by_signals():
            code = _exit_code(command)
            sys.stdout.flush()
    except InputError as error:
        _fail("bad input", str(error), BAD_INPUT)
    except Interrupted as error:
        _fail("stopped", str(error), INTERRUPTED, done=isinstance(error, Saved))
    except UnicodeEncodeError as error:
        where = error.object[max(0, error.start - 40) : error.end + 40]
        _fail("bad input", f"A name is not UTF-8, near {printable(where)!r}. Give it another.", BAD_INPUT)
    except (WorkFailed, OSError, MemoryError, RuntimeError, ImportError) as error:
        if (said := _in_words(error)) is None:
            _defect()
            raise
        _fail("failed", said, WORK_FAILED)
    except Exception:
        _defect()
        raise
    _let_no_signal_change_it()
    sys.exit(code)


def _let_no_signal_change_it() -> None:
    """The command has ended; python needs half a second to follow it where torch is loaded, and the code is said.

    Signals are ignored when that begins, and not before: this process may be one that goes on, and a thread for which
    python waits first could hang.
    """
    atexit.unregister(_ignore_signals)
    atexit.register(_ignore_signals)  # the last one that is registered is called first


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _defect() -> None:
    """Leave a traceback to the launcher, where another process prints its own."""
    if _tell_launcher(traceback.format_exc()):
        sys.exit(WORK_FAILED)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have a signal end the command as an error would, with its temporary files removed and its processes ended.

    One that is ignored stays so (`nohup` ignores SIGHUP). A second signal waits for nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    """A signal's handler."""
    for each in ENDING_SIGNALS:
        if signal.getsignal(each) is _end:
            signal.signal(each, signal.SIG_DFL)
    name = signal.Signals(number).name
    raise Interrupted(f"{name} asked the command to end. Repeat it: it goes on from there, or begins anew.")


def _of_thread(ended: threading.ExceptHookArgs) -> None:
    """A library's thread that cannot write any more says nothing of it: whoever waits for what it writes will."""
    if not isinstance(ended.exc_value, OSError | MemoryError):
        threading.__excepthook__(ended)


def _exit_code(command: Callable[[], object]) -> int | str | None:
    """How the command says that it ended. typer exits without a word when the reader of its output left."""
    try:
        command()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from end
        return end.code
    return 0


def _in_words(error: Exception) -> str | None:
    """A failure that is no defect, as a sentence; None for one that may be."""
    if isinstance(error, WorkFailed):
        return str(error)
    if isinstance(error, BrokenPipeError):
        return READER_LEFT
    if said := of_a_dead_reader(error):
        return said
    if lacks_memory(error):
        return f"There is not enough memory ({reason(error)}). Ask for less at once, such as a smaller batch."
    if isinstance(error, OSError):
        what = f"{error.filename!s}: {error.strerror}" if error.filename and error.strerror else reason(error)
        return f"{what}. {_remedy(error.errno)}"
    return None


def of_a_dead_reader(error: Exception) -> str | None:
    """What to say of torch's error that a reader process was killed; None for any other."""
    if not isinstance(error, RuntimeError) or _READER_DIED.search(str(error)) is None:
        return None
    why = f"A process that reads the shards was killed ({reason(error)})."
    return f"{why} Is there memory for data.workers of them? {GOES_ON}"


def lacks_memory(error: Exception) -> bool:
    """Whether it came of too little memory, whoever says so: python, the system, torch."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and _NO_MEMORY.search(str(error)) is not None
    )


def _remedy(code: int | None) -> str:
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "To go on, free space (or lift the limit on file sizes) and repeat the command."
    return "When that is put right, repeat the command."


def _check_streams() -> None:
    """Standard output can be written, in any characters; no file that is opened takes the place of a closed stream."""
    missing = [number for number in range(3) if not _is_open(number)]
    for _ in missing:
        os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is the missing one
    if 1 in missing or sys.stdout is None:
        _fail("failed", "Standard output is closed. Give it a place, /dev/null for none.", WORK_FAILED)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _fail(kind: str, message: str, code: int, *, done: bool = True) -> None:
    """Say why, and end. What was asked to stop, and saves nothing, is not `done`: a second signal waits for nothing."""
    lines = [printable(line) for line in message.splitlines() if line.strip()]
    said = f"{kind}: {shortened(chr(10).join(lines), LONGEST_PARAGRAPH)}"
    with suppress(OSError, AttributeError):  # nobody can be told
        if not _tell_launcher(said):
            print(said, file=sys.stderr, flush=True)
    _drop_output()
    if done:
        _let_no_signal_change_it()
    sys.exit(code)


def _tell_launcher(said: str) -> bool:
    """Give torchrun what it says of this process that failed; whether that is enough, as the first process prints."""
    path = os.environ.get(LAUNCHERS_FILE)
    if not path or "RANK" not in os.environ:
        return False
    facts = {"extraInfo": {"py_callstack": said, "timestamp": str(int(time.time()))}, "message": said}
    try:
        with open(path, "x", encoding="utf-8") as file:
            json.dump({"message": facts}, file)
    except OSError:
        return False
    return os.environ["RANK"] != "0"


def _drop_output() -> None:
    """Python writes what is left of the output at its end, and would complain of it once more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
