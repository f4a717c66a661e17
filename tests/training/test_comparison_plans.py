"""The plans of benchmarks/methods: every entry must describe a run that today's code accepts."""

from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from typed_commands import check_call

METHODS = ROOT / "benchmarks" / "methods"
PLANS = ["cpu", "gpu", "gpu-real", "gpu-surroundings", "moving", "real", "surroundings"]


@pytest.mark.parametrize("name", PLANS)
def test_every_entry_of_a_plan_describes_a_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.plan import describe, read_plan

    plan = read_plan(METHODS / f"{name}.yaml")
    entries = {entry.name: entry for entry in (*plan.methods, *plan.ablations)}
    assert len(entries) == len(plan.methods) + len(plan.ablations)
    for entry in entries.values():
        config = describe(plan, entry, plan.seeds[0], 0.15 if entry.temperatures else None)
        mixed = "collage-shards" in str(config.data.shards)
        assert config.data.train_list == ("collages.txt" if mixed else "train.txt")
        assert entry.begins_with in {None} | entries.keys()
        assert entry.temperature_of in {None} | entries.keys()
        assert entry.neighbours in {None, "random"} | entries.keys()


@pytest.mark.parametrize("size", ["", "gpu"])
def test_drawn_beds_say_which_world_they_are(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults of `pipeline synth` may change; what was measured on a bed stays."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.plan import read_plan
    from benchmarks.methods.prepare import flags

    worlds = {
        size or "cpu": ["--surroundings", "0", "--rivals"],
        f"{size}-surroundings".removeprefix("-"): ["--surroundings", "0.8", "--distractors", "0.2"],
    }
    for name, world in worlds.items():
        asked = flags(read_plan(METHODS / f"{name}.yaml").corpus)
        assert asked[:1] + asked[2:3] == ["--clips", "--seed"]
        assert asked[4:] == world
        check_call("pipeline", ["synth", *asked], complete=True)


@pytest.mark.parametrize("name", [name for name in PLANS if name != "moving"])
def test_fnacs_weights_scale_with_the_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.plan import read_plan

    plan = read_plan(METHODS / f"{name}.yaml")
    fnac = next(entry for entry in plan.methods if entry.name == "fnac").sections["method"]
    wanted = 100 * plan.common["optim"]["batch_size"] / 256
    assert all(fnac[term] == wanted for term in ("audio_suppression", "enhancement", "visual_suppression"))


@pytest.mark.parametrize("bed", ["", "-real", "-surroundings"])
def test_the_plans_for_a_gpu_have_every_method_of_those_for_a_cpu(bed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.plan import read_plan

    small, large = (read_plan(METHODS / f"{name}.yaml") for name in (bed.removeprefix("-") or "cpu", f"gpu{bed}"))
    assert {entry.name for entry in large.methods} == {entry.name for entry in small.methods}


@pytest.mark.parametrize(
    ("only", "ablated", "methods", "ablations"),
    [
        (["avol"], False, ["avol"], []),
        (["avol"], True, ["avol"], ["avol_long"]),
        (["avol_long"], False, [], ["avol_long"]),
        (["avol_long"], True, [], ["avol_long"]),
        (["avol", "hardpos_k10"], False, ["avol"], ["hardpos_k10"]),
    ],
    ids=["a method", "a method and its ablations", "an ablation", "an ablation, which has none", "both by name"],
)
def test_entries_are_measured_by_name(
    only: list[str], ablated: bool, methods: list[str], ablations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.compare import Comparison
    from benchmarks.methods.plan import read_plan

    asked = Comparison(read_plan(METHODS / "cpu.yaml"), 1, only, ablated=ablated)
    assert [entry.name for entry in asked.methods] == methods
    assert [entry.name for entry in asked.ablations] == ablations


def test_measuring_again_replaces_the_lines_of_its_entries_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.merge import merged_figures

    def line(entry: str, seed: int, score: float) -> dict:
        return {"entry": entry, "seed": seed, "score": score}

    head = dict.fromkeys(("machine", "hardware", "versions", "gpu", "commit"), "old")
    before = {**head, "command": "all", "plan": "old", "chosen_temperatures": {"a": 1, "b": 2}, "neighbours": {"x": 1}}
    before |= {"runs": [line("a", 0, 0.1), line("b", 0, 0.2)], "context": {"set": {"old": 1}}}
    found = {**head, "command": "some", "plan": "new", "chosen_temperatures": {"b": 3}, "neighbours": {}}
    found |= {
        "runs": [line("b", 0, 0.7), line("b", 1, 0.8)],
        "context": {"set": {"old": 2, "new": 2}, "other": {"new": 3}},
    }
    both = merged_figures(before, found)
    assert both["runs"] == [line("a", 0, 0.1), line("b", 0, 0.7), line("b", 1, 0.8)]
    assert both["chosen_temperatures"] == {"a": 1, "b": 3}
    assert (both["command"], both["plan"]) == ("all", "new")
    assert both["context"] == {"set": {"old": 1, "new": 2}, "other": {"new": 3}}
    assert [one["entries"] for one in both["measured_again"]] == [["b"]]
    assert len(merged_figures(both, found)["measured_again"]) == 1


def test_boxes_and_what_belongs_to_the_image_have_tables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.summary import boxes_table, onscreen_table

    def line(entry: str, seed: int, **boxes: float) -> dict:
        answers = {part: {"boxes": {"audio_visual": {"ciou50": value}}} for part, value in boxes.items()}
        scores = {f"synth-vggss-{part}": answers.get(part, {}) for part in ("heard", "unheard")}
        return {"entry": entry, "seed": seed, "temperature": None, "scores": scores}

    runs = [line("regions", 0, heard=0.2, unheard=0.1), line("regions", 1, heard=0.4, unheard=0.2), line("maps", 0)]
    plan = {"methods": {"regions": {}, "maps": {}}, "ablations": {}}
    result = {"plan": plan, "chosen_temperatures": {}, "runs": runs}
    assert boxes_table(result)[2:] == ["| regions | 30.0 (20.0 .. 40.0) | 15.0 (10.0 .. 20.0) |"]
    assert onscreen_table(result)[2:] == []
    runs[2]["scores"]["synth-vggss-heard"]["onscreen"] = {
        rule: {"accuracy": value} for rule, value in (("m_on", 0.7), ("d_on", 0.6), ("either", 0.65))
    }
    assert onscreen_table(result)[2:] == ["| maps | 70.0 |  | 60.0 | 65.0 |  |"]
    runs[2]["scores"]["synth-vggss-heard"]["onscreen_validated"] = {
        rule: {"accuracy": value} for rule, value in (("m_on", 0.4), ("d_on", 0.6), ("either", 0.55))
    }
    assert onscreen_table(result)[2:] == ["| maps | 70.0 | 40.0 | 60.0 | 65.0 | 55.0 |"]
    known = {
        "boxes": {"floors": {"centred_disc": {"ciou50": 0.125}}},
        "onscreen": {"floors": {"always": {"accuracy": 0.5}}},
    }
    result["context"] = {f"synth-vggss-{part}": known for part in ("heard", "unheard")}
    assert boxes_table(result)[3:] == ["| floor: centred disc | 12.5 | 12.5 |"]
    assert onscreen_table(result)[3:] == ["| floor: always | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 |"]


def test_a_floor_that_runs_have_beside_their_map_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results name no floor of average precision: the object prior's stands beside the map of runs that have one."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.summary import _floor

    both = {"audio_visual": {"ap_textbook": 0.4}, "object_prior": {"ap_textbook": 0.2}}
    runs = [{"scores": {"extended_synth-extended": {"slavc_relative": each}}} for each in ({}, both)]
    result = {"plan": {}, "runs": runs}
    assert _floor(result, "object_prior", "AP textbook") == "20.0"
    assert _floor(result, "centred_disc", "AP textbook") == ""


def test_where_a_map_asked_for_one_of_two_heard_objects_is_highest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.methods.collages import _place_of

    quarters = ((0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 0.9), (0.5, 0.6, 1, 1))
    heard = {"flute": True, "guitar": True, "cat": False, "dog": False}
    objects = {name: (heard[name], np.array([box])) for name, box in zip(heard, quarters, strict=True)}
    cells = [np.eye(1, 100, row * 10 + column).reshape(10, 10) for row, column in ((1, 1), (1, 8), (8, 1), (5, 9))]
    assert [_place_of(one, objects, "flute") for one in cells] == ["itself", "other", "silent", "elsewhere"]
