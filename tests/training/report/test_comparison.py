"""Runs beside published numbers: which share a table, which refuse one, and what is noted."""

import json
from pathlib import Path

import pytest
import yaml

from manifests.errors import InputError
from training.report.comparison import Comparison, Line, as_text, chosen, comparisons, one_table
from training.report.results import Run, read_run, run_titles
from training.report.tables import score_tables
from training.run_folders.finished import given_runs

PAPER = {
    "vggss": {
        "ezvsl": {"audio_visual": {"ciou50": 0.34, "auc": 0.36}},
        "retrieval": {"audio_to_image": {"R@1": 0.05}},
    },
    "extended_vggss": {
        "slavc_relative": {"audio_visual": {"ap": 0.10, "max_f1": 0.05, "locacc": 0.30, "max_f1_real": 0.28}}
    },
}


def result(name: str, protocol: str, scores: dict, **more: object) -> dict:
    floors = {"centred_disc": next(iter(scores.values()))}
    return {
        "test_set": name, "protocol": {"name": protocol}, "lists": {"truth": {"sha256": "0"}}, "n_expected": 5158,
        "n_scored": 5157, "scores": scores, "floors": floors, "ceiling": {"ciou50": 0.5054, "auc": 0.4947}, **more,
    }  # fmt: skip


def write(folder: Path, *results: dict) -> Path:
    (folder / "evaluation").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": folder.parent.name, "seed": 0, "paper": PAPER}))
    (folder / "DONE").write_text("")
    for facts in results:
        path = folder / "evaluation" / f"{facts['test_set']}.{facts['protocol']['name']}.json"
        path.write_text(json.dumps(facts))
        path.with_suffix(".parquet").touch()
    return folder


def measured(table: Comparison) -> list[Line]:
    """The lines that hold results of ours: published ones that stand alone hold none."""
    return [line for line in table.lines if line.values]


@pytest.fixture
def runs(tmp_path: Path):
    plain = {"audio_visual": {"ciou50": 0.31, "auc": 0.35, "mean_iou": 0.3, "interval95": {}}}
    recalls = {"audio_to_image": {"R@1": 0.08}, "image_to_audio": {"R@1": 0.02}}
    pairs = {"ap": {"coded": 0.2, "textbook": 0.21}, "max_f1": {"coded": 0.3, "textbook": 0.4}, "locacc": 0.31}
    pairs["by_negative_type"] = {"real": {"equal_positives": {"max_f1": {"coded": 0.25, "textbook": 0.26}}}}
    first = write(
        tmp_path / "one" / "aaaaaaaa-s0",
        result("vggss", "ezvsl", plain),
        result("vggss", "retrieval", recalls, task="retrieval"),
        result("extended_vggss", "slavc_relative", plain, extended={"audio_visual": pairs}),
    )
    training = {"truth": {"sha256": "0"}, "training": {"test_clips_trained_on": 4}}
    second = write(tmp_path / "two" / "bbbbbbbb-s0", result("vggss", "ezvsl", plain) | {"lists": training})
    return [read_run(first), read_run(second)]


def test_one_table_per_set_and_protocol_with_the_gap_to_the_paper(runs) -> None:
    tables = {(table.test_set, table.protocol): table for table in comparisons(runs, ["one", "two"])}
    assert set(tables) == {("vggss", "ezvsl"), ("vggss", "retrieval"), ("extended_vggss", "slavc_relative")}
    plain = tables["vggss", "ezvsl"]
    assert [line.run for line in measured(plain)] == ["floor", "one", "two", "ceiling"]
    assert "31.00 [34.00, -3.00]" in as_text(plain)
    assert "two was trained on 4 of these test clips." in plain.notes
    assert "one scored 5157 of 5158." in plain.notes
    assert "8.00 [5.00, +3.00]" in as_text(tables["vggss", "retrieval"])
    extended = tables["extended_vggss", "slavc_relative"]
    assert {"ap", "ap_textbook", "max_f1", "max_f1_textbook", "locacc"} <= set(extended.scores)
    assert "25.00 [28.00, -3.00]" in as_text(extended)
    assert any("answering 'it sounds' always gives" in note for note in extended.notes)
    special = comparisons(runs, ["one", "two"], every=False)
    assert [table.protocol for table in special] == ["slavc_relative", "retrieval"]


def test_floors_are_those_of_the_run_that_scored_most(tmp_path: Path) -> None:
    def one(name: str, scored: int, floor: float) -> Run:
        own = {"audio_visual": {"ciou50": 0.3, "auc": 0.3, "mean_iou": 0.3}}
        floors = {"random": {"ciou50": floor, "auc": floor, "mean_iou": floor}}
        facts = result("vggss", "ezvsl", own) | {"n_scored": scored, "floors": floors}
        return read_run(write(tmp_path / name / "aaaaaaaa-s0", facts))

    few, most = one("few", 3, 0.1), one("most", 5158, 0.2)
    for runs in ([few, most], [most, few]):
        (table,) = comparisons(runs, ["a", "b"])
        assert table.lines[0].values["ciou50"] == score_tables(runs, ["a", "b"])[0].floor == 0.2


