"""`training serve` as a process of its own, and a real browser that looks at what it serves."""

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

READY, ADDRESS = "Ctrl-C", re.compile(r"page +(http://\S+)")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ENDS_WITHIN = 20.0  # seconds
MOVED = """([content, name]) => {
  const moved = new DataTransfer();
  moved.items.add(new File([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], name));
  return moved;
}"""
needs_gradio = pytest.mark.skipif(not find_spec("gradio"), reason="gradio is not installed: the extra demo")


@dataclass
class Server:
    """A server that is ready. `work` is where its temporary files lie, `said` what it has printed so far."""

    process: subprocess.Popen[str]
    work: Path
    log: Path
    said: str = ""

    @property
    def address(self) -> str:
        found = ADDRESS.search(self.said)
        assert found, self.said
        return found[1]

    @property
    def errors(self) -> str:
        return self.log.read_text()

    def files(self, folder: str) -> list[Path]:
        """What visitors have in `uploads` or `results`; folders may go while they are looked into."""
        walked = (found for root in self.work.glob("*-serve-*") for found in os.walk(root / folder))
        return [Path(place, name) for place, _, names in walked for name in names]

    @property
    def desks(self) -> list[int]:
        """The processes that hold the models, by their numbers."""
        own = self.process.pid
        children = Path(f"/proc/{own}/task").glob("*/children")
        numbers = [int(number) for each in children for number in each.read_text().split()]
        return [number for number in numbers if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, as a terminal sends Ctrl-C: to the process alone. Returns the exit code."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=ENDS_WITHIN)
        self.said += rest
        return self.process.returncode


@contextmanager
def serving(work: Path, *arguments: object, **environment: str) -> Iterator[Server]:
    """Serve on a free port until the block ends. The test fails with what the server said where it does not start."""
    work.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "training", "serve", *map(str, arguments), "--port", "0", "--device", "cpu"]
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(work), "OMP_NUM_THREADS": "1", **environment}
    log = work.parent / f"{work.name}.log"
    with open(log, "w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=work, env={**os.environ, **own}
        )
    server = Server(process, work, log)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            server.said += line
            if READY in line:
                break
        assert READY in server.said, server.said + server.errors
        yield server
    finally:
        process.kill()
        with suppress(ValueError):  # it was read to its end
            process.communicate()


@dataclass
class Watched:
    """A page in a browser, with everything that it asked for and complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def outside(self, address: str) -> list[str]:
        """Requests to anything but this server."""
        return [url for url in self.requests if not url.startswith((address, "data:", "blob:"))]

    @property
    def is_too_wide(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium through playwright. The test skips and says what is absent where it cannot run."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=options)
        yield opened
        opened.close()


@contextmanager
def watched(opened: Any, address: str, width: int = 1280, colours: str = "light") -> Iterator[Watched]:
    """A visit to the page, as wide as asked for; closed at the end."""
    visit = opened.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
    seen = Watched(visit.new_page())
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.set_default_timeout(60_000)
    seen.page.goto(address)
    seen.page.wait_for_selector("#result .empty")
    yield seen
    visit.close()


def dropped(page: Any, path: Path, field_id: str = "video", name: str | None = None) -> None:
    """Choose a file, under another name where one is given."""
    given = path if name is None else {"name": name, "mimeType": "", "buffer": path.read_bytes()}
    page.set_input_files(f"#{field_id} input[type=file]", given)


def dragged(page: Any, path: Path, field_id: str, name: str) -> None:
    """Drop a file, under a name of which a browser does not know what it says."""
    moved = page.evaluate_handle(MOVED, [base64.b64encode(path.read_bytes()).decode(), name])
    page.dispatch_event(f"#{field_id} input[type=file] >> xpath=..", "drop", {"dataTransfer": moved})
