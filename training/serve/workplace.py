"""Where the files of visitors lie while the page is open: one private folder, emptied as time passes, gone at the end.

Uploads lie by their content's hash, as gradio puts them; results in folders of visits, by names nobody can guess.
What a visit left goes when its page is closed, everything else after KEPT, and what a server that was killed left
behind when the next one starts. A request that uploads does not say whose page it is of; the page names the file as
soon as it has it. Where it never does, since it was closed at that moment, the file goes after UNCLAIMED.
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
UNCLAIMED = 60.0  # seconds that a file waits for its page
LATE = 10.0  # seconds after a page was closed that a request of it may still be under way
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
        self._unclaimed: dict[Path, list[float]] = defaultdict(list)  # when each of its uploads ended
        self._left: dict[str, float] = {}  # visits whose pages were closed just now
        self._arriving = 0
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

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """While files are sent, which gradio writes beside the folders of those that lie here whole. Once none is sent
        any more, what lies there is of no use."""
        with self._lock:
            self._arriving += 1
        try:
            yield
        finally:
            with self._lock:
                self._arriving -= 1
                parts = [] if self._arriving else [path for path in self.uploads.iterdir() if path.is_file()]
                for path in parts:
                    path.unlink(missing_ok=True)

    def arrived(self, given: str) -> Path:
        """A file was sent, and lies here until its visit uses it. Returns its path, without the leading dot that
        gradio would not take back."""
        path = _shown(Path(given))
        with self._lock:
            self._unclaimed[path].append(time.time())
        return path

    def use(self, visit: str, given: str) -> Path:
        """A file that a visit gave, by the path that its browser names. ValueError for one that is not there, or not of
        visitors. It counts as used now, and as this visit's.
        """
        path = Path(os.path.realpath(given))
        if not self.holds(given) or not path.is_file():
            raise ValueError(given)
        if path.is_relative_to(self.uploads):
            self._claim(visit, path)
            os.utime(path)
        return path

    def _claim(self, visit: str, path: Path) -> None:
        with self._lock:
            if time.time() - self._left.get(visit, 0.0) < LATE:
                raise ValueError(str(path))
            self._users[path].add(visit)
            self._forget(path)

    def _forget(self, path: Path) -> None:
        """The oldest upload of a file waits no longer."""
        if ended := self._unclaimed.get(path):
            del ended[0]
        if not ended:
            self._unclaimed.pop(path, None)

    def holds(self, given: str) -> bool:
        """Whether a path leads to what visitors sent, or to an example."""
        try:
            path = os.path.realpath(given)
        except ValueError:  # a null byte
            return False
        return any(Path(path).is_relative_to(folder) for folder in (self.uploads, self.examples))

    def leave(self, visit: str) -> None:
        """A page was closed: its results go, and the uploads that no other visit uses."""
        now = time.time()
        with self._lock:
            self._left = {each: at for each, at in self._left.items() if now - at < LATE} | {visit: now}
            folder = self._folders.pop(visit, None)
            self._results.pop(visit, None)
            for users in self._users.values():
                users.discard(visit)
            self._remove_unused()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_unused(self) -> None:
        """Files that visits used, and none does any more."""
        unused = [path for path, users in self._users.items() if not users and path not in self._unclaimed]
        for path in unused:
            del self._users[path]
            _remove(path)

    def sweep(self, now: float | None = None) -> int:
        """Delete files of visits that were last used more than KEPT ago, those that wait in vain, and folders that are
        empty. How many went."""
        now = time.time() if now is None else now
        old = [path for path in self._files() if path.stat().st_mtime < now - KEPT]
        for path in old:
            _remove(path)
        return len(old) + self._sweep_unclaimed(now - UNCLAIMED)

    def _sweep_unclaimed(self, before: float) -> int:
        with self._lock:
            late = [path for path, ended in self._unclaimed.items() if ended[0] < before]
            for path in late:
                while (ended := self._unclaimed.get(path)) and ended[0] < before:
                    self._forget(path)
            vain = [path for path in late if path not in self._unclaimed and not self._users.get(path)]
            vain = [path for path in vain if path.exists()]
            for path in vain:
                _remove(path)
        return len(vain)

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


def _shown(path: Path) -> Path:
    """A file under a name that begins with no dot; it is renamed where it does."""
    if not path.name.startswith("."):
        return path
    shown = path.with_name(path.name.lstrip(".") or "file")
    with suppress(FileNotFoundError):  # the same file was sent twice at once
        path.replace(shown)
    return shown


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