def test_a_share_at_another_cut_stands_where_its_column_has_its_name(tmp_path: Path) -> None:
    own = {"audio_visual": {"ciou30": 0.3, "auc": 0.3, "mean_iou": 0.3}}
    facts = result("vggss", "ezvsl_30", own) | {"protocol": {"name": "ezvsl_30", "iou_cut": 0.3}}
    facts["ceiling"] = own["audio_visual"]
    run = read_run(write(tmp_path / "one" / "aaaaaaaa-s0", facts))
    assert score_tables([run], ["a"]) == []
    (table,) = comparisons([run], ["a"], every=False)
    assert table.scores == ("auc", "mean_iou", "ciou30")


def test_seeds_of_one_configuration_share_a_line(tmp_path: Path) -> None:
    values = (0.30, 0.34)
    seeds = [
        write(tmp_path / "same" / f"aaaaaaaa-s{seed}", result("vggss", "ezvsl", {"audio_visual": {"ciou50": value}}))
        for seed, value in enumerate(values)
    ]
    (table,) = comparisons([read_run(folder) for folder in seeds], ["same, seed 0", "same, seed 1"])
    assert [line.run for line in measured(table)] == ["floor", "same, 2 seeds", "ceiling"]
    assert "32.00 ± 2.83 (30.00 .. 34.00) [34.00, -2.00]" in as_text(table)
    (line,) = [one for one in table.lines if "seeds" in one.run]
    assert line.spreads["ciou50"].deviation == pytest.approx(0.02 * 2**0.5)


def test_seeds_without_a_part_in_a_mean_are_named_with_the_reason(tmp_path: Path) -> None:
    seeds = [result("vggss", "ezvsl", {"audio_visual": {"ciou50": value}}) for value in (0.3, 0.34)]
    seeds[1]["scores"] |= {"combined": {"ciou50": 0.4}}
    others = [result("vggss", "adaptive", seeds[0]["scores"]), {**seeds[0], "lists": {"truth": {"sha256": "1"}}}]
    folders = [write(tmp_path / "same" / f"aaaaaaaa-s{at}", facts) for at, facts in enumerate([*seeds, *others])]
    folders.append(write(tmp_path / "same" / "aaaaaaaa-s4"))
    read = [read_run(folder) for folder in folders]
    begun = [tmp_path / "same" / "aaaaaaaa-s5", tmp_path / "same" / "bbbbbbbb-s0", tmp_path / "aaaaaaaa-s6"]
    begun[0].mkdir()
    tables = chosen(comparisons(read, run_titles(read), unfinished=begun), read, "vggss", "ezvsl")
    runs = [line.run for line in measured(tables[0])]
    assert runs == ["floor", "same, 2 of 6 seeds", "same, 1 of 6 seeds", "ceiling"]
    assert tables[0].notes[0] == (
        "same stands for 2 of 6 seeds: seed 0 (aaaaaaaa-s2) was not evaluated on vggss under ezvsl, seed 0 "
        "(aaaaaaaa-s3) has a result of other clips, truth or settings by these names, in a table of its own, seed 0 "
        "(aaaaaaaa-s4) was not evaluated on vggss under ezvsl, seed 5 (aaaaaaaa-s5) is not finished."
    )
    assert "same stands for 1 of 6 seeds" in as_text(tables[1])


def with_prior(alpha: str, ciou: float = 0.3) -> dict:
    lists = {"truth": {"sha256": "0"}, "object_prior": {"name": "any.pth", "kind": "activation", "alpha": alpha}}
    scores = {"audio_visual": {"ciou50": ciou, "auc": 0.3, "mean_iou": 0.3, "interval95": {}}}
    return result("vggss", "ezvsl", scores | {"combined": scores["audio_visual"]}) | {"lists": lists}


