"""The plans of benchmarks/methods: every entry must describe a run that today's code accepts."""

from pathlib import Path

import pytest
from places import ROOT

METHODS = ROOT / "benchmarks" / "methods"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_every_entry_of_a_plan_describes_a_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.plan import describe, read_plan

    plan = read_plan(METHODS / f"{name}.yaml")
    entries = {entry.name: entry for entry in (*plan.methods, *plan.ablations)}
    assert len(entries) == len(plan.methods) + len(plan.ablations)
    for entry in entries.values():
        config = describe(plan, entry, plan.seeds[0], 0.15 if entry.temperatures else None)
        assert config.data.train_list == "train.txt"
        assert entry.temperature_of in {None} | entries.keys()
        assert entry.neighbours in {None, "random"} | entries.keys()
