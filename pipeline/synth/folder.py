"""The folder of a made corpus: whose it is, what is missing of it, and many processes that fill it.

`options.json` says from the start what was asked for, `corpus.json` at the end what was made. Every file of a corpus
depends on the options and its own number alone, so that a run that was stopped goes on with the same command.
"""

import errno
import json
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from manifests.errors import InputError, WorkFailed
from manifests.files.content import read_object
from manifests.files.locks import held_from_beside
from manifests.files.outputs import kind_of_folder, names_in
from pipeline.console import progress
from pipeline.media.encode import EncodingFailed
from pipeline.storage.files import remove_leftovers, write_whole

OPTIONS, CORPUS = "options.json", "corpus.json"
REMEDY = "Give another folder, or delete that one"  # where the corpus of a folder is another
Counts = dict[str, object]
Item = TypeVar("Item")
Made = TypeVar("Made")


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """One command at a time; failures of the folder's disk and of the processes, each as a sentence."""
    try:
        with held_from_beside(out):
            yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkFailed(f"{out} is full: {error.strerror}. Free some space; the same command goes on") from error
        raise InputError(f"--out {out} cannot be written: {error}. Choose a folder that you may write to") from error
    except (EncodingFailed, BrokenProcessPool) as error:
        raise WorkFailed(f"making the clips of {out} stopped: {error}. The same command goes on from there") from error


def check_workers(workers: int) -> None:
    """InputError when nobody would do the work."""
    if workers < 1:
        raise InputError(f"--workers {workers}: at least one process has to do the work")


def claim(out: Path, options: Mapping[str, object], kind: str, remedy: str = REMEDY) -> Counts | None:
    """Make `out` the folder of this corpus. Returns the counts if it is finished; InputError if it is another's."""
    held = check_claim(out, options, kind, remedy)
    if held is None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / OPTIONS, json.dumps(options).encode())
        return None
    _check_same(out, held, options, remedy)
    return _read_json(out / CORPUS)["counts"] if (out / CORPUS).exists() else None


def check_claim(out: Path, options: Mapping[str, object], kind: str, remedy: str = REMEDY) -> dict[str, Any] | None:
    """InputError if `out` is another's, as far as these options tell, of which some may not be known yet. Returns its
    own options; None for a new folder."""
    if not (out / OPTIONS).exists():
        if out.exists() and (not out.is_dir() or names_in(out)):
            held = kind_of_folder(names_in(out))
            what = f"holds {held}" if held else "exists"
            raise InputError(f"--out {out} {what} and is no {kind} corpus; give a new or an empty folder")
        return None
    held = _read_json(out / OPTIONS)
    _check_same(out, {name: held[name] for name in options if name in held}, options, remedy)
    return held


def _check_same(out: Path, held: Mapping[str, object], options: Mapping[str, object], remedy: str) -> None:
    if held != options:
        raise InputError(
            f"--out {out} holds a corpus of other options ({json.dumps(held)}), asked for now: {json.dumps(options)}. "
            + remedy
        )


def _read_json(path: Path) -> dict[str, Any]:
    return read_object(path, remedy="Delete its folder and start again.")


def remove_unfinished(*folders: Path) -> None:
    """Clear away what a run that was killed left half written."""
    for folder in folders:
        remove_leftovers(folder)


@dataclass(frozen=True)
class Workers:
    """Processes that work at once, or one thread."""

    pool: Executor
    count: int

    def shown(self, title: str, make: Callable[[Item], Made], items: Sequence[Item], unit: str) -> Iterator[Made]:
        """Map `make` over the items in order, showing progress."""
        chunk = 4 if len(items) > 100 else 1
        with progress(title, len(items), unit, at_once=chunk * self.count) as advance:
            wait([self.pool.submit(_got_ready, make) for _ in range(self.count)])
            advance(0)
            for made in self.pool.map(make, items, chunksize=chunk):
                advance(1)
                yield made


def _got_ready(_make: Callable[..., Any]) -> None:
    """Being given what it will call, a process has loaded the modules for it."""


@contextmanager
def processes(workers: int) -> Iterator[Workers]:
    """Worker processes, or a thread where one is asked for; what waits for them is dropped when the block fails."""
    with ThreadPoolExecutor(1) if workers == 1 else _processes(workers) as pool:
        try:
            yield Workers(pool, workers)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    """Have this process end when the one that started it does, which may be killed and tell nobody."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_wait_for_end, args=(parent.sentinel,), name="parent", daemon=True).start()


def _wait_for_end(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def write_description(out: Path, content: Mapping[str, object]) -> None:
    """Say what was made, last of all, when all of it is on the disk."""
    os.sync()
    write_whole(out / CORPUS, json.dumps(content, indent=2).encode())
