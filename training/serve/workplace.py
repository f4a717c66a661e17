"""Where the files of visitors lie while the page is open: one private folder, emptied as time passes, gone at the end.

Uploads lie by their content's hash, as gradio puts them; results in folders of visits, by names nobody can guess.
What a visit left goes when its page is closed, everything else after KEPT, and what a server that was killed left
behind when the next one starts.
"""

import os
import secrets
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manifests.files.temporary import temporary_folder

KEPT = 3600.0  # seconds after its last use that a file stays, at most
SWEPT = 60.0  # seconds between two looks
RESULTS_OF_A_VISIT = 8  # earlier ones go


class Workplace:
    """The folder and who uses what in it; used by many threads at once."""

    def __init__(self, root: Path) -> None:
        root = root.resolve()
        self.uploads, self.results, self.examples = root / "uploads", root / "results", root / "examples"
        for folder in (self.uploads, self.results, self.examples):
            folder.mkdir()
        self.root = root
        self._folders: dict[str, Path] = {}
        self._results: dict[str, list[Path]] = defaultdict(list)
        self._users: dict[Path, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def new_result(self, visit: str) -> Path:
        """An empty folder for one result of a visit; of its earlier results the oldest go."""
        with self._lock:
            folder = self._folders.setdefault(visit, self.results / secrets.token_urlsafe(16))
            made = folder / secrets.token_urlsafe(8)
            made.mkdir(parents=True)
            mine = self._results[visit]
            mine.append(made)
            old, self._results[visit] = mine[:-RESULTS_OF_A_VISIT], mine[-RESULTS_OF_A_VISIT:]
        for each in old:
            shutil.rmtree(each, ignore_errors=True)
        return made

    def use(self, visit: str, given: str) -> Path:
        """A file that a visit gave, by the path that its browser names. ValueError for one that is not there, or not of
        visitors. It counts as used now, and as this visit's.
        """
        path = Path(os.path.realpath(given))
        if not self.holds(given) or not path.is_file():
            raise ValueError(given)
        if path.is_relative_to(self.uploads):
            os.utime(path)
            with self._lock:
                self._users[path].add(visit)
        return path

    def holds(self, given: str) -> bool:
        """Whether a path leads to what visitors sent, or to an example."""
        try:
            path = os.path.realpath(given)
        except ValueError:  # a null byte
            return False
        return any(Path(path).is_relative_to(folder) for folder in (self.uploads, self.examples))

    def leave(self, visit: str) -> None:
        """A page was closed: its results go, and the uploads that no other visit uses."""
        with self._lock:
            folder = self._folders.pop(visit, None)
            self._results.pop(visit, None)
            for users in self._users.values():
                users.discard(visit)
            unused = [path for path, users in self._users.items() if not users]
            for path in unused:
                del self._users[path]
        for path in unused:
            _remove(path)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, now: float | None = None) -> int:
        """Delete files of visits that were last used more than KEPT ago, and folders that are empty. How many went."""
        before = (time.time() if now is None else now) - KEPT
        old = [path for path in self._files() if path.stat().st_mtime < before]
        for path in old:
            _remove(path)
        return len(old)

    @property
    def size(self) -> int:
        """Bytes of all files of visits."""
        return sum(path.stat().st_size for path in self._files())

    def _files(self) -> Iterator[Path]:
        for folder in (self.uploads, self.results):
            for path in folder.rglob("*"):
                with suppress(FileNotFoundError):  # it went in the meantime
                    if path.is_file():
                        yield path


def _remove(path: Path) -> None:
    """Delete a file, and the folder that was made for it."""
    path.unlink(missing_ok=True)
    with suppress(OSError):  # another file lies beside it
        path.parent.rmdir()


@contextmanager
def workplace(above: Path | None = None) -> Iterator[Workplace]:
    """A new workplace in the system's temporary folder, or `above`; gone at the end, with what dead servers left."""
    ended = threading.Event()
    with temporary_folder("serve", above) as root:
        try:
            place = Workplace(root)
            threading.Thread(target=_keep_sweeping, args=(place, ended), name="sweeper", daemon=True).start()
            yield place
        finally:
            ended.set()


def _keep_sweeping(place: Workplace, ended: threading.Event) -> None:
    while not ended.wait(SWEPT):
        with suppress(OSError):
            place.sweep()
