"""Several sources of a comparison's runs: which are looked at, what they are asked, and the page of the figures."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from places import ROOT


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def test_finished_runs_at_the_chosen_temperature_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.methods.left_runs import at_chosen_temperatures

    monkeypatch.chdir(tmp_path)
    finished = [
        "lvs_t0.07/aa-s0",
        "lvs_t0.15/bb-s1",
        "lvs_t0.15/bb-s0",
        "avol/cc-s0",
        "avol/dd-s0",
        "dmc/ee-s0",
        "dmc/ff-s0",
    ]
    for age, name in enumerate(finished):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "DONE").touch()
        os.utime(tmp_path / "runs" / name / "DONE", (age, age))
    (tmp_path / "runs/lvs_t0.15/bb-s2").mkdir()  # not finished
    chosen = {"lvs": 0.15, "avol": None, "dmc": None, "fnac": 0.15}
    found = at_chosen_temperatures({"chosen_temperatures": chosen, "runs": [{"run": "runs/avol/cc-s0"}]})
    names = {entry: [str(folder.relative_to("runs")) for folder in folders] for entry, folders in found.items()}
    # of two of a seed that which the figures name, else the last
    assert names == {"lvs": ["lvs_t0.15/bb-s0", "lvs_t0.15/bb-s1"], "avol": ["avol/cc-s0"], "dmc": ["dmc/ff-s0"]}


def test_a_run_is_asked_what_the_collages_shards_and_its_maps_allow() -> None:
    from benchmarks.methods.several_sources import Collages

    collages = Collages("synth-collages", Path("one.csv"), Path("several.csv"), frozenset({"proposals"}))

    def asked(needs: set[str], gives_boxes: bool = False, **members: object) -> list[tuple[str, Path | None]]:
        method = SimpleNamespace(needs=frozenset(needs), gives_boxes=gives_boxes, **members)
        requests = collages.requests(SimpleNamespace(method=method))  # pyrefly: ignore[bad-argument-type]
        return [(request.protocols[0], request.references) for request in requests]

    one, several = (("music_synthetic", path) for path in (collages.one_sound, collages.several_sounds))
    assert asked(set()) == asked({"labels"}) == [one]
    assert asked(set(), class_maps=len, heard_classes=len) == [several]
    assert asked({"proposals"}, gives_boxes=True) == [one, ("boxes", None)]
    assert asked({"burst"}) == asked({"waveform"}) == []


def test_the_page_has_means_over_seeds_floors_and_who_gives_which_maps() -> None:
    from benchmarks.methods.several_sources_page import MIXTURES, page

    def line(entry: str, seed: int, value: float, maps: str, **more: dict[str, float]) -> dict:
        scores = {name: value for score in MIXTURES.values() for name in (score, f"{score}_textbook")}
        maps_of = {"maps_of_mixtures": maps, "maps_of_collages": "sound"}
        lacking = ["burst"] if entry == "late" else []
        return {"entry": entry, "seed": seed, **maps_of, "lacking": lacking, "scores": {"noprior_duet": scores, **more}}

    boxes = {"boxes": {"ciou50": 0.5, "auc": 0.25, "matched_iou": 0.125}}
    floors = {"disc": {"duet_ciou30": 0.125}, "no_maps": dict.fromkeys(MIXTURES.values())}
    figures = {
        "chosen_temperatures": {"early": 0.15, "late": None},
        "not_there": ["never"],
        "rows": [
            line("late", 0, 0.1, "source", **boxes),
            line("early", 0, 0.2, "mixture"),
            line("early", 1, 0.4, "mixture"),
        ],
        "context": {"noprior_duet": {"floors": floors, "ceiling": {}, "n_scored": 3, "n_expected": 4}},
    }
    made = page(figures, "bed-several-sources").splitlines()
    first = next(number for number, row in enumerate(made) if row.startswith("| method"))
    early, late, floor = made[first + 2 : first + 5]
    assert early == "| early (0.15) | mixture |" + " 30.0 (20.0 .. 40.0) |" * 5
    assert late == "| late | source |" + " 10.0 |" * 5
    assert floor == "| floor: disc |  | 12.5 |" + "  |" * 4
    assert "| late | 50.0 | 25.0 | 12.5 |" in made
    assert not any("no maps" in row or "| CIoU@0.3" in row for row in made)  # floors of nothing, tables of nobody
    said = "\n".join(made)
    assert "- Of a mixture these give a map for each source: late.\n- Of a mixture these give one map: early." in said
    assert "late (burst)" in said
    assert "No finished run was there of: never." in said
    assert "`noprior_duet`: 3 of 4." in said
