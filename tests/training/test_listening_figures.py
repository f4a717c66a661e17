"""The table and plot of localization against listening, from a comparison's figures."""

import json
import re
from pathlib import Path

import pytest
from places import ROOT


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def run(entry: str, seed: int, temperature: float | None, validated: float, hears: float, ciou: float) -> dict:
    scores = {"hears": hears, "vssl_ciou": ciou, "f_loc": 0.3, "overlap_offscreen": 1 - hears, "pia_silence": 0.1,
              "pia_noise": 0.2, "pia_offscreen": 0.3, "correlation_offscreen": -0.123, "f_auc": 0.45,
              "auc_n_silence": 0.7, "auc_n_noise": 0.8, "auc_n_offscreen": 0.9}  # fmt: skip
    scores |= {"outside_truth": 0.25} if entry == "lvs" else {}
    every = {"real-vggss-heard": {"vssl_textbook": {"audio_visual": scores}}}
    return {"entry": entry, "seed": seed, "temperature": temperature, "validation": [0, validated], "scores": every}


def figures(**more: object) -> dict:
    runs = [run("lvs", 0, 0.07, 0.2, 0.9, 0.3), run("lvs", 0, 0.15, 0.4, 0.5, 0.2), run("lvs", 1, 0.15, 0.1, 0.7, 0.2),
            run("avol", 0, None, 0.1, 0.8, 0.1), run("changed", 0, None, 0.1, 0.8, 0.1)]  # fmt: skip
    plan = {"bed": "real", "methods": {"lvs": {}, "avol": {}, "later": {}}}
    return {"plan": plan, "runs": runs, "chosen_temperatures": {}} | more


def test_means_and_spreads_over_seeds_at_the_chosen_temperature() -> None:
    from benchmarks.methods.listening import answers, table

    found = answers(figures())
    assert [(one.title, len(one.seeds)) for one in found] == [("avol", 1), ("lvs", 2)]  # who hears more comes first
    heads, _, avol, lvs = ([cell.strip() for cell in row.split("|")] for row in table(found))
    shown = dict(zip(heads, lvs, strict=True))
    assert [shown[head] for head in ("answer", "seeds", "hears", "mean cIoU")] == [
        "lvs",
        "2",
        "60.0 ± 14.1",
        "20.0 ± 0.0",
    ]
    assert [shown[head] for head in ("F_LOC", "F_AUC", "FPR")] == ["30.0 ± 0.0", "45.0 ± 0.0", "25.0 ± 0.0"]
    assert [shown[f"{head}, negatives"] for head in ("pIA", "AUC_N")] == ["20.0 ± 0.0", "80.0 ± 0.0"]
    assert [shown[f"{head}, off-screen"] for head in ("mask IoU", "correlation")] == ["40.0 ± 14.1", "-0.12 ± 0.00"]
    assert lvs[-4:] == ["", "", "", ""]
    assert "±" not in "".join(avol)
    assert dict(zip(heads, avol, strict=True))["FPR"] == ""  # not measured
    given = answers(figures(chosen_temperatures={"lvs": 0.07, "avol": None}))
    assert given[0].values(("hears",)) == [0.9]


def test_floors_stand_in_table_and_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.methods import listening

    floors = {"centred_disc": {"hears": 0.0, "vssl_ciou": 0.2}, "nothing": {"vssl_ciou": 0.0, "hears": None}}
    context = {"real-vggss-heard": {"vssl_textbook": {"floors": floors}}}
    found = listening.answers(figures(context=context))
    assert [one.title for one in found if one.floor] == ["centred disc", "nothing"]
    assert found[-1].mark is None
    (tmp_path / "real.json").write_text(json.dumps(figures(context=context)))
    monkeypatch.setattr("sys.argv", ["listening", str(tmp_path / "real.json")])
    listening.main()
    page, plot = (tmp_path / f"real-listening.{end}" for end in ("md", "svg"))
    assert "| floor: centred disc |  | 0.0 | 20.0 |" in page.read_text()
    assert "not finished" not in page.read_text()
    assert "not finished" in listening.page(figures(), listening.answers(figures()), [], "real.json")
    assert all(f"{row + 1}  {name}" in plot.read_text() for row, name in enumerate(["avol", "lvs", "centred disc"]))
    drawn = plot.read_bytes()
    listening.main()
    assert plot.read_bytes() == drawn


def test_figures_from_before_anybody_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.methods import listening

    (tmp_path / "old.json").write_text(json.dumps(figures(runs=[])))
    monkeypatch.setattr("sys.argv", ["listening", str(tmp_path / "old.json")])
    with pytest.raises(SystemExit, match="no scores under vssl_textbook"):
        listening.main()


def test_numbers_of_close_points_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot as plt

    from benchmarks.methods import chart

    tried: list[tuple[float, ...]] = []
    meet = chart._meet
    monkeypatch.setattr(chart, "_meet", lambda one, other: tried.append(one) or meet(one, other))
    marks = [chart.Mark(f"m{at}", 0.2 + 1e-4 * at, 0.7, 0.01, 0.01) for at in range(20)]
    chart.draw(marks, tmp_path / "plot.svg", "x", "y")
    assert len(set(tried)) > 20  # not all found room at once
    monkeypatch.setattr(chart, "RINGS", 1)
    before = plt.get_fignums()
    with pytest.raises(ValueError, match="no room"):
        chart.draw(marks, tmp_path / "plot.svg", "x", "y")
    assert plt.get_fignums() == before  # one that fails leaves no figure open


def test_every_name_of_the_key_stands_on_the_page(tmp_path: Path) -> None:
    from benchmarks.methods import chart

    marks = [chart.Mark(f"m{at}", 0.03 * at, 0.5 + 0.2 * (-1) ** at) for at in range(35)]
    chart.draw(marks, tmp_path / "plot.svg", "x", "y")
    drawn = (tmp_path / "plot.svg").read_text()
    (height,) = re.findall(r'viewBox="0 0 \d+ (\d+)"', drawn)
    lowest = max(float(y) for y, _ in re.findall(r'y="([\d.]+)"[^>]*>(\d+)  m\d', drawn))
    assert lowest < float(height)