def test_seeds_combined_with_another_prior_have_a_mean_of_their_own(tmp_path: Path) -> None:
    given = [("0.4", 0.30), ("0.4", 0.34), ("0.6", 0.40), ("0.6", 0.42), ("0.8", 0.1)]
    folders = [write(tmp_path / "same" / f"aaaaaaaa-s{at}", with_prior(*one)) for at, one in enumerate(given)]
    read = [read_run(folder) for folder in folders]
    (table,) = comparisons(read, run_titles(read))
    named = [(line.run, line.map, line.values["ciou50"]) for line in measured(table) if line.map == "combined"]
    assert [(run, value) for run, _, value in named] == [
        ("same, object prior activation, alpha 0.4, 2 of 5 seeds", pytest.approx(0.32)),
        ("same, object prior activation, alpha 0.6, 2 of 5 seeds", pytest.approx(0.41)),
        ("same · seed 0 · aaaaaaaa, aaaaaaaa", pytest.approx(0.1)),
    ]
    assert "(aaaaaaaa-s2) was scored with object prior activation, alpha 0.6, in a line of its own" in table.notes[0]
    (page,) = score_tables(read, run_titles(read))
    assert [group.title for group in page.groups if group.kind == "mean"] == [
        "same, object prior activation, alpha 0.6: mean of 2 of 5 seeds",
        "same, object prior activation, alpha 0.4: mean of 2 of 5 seeds",
    ]


def test_seeds_scored_with_other_pairs_have_a_mean_of_their_own(tmp_path: Path) -> None:
    own = [result("vggss", "ezvsl", {"audio_visual": {"ciou50": value}}) for value in (0.3, 0.34)]
    own[1]["lists"] = {"truth": {"sha256": "0"}, "pairs": {"name": "swapped.csv", "sha256": "1"}}
    read = [read_run(write(tmp_path / "same" / f"aaaaaaaa-s{at}", facts)) for at, facts in enumerate(own)]
    (table,) = comparisons(read, run_titles(read))
    assert not any("2 seeds" in line.run for line in table.lines)
    assert "(aaaaaaaa-s1) was scored with pairs swapped.csv, in a line of its own" in table.notes[0]


def test_renamed_folders_are_no_seeds_of_one_configuration(tmp_path: Path) -> None:
    found = [result("vggss", "ezvsl", {"audio_visual": {"ciou50": value}}) for value in (0.3, 0.34)]
    read = [read_run(write(tmp_path / name / "final", facts)) for name, facts in zip("xz", found, strict=True)]
    (table,) = comparisons(read, run_titles(read))
    assert [line.values["ciou50"] for line in measured(table) if line.run not in ("floor", "ceiling")] == [0.3, 0.34]


def test_what_killed_processes_left_beside_results_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "one" / "aaaaaaaa-s0", result("vggss", "ezvsl", {"audio_visual": {"ciou50": 0.3}}))
    (folder / "evaluation" / ".vggss.ezvsl.json.tmp.json").write_text('{"test_set": "vg')
    (folder / "evaluation" / "._vggss.ezvsl.json").write_bytes(b"\0\5")
    assert len(read_run(folder).every_evaluation) == 1


@pytest.mark.parametrize("name", ["protocol", "scores", "floors"])
def test_results_without_numbers_are_refused(tmp_path: Path, name: str) -> None:
    facts = result("vggss", "ezvsl", {"audio_visual": {"ciou50": 0.3}})
    folder = write(tmp_path / "one" / "aaaaaaaa-s0", facts)
    for empty in (None, {}, "none"):
        (folder / "evaluation" / "vggss.ezvsl.json").write_text(json.dumps(facts | {name: empty}))
        with pytest.raises(InputError, match=f"is damaged: nothing stands under {name}"):
            read_run(folder)


