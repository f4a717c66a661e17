"""The page as a browser lays it out, on a desk and on a phone. Skips where no browser is installed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from training.report.page import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (1280, 390)
TABLES = (
    "[...document.querySelectorAll('.scroll')].map(e => [e.clientWidth, e.scrollWidth, getComputedStyle(e).overflowX])"
)
# how far the last image of each row ends from the right edge of its row, in pixels
ROOM = """[...document.querySelectorAll('.images.one-row')].map(row => row.getBoundingClientRect().right
  - row.lastElementChild.getBoundingClientRect().right)"""


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory, runs: list[Path], shards: Path) -> Iterator[Callable[..., Any]]:
    """Evaluates JavaScript on the page at a width."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    path, _ = write_report(runs[:2], shards, tmp_path_factory.mktemp("out") / "report")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        views = {width: browser.new_page(viewport={"width": width, "height": 900}) for width in WIDTHS}
        for view in views.values():
            view.goto(path.as_uri())
        yield lambda width, script: views[width].evaluate(script)
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_and_no_field_is_empty(laid_out: Callable[..., Any], width: int) -> None:
    assert laid_out(width, "document.documentElement.scrollWidth") <= width
    tables = laid_out(width, TABLES)
    assert tables
    assert all(seen == whole or overflow == "auto" for seen, whole, overflow in tables)
    room = laid_out(width, ROOM)
    assert room
    assert max(map(abs, room)) < 2
