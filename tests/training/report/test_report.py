"""The report page as a whole: what it holds, what it says of what is missing, what it refuses."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import InputError
from manifests.files.checksums import sealed
from training.report.page import size_in_words, write_report
from training.report.results import read_run
from training.report.tables import score_tables


class Page(HTMLParser):
    """The parts of a page the tests ask about."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, runs: list[Path], shards: Path) -> Page:
    return Page(write_report(runs, shards, tmp_path_factory.mktemp("out") / "report")[0])


def test_page_needs_nothing_outside_itself(page: Page) -> None:
    links = [attributes.get(name) or "" for _, attributes in page.tags for name in ("src", "href")]
    assert all(link.startswith(("data:", "#")) for link in links if link)
    assert "http" not in re.sub(r"data:[^\"]+", "", page.source).replace("http-equiv", "")
    assert len(page.source) < 8e6


def test_images_and_tables_are_described(page: Page) -> None:
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all(attributes.get("aria-label") for attributes in page.all("svg"))
    assert all(attributes.get("scope") for attributes in page.all("th"))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_names_from_files_are_escaped(page: Page) -> None:
    assert "weak&lt;b&gt;&amp;" in page.source
    assert "weak<b>" not in page.source


def test_every_score_and_its_context_is_on_the_page(page: Page, runs: list[Path]) -> None:
    for protocol in ("ezvsl", "adaptive"):
        facts = json.loads((runs[0] / "evaluation" / f"synth-vggss.{protocol}.json").read_text())
        for scores in (*facts["scores"].values(), *facts["floors"].values(), facts["ceiling"]):
            assert f"{100 * scores['ciou50']:.1f}" in page.text


def test_warnings_in_plain_words(page: Page, scenes: list[Any]) -> None:
    assert "has not finished training" in page.text
    assert "scored 37 of 40 clips; missing: " in page.text
    assert scenes[0].annotation.key in page.text


def test_published_numbers_have_their_gap(runs: list[Path], page: Page) -> None:
    ours = json.loads((runs[0] / "evaluation" / "synth-vggss.ezvsl.json").read_text())["scores"]["audio_visual"]
    assert "35.5" in page.text
    gap = f"{100 * (ours['ciou50'] - 0.2385):+.1f}".replace("-", "\N{MINUS SIGN}")
    assert gap in page.text


def test_another_protocol_or_truth_is_another_table(tmp_path: Path, invent: Callable[..., Path]) -> None:
    one, other = invent("one"), invent("other")
    path = other / "evaluation" / "synth-vggss.ezvsl.json"
    facts = json.loads(path.read_text())
    facts["protocol"]["comparator"] = ">"
    path.write_text(json.dumps(sealed(facts)))
    tables = score_tables([read_run(one), read_run(other)], ["one", "other"])
    assert [len([group for group in table.groups if group.kind == "run"]) for table in tables] == [1, 1, 2]
    page = Page(write_report([one, other], None, tmp_path / "report")[0])
    assert "More than one table for synth-vggss under ezvsl" in page.text


def test_gallery_plays_what_exists_and_says_what_does_not(page: Page) -> None:
    players, cards = page.all("audio"), page.all("article")
    assert 12 <= len(cards) <= 24
    assert len(players) + page.text.count("The source video") == len(cards)
    assert len({attributes["src"] for attributes in players}) == len(players)


def test_without_shards_there_is_no_gallery_but_a_page(runs: list[Path], tmp_path: Path) -> None:
    path, without = write_report(runs, None, tmp_path)
    page = Page(path)
    assert "give --shards" in without
    assert size_in_words(412_000) == "412 kB"
    assert size_in_words(1_260_000) == "1.3 MB"
    assert "No gallery" in page.text
    assert page.all("table")
    assert not page.all("article")


def test_run_without_evaluation_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "bare" / "00000000-s0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: bare\nmethod: {name: ezvsl}\nseed: 0\n")
    page = Page(write_report([folder], None, tmp_path / "report")[0])
    assert "Not evaluated: bare" in page.text


def test_bad_input(tmp_path: Path, runs: list[Path], invent: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="no run"):
        write_report([], None, tmp_path)
    with pytest.raises(InputError, match="not a run folder"):
        write_report([tmp_path / "absent"], None, tmp_path)
    with pytest.raises(InputError, match="absent-shards"):
        write_report(runs, tmp_path / "absent-shards", tmp_path)
    broken = invent("broken")
    (broken / "evaluation" / "synth-vggss.ezvsl.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        write_report([broken], None, tmp_path)