def test_results_of_other_weights_are_refused(tmp_path: Path) -> None:
    facts = result("vggss", "ezvsl", {"audio_visual": {"ciou50": 0.3}})
    facts["lists"]["weights"] = {"name": "weights.safetensors", "sha256": "0" * 64}
    folder = write(tmp_path / "one" / "aaaaaaaa-s0", facts)
    assert read_run(folder).every_evaluation
    (folder / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(InputError, match=r"vggss\.ezvsl\.json was scored with other weights .* Evaluate the run again"):
        read_run(folder)


def test_seeds_of_the_same_weights_are_told(tmp_path: Path) -> None:
    """As those of earlier versions are where one run's weights were copied into another's folder."""
    found = [result("vggss", "ezvsl", {"audio_visual": {"ciou50": 0.3, "auc": 0.3, "mean_iou": 0.3}}) for _ in range(3)]
    for facts, sha256 in zip(found, "001", strict=True):
        facts["lists"] = {"truth": {"sha256": "0"}, "weights": {"name": "weights.safetensors", "sha256": 64 * sha256}}
        facts["scores"]["audio_visual"]["interval95"] = {}
    read = [read_run(write(tmp_path / "same" / f"aaaaaaaa-s{at}", facts)) for at, facts in enumerate(found)]
    (table,), (page,) = comparisons(read, run_titles(read)), score_tables(read, run_titles(read))
    (note,) = (note for note in table.notes if "same weights" in note)
    assert note.startswith("seed 0 (aaaaaaaa-s0) and seed 0 (aaaaaaaa-s1) of same were scored with the same weights: ")
    assert note in page.warnings
    (alone,) = comparisons(read[1:], run_titles(read[1:]))
    assert not any("same weights" in note for note in alone.notes)


def test_results_that_share_maps_and_were_made_otherwise_are_named(tmp_path: Path) -> None:
    first, second = with_prior("0.4"), with_prior("0.6") | {"protocol": {"name": "adaptive"}}
    run = read_run(write(tmp_path / "same" / "aaaaaaaa-s0", first, second))
    assert run.made_otherwise == [["vggss.adaptive.json", "vggss.ezvsl.json"]]
    own = read_run(write(tmp_path / "same" / "aaaaaaaa-s1", first, first | {"protocol": {"name": "adaptive"}}))
    assert own.made_otherwise == []


def test_a_copy_of_a_run_is_no_further_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = result("vggss", "ezvsl", {"audio_visual": {"ciou50": 0.3}})
    first, second = (write(tmp_path / "same" / f"aaaaaaaa-s{seed}", facts) for seed in (0, 1))
    copy = write(tmp_path / "copies" / "same" / "aaaaaaaa-s0", facts)
    assert given_runs([first, copy, second])[0] == [first, second]
    assert f"{copy} is left out: it is of the same configuration and seed as {first}" in capsys.readouterr().out


def test_numbers_without_their_samples_are_refused(runs) -> None:
    (runs[0].path / "evaluation/vggss.retrieval.parquet").unlink()
    with pytest.raises(InputError, match=r"vggss\.retrieval\.parquet, .* is not beside it\. Evaluate the run again"):
        read_run(runs[0].path)


def test_nothing_to_compare_is_said(runs, tmp_path: Path) -> None:
    tables = comparisons(runs, ["one", "two"])
    assert len(chosen(tables, runs, "vggss", "ezvsl")) == 1
    with pytest.raises(InputError, match=r"There is .*vggss under ezvsl, "):
        chosen(tables, runs, "vggsss", None)
    bare = read_run(write(tmp_path / "bare" / "cccccccc-s0"))
    with pytest.raises(InputError, match=r"nothing to compare of .*cccccccc-s0: run `training evaluate`"):
        chosen(tables, [*runs, bare], None, None)


def test_published_numbers_stand_beside_the_published_set_alone(tmp_path: Path) -> None:
    made_up = result("vggss", "ezvsl", {"audio_visual": {"ciou50": 0.3}}) | {"n_expected": 437, "n_scored": 437}
    run = read_run(write(tmp_path / "one" / "aaaaaaaa-s0", made_up))
    (table,) = comparisons([run], ["one"])
    assert not any(line.published for line in table.lines)
    assert "one: these clips are not the released vggss, so no published number stands beside." in table.notes


def test_silent_pairs_that_have_no_part_are_told(tmp_path: Path) -> None:
    """Those without a map, and those that a list leaves out: AP depends on both."""
    pairs = {"n_expected": 9, "n_scored": 7, "missing": ["a+b", "c+d"], "left_out": {"real": 3, "easy": 1}}
    facts = result("mine-some", "ezvsl", {"audio_visual": {"ciou50": 0.3, "auc": 0.3, "mean_iou": 0.3}})
    run = read_run(write(tmp_path / "one" / "aaaaaaaa-s0", facts | {"negatives": pairs}))
    said = [
        "one scored 7 of 9 negative pairs; missing: a+b, c+d.",
        "one was scored under a list: 4 negative pairs left out, of no video of the list: 1 easy, 3 real.",
    ]
    (compared,), (reported,) = comparisons([run], ["one"]), score_tables([run], ["one"])
    assert set(said) <= set(compared.notes)
    assert set(said) <= set(reported.warnings)


def test_other_measurements_refuse_the_column(runs) -> None:
    by_protocol = {found.protocol: found for found in runs[0].every_evaluation}
    with pytest.raises(InputError, match="cannot share a column"):
        one_table([(runs[0], "one", by_protocol["ezvsl"]), (runs[0], "one", by_protocol["slavc_relative"])])
    other = json.loads((runs[1].path / "evaluation/vggss.ezvsl.json").read_text())
    other["protocol"]["align_corners"] = False
    (runs[1].path / "evaluation/vggss.ezvsl.json").write_text(json.dumps(other))
    again = read_run(runs[1].path)
    assert len([t for t in comparisons([runs[0], again], ["one", "two"]) if t.protocol == "ezvsl"]) == 2


def test_other_words_about_whose_code_it_is_are_no_other_measurement(runs) -> None:
    path = runs[1].path / "evaluation/vggss.ezvsl.json"
    other = json.loads(path.read_text())
    other["protocol"]["source"] = "EZ-VSL's test.py, in other words"
    path.write_text(json.dumps(other))
    found = comparisons([runs[0], read_run(runs[1].path)], ["one", "two"])
    assert len([table for table in found if table.protocol == "ezvsl"]) == 1
