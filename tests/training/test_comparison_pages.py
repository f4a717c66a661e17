"""The pages of benchmarks/methods say what the committed figures say."""

import json

import pytest
from places import ROOT

METHODS = ROOT / "benchmarks" / "methods"


@pytest.mark.parametrize("name", ["cpu", "moving", "real", "surroundings"])
def test_pages_and_the_readme_have_the_tables_of_the_figures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.summary import methods_table, page

    figures = json.loads((METHODS / f"{name}.json").read_text())
    assert (METHODS / f"{name}.md").read_text() == page(figures, name)
    assert "\n".join(methods_table(figures)) in (ROOT / "benchmarks" / "README.md").read_text()
