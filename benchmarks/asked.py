"""Contenders in processes of their own, which work only when they are asked to: nobody runs beside another.

with asked("benchmarks.training.threads", ["--steps-of", "2"], os.environ) as ask:
    first, second = ask(), ask()              # what that process gave to `answer_with`, each time
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.measure import ROOT


@contextmanager
def asked(module: str, words: Iterable[str], environment: Mapping[str, str]) -> Iterator[Callable[[], Any]]:
    """Start `python -m module words`; what is yielded asks it for one answer. It ends with the context."""
    command, pipe = [sys.executable, "-m", module, *words], subprocess.PIPE
    with subprocess.Popen(command, bufsize=0, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe) as child:

        def ask() -> Any:
            assert child.stdin is not None
            assert child.stdout is not None
            with suppress(BrokenPipeError):
                child.stdin.write(b"\n")
            if not (line := child.stdout.readline()):
                raise RuntimeError(f"{' '.join(command[1:])} ended without an answer; it says why above")
            return json.loads(line)

        yield ask


def answer_with(work: Callable[[], object]) -> None:
    """In such a process: do the work whenever it is asked for, until nobody asks any more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the work prints is no answer
    for _ in sys.stdin:
        print(json.dumps(work()), file=answers, flush=True)
