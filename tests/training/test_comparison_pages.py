"""The pages of benchmarks/methods say what the committed figures say."""

import json
from pathlib import Path

import pytest
from places import ROOT

METHODS = ROOT / "benchmarks" / "methods"


@pytest.mark.parametrize("name", ["cpu", "moving", "real", "real-vggss", "surroundings"])
def test_pages_and_the_readme_have_the_tables_of_the_figures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.summary import methods_table, page

    figures = json.loads((METHODS / f"{name}.json").read_text())
    assert (METHODS / f"{name}.md").read_text() == page(figures, name)
    assert "\n".join(methods_table(figures)) in (ROOT / "benchmarks" / "README.md").read_text()


@pytest.mark.parametrize("path", sorted(METHODS.glob("*-several-sources.json")), ids=lambda path: path.stem)
def test_pages_of_several_sources_have_the_tables_of_the_figures(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.several_sources_page import page

    assert path.with_suffix(".md").read_text() == page(json.loads(path.read_text()), path.stem)
