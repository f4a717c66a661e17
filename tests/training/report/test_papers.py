"""Numbers of papers stand beside the runs that repeat them or in their own lines, once, or are refused by a column."""

import json
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml
from ceilings import HALF_IMAGE, known_ceiling
from every import for_every

from manifests.errors import InputError
from training.evaluation.consistency import impossible
from training.evaluation.protocols import known_protocols
from training.evaluation.scores import score_table
from training.published import Entry, Printed, entries, every_row, find_entry, rows_of
from training.report.comparison import Comparison, as_text, comparisons
from training.report.papers import admitted
from training.report.results import Run, read_run
from training.report.tables import score_tables
from training.settings.files import PACKAGED, read_content

CONFIGS = {path.stem: read_content(path, ()) for path in sorted(PACKAGED.glob("*.yaml"))}
SINCE_2023 = {"fnac", "alignment", "heartheflow"}  # methods of ours whose papers are of 2023 and later
VGGSS = {"ciou50": 0.5054, "auc": 0.4947}


def of_column(test_set: str, protocol: str) -> list[Printed]:
    return [row for row in every_row() if (row.test_set, row.protocol) == (test_set, protocol)]


@cache
def every_printed() -> tuple[tuple[str, Printed], ...]:
    """Every row of the file and of the configs' own blocks, with the place where it stands."""
    own = ((name, rows_of({**config, "published": ()})) for name, config in CONFIGS.items())
    return (*(("the file", row) for row in every_row()), *((name, row) for name, rows in own for row in rows))


@for_every(list(entries().values()), lambda entry: entry.name)
def test_every_entry_says_where_it_is_from_and_what_is_doubtful(entry: Entry) -> None:
    for said in (entry.method, entry.venue, entry.source, entry.list, entry.rule, entry.doubt):
        assert isinstance(said, str)
        assert said.strip() == said != ""
        assert not said.endswith(".")
    assert entry.numbers
    title = f"published: {entry.method} ({entry.venue})"
    assert entry.note.startswith(f"{title}: trained on {entry.list}")
    assert entry.source in entry.note


@for_every(every_row(), lambda row: f"{row.title}, {row.test_set}")
def test_every_row_holds_fractions_of_known_scores_that_fit_together(row: Printed) -> None:
    assert set(row.scores) <= score_table().keys()
    assert all(0 < value < 1 for value in row.scores.values())
    assert (
        impossible(row.scores.get("ciou50"), row.scores.get("auc"), row.scores.get("max_f1"), row.scores.get("locacc"))
        == []
    )


def test_a_number_stands_under_its_own_protocol_only() -> None:
    assert {row.title.partition(",")[0] for row in of_column("vggss", "acl")} == {
        "published: ACL-SSL (WACV 2024)", "published: ACL-SSL"
    }  # fmt: skip
    assert not [row for row in of_column("vggss", "ezvsl") if "ACL-SSL" in row.title or "T-VSL" in row.title]
    assert {row.protocol for row in every_row()} - known_protocols().keys() == {"avgn"}  # no column of ours


@for_every(
    every_printed(), lambda place: f"{place[0]}: {place[1].title}, {place[1].test_set} under {place[1].protocol}"
)
def test_no_number_of_a_config_or_of_the_file_is_above_its_ceiling(place: tuple[str, Printed]) -> None:
    _, row = place
    ceiling = known_ceiling(row.test_set, known_protocols().get(row.protocol))
    assert admitted([row], ceiling) == ([row], [])


def test_most_of_these_numbers_have_a_ceiling() -> None:
    """Else the test above would hold nothing to anything."""
    known = [row for _, row in every_printed() if known_ceiling(row.test_set, known_protocols().get(row.protocol))]
    assert len(known) > 80
    assert {row.test_set for row in known} == {*HALF_IMAGE, "extended_vggss"}


def test_no_number_stands_in_two_places_or_two_columns() -> None:
    """A part of a set under the numbers of the whole is the whole as a paper scored it."""
    columns, places = defaultdict(set), defaultdict(set)
    for _, row in every_printed():
        number = row.test_set.partition("-")[0], row.map, tuple(sorted(row.scores.items()))
        if len(row.scores) > 1:  # one alone may be alike by chance
            columns[number].add(row.protocol)
            places[number].add("the configs" if row.entry is None else row.entry.name)
    assert not [number for number, found in columns.items() if len(found) > 1]
    assert not [number for number, found in places.items() if len(found) > 1]


def test_rows_of_one_column_have_titles_of_their_own() -> None:
    titles = [(row.test_set, row.protocol, row.map, row.title) for row in every_row()]
    assert len(titles) == len(set(titles))


@for_every(list(CONFIGS))
def test_a_config_and_the_entries_it_names_say_no_score_twice(name: str) -> None:
    said = [(row.test_set, row.protocol, row.map, score) for row in rows_of(CONFIGS[name]) for score in row.scores]
    assert len(said) == len(set(said))


@for_every(list(CONFIGS))
def test_numbers_of_papers_since_2023_stand_in_the_file_alone(name: str) -> None:
    assert CONFIGS[name]["method"]["name"] not in SINCE_2023 or "paper" not in CONFIGS[name]
    assert "retrieval" not in json.dumps(CONFIGS[name].get("paper", {}))  # all of it is of Align's authors


def test_ablations_are_of_configs() -> None:
    named = {entry for config in CONFIGS.values() for entry in config.get("published", ())}
    assert {entry.name for entry in entries().values() if entry.ablation} <= named <= entries().keys()


def test_the_best_of_a_sweep_stands_beside_the_best_of_ours(tmp_path: Path) -> None:
    """ACL-SSL prints the best of 19 thresholds, which is not what its first threshold of 0.5 gives."""
    printed = [row for row in every_row() if row.protocol == "acl"]
    assert {score for row in printed for score in row.scores} == {"ciou50_best_on_test", "auc_best_on_test"}
    table = compared(run_of(tmp_path / "mine", {}, protocol="acl"))
    (line,) = [line for line in table.lines if line.run == "published: ACL-SSL (WACV 2024)"]
    assert line.published == {"ciou50_best_on_test": 0.4946, "auc_best_on_test": 0.4632}
    assert admitted([replace(printed[0], scores={"ciou50_best_on_test": 0.52})], VGGSS)[0] == []


def test_recalls_stand_under_classes_on_the_sets_that_they_are_of() -> None:
    """Align's table says neither what a hit is nor that SSL-TIE was scored on SSL-TIE's own clips."""
    recalls = [row for row in every_row() if row.protocol == "retrieval"]
    assert {row.map for row in recalls} == {"audio_to_image_class", "image_to_audio_class"}
    assert {row.test_set for row in recalls} == {"vggss", "vggss-vggss_alignment"}
    for k in (1, 5, 10):  # the page explains both kinds of rows under one heading
        assert "own counterpart" in score_table()[f"R@{k}"].meaning
        assert "in rows called class, with any clip of their class" in score_table()[f"R@{k}"].meaning


def test_a_row_of_another_rule_is_refused_by_the_top_half() -> None:
    """T-VSL's and Align's numbers on AVGN's board lie above what a top half can reach on VGG-SS, 50.54."""
    board = of_column("vggsound_single", "avgn")
    kept, refused = admitted(board, {"ciou50": 0.5054})
    assert [row.title for row in kept] == ["published: FNAC, as T-VSL's board has it (CVPR 2023)"]
    assert len(refused) == len(board) - 1


@pytest.mark.parametrize("score", ["ciou50", "ciou50_last", "locacc"])
def test_what_lies_above_the_ceiling_is_refused_by_name(score: str) -> None:
    row = of_column("vggss", "ezvsl")[0]
    kept, refused = admitted([row, replace(row, title="another", scores={score: 0.537})], VGGSS)
    assert kept == [row]
    assert refused == [
        f"another is refused: {score} 53.70 lies above 50.54, the most that any map reaches under this protocol. "
        "It was measured by another rule."
    ]


def test_where_lower_is_better_nothing_is_refused_for_being_above() -> None:
    row = replace(of_column("vggss", "ezvsl")[0], scores={"fpr_noise": 0.2})
    assert admitted([row], {"fpr_noise": 0.0})[0] == [row]
    assert "20.00 lies below 30.00, the least" in admitted([row], {"fpr_noise": 0.3})[1][0]


def run_of(folder: Path, config: dict, test_set: str = "vggss", protocol: str = "ezvsl", clips: int = 5158) -> Run:
    """A run of this config with one result: 31 and 35 for its map."""
    (folder / "evaluation").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": folder.name, "seed": 0, **config}))
    scores = {"ciou50": 0.31, "auc": 0.35, "mean_iou": 0.35}
    facts = {
        "test_set": test_set, "protocol": {"name": protocol}, "n_expected": clips, "n_scored": clips,
        "scores": {"audio_visual": scores}, "floors": {"centred_disc": scores}, "ceiling": VGGSS | {"mean_iou": 0.495},
    }  # fmt: skip
    path = folder / "evaluation" / f"{test_set}.{protocol}.json"
    path.write_text(json.dumps(facts))
    path.with_suffix(".parquet").touch()
    return read_run(folder)


def compared(run: Run) -> Comparison:
    (table,) = comparisons([run], ["mine"])
    return table


def test_an_entry_stands_beside_the_run_that_names_it_and_not_once_more(tmp_path: Path) -> None:
    table = compared(run_of(tmp_path / "mine", {"published": ["fnac"]}))
    assert "31.00 [39.50, -8.50]" in as_text(table)
    alone = [(line.run, line.map) for line in table.lines if line.run.startswith("published")]
    assert ("published: FNAC (CVPR 2023)", "audio_visual") not in alone
    assert ("published: FNAC (CVPR 2023)", "combined") in alone  # which this run has not
    assert ("published: MarginNCE (ICASSP 2023)", "audio_visual") in alone
    assert table.notes.count(find_entry("fnac").note) == 1


def test_an_entry_that_no_run_names_stands_in_a_line_of_its_own_but_for_ablations(tmp_path: Path) -> None:
    own = {"paper": {"vggss": {"kaist_lvs": {"audio_visual": {"ciou50": 0.346, "auc": 0.38}}}}}
    table = compared(run_of(tmp_path / "mine", own, protocol="kaist_lvs"))
    assert "31.00 [34.60, -3.60]" in as_text(table)
    alone = {line.run for line in table.lines if line.run.startswith("published")}
    assert {"published: Align (ICCV 2023)", "published: Align, pretrained vision (TPAMI 2025)"} <= alone
    assert not [run for run in alone if "k = 10" in run or "feature alignment" in run]
    ablation = compared(run_of(tmp_path / "other", {"published": ["alignment_k10"]}, protocol="kaist_lvs"))
    assert "31.00 [38.80, -7.80]" in as_text(ablation)


def test_heartheflow_s_numbers_stand_under_its_own_evaluator_alone(tmp_path: Path) -> None:
    config = {"published": CONFIGS["heartheflow"]["published"]}
    part = "vggss-vggss_heartheflow"
    assert "31.00 [39.40, -8.40]" in as_text(compared(run_of(tmp_path / "a", config, part, "heartheflow", 4670)))
    assert "39.40" not in as_text(compared(run_of(tmp_path / "b", config, part, "lvs", 4670)))


def test_a_config_s_number_above_the_ceiling_is_refused_wherever_it_would_stand(tmp_path: Path) -> None:
    own = {"paper": {"vggss": {"ezvsl": {"audio_visual": {"ciou50": 0.537}}}}}
    run = run_of(tmp_path / "mine", own)
    table, (page,) = compared(run), score_tables([run], ["mine"])
    assert "[53.70" not in as_text(table)
    assert not page.has_published
    for said in (table.notes, page.warnings):
        assert len([note for note in said if "mine is refused: ciou50 53.70 lies above 50.54" in note]) == 1


def test_the_page_says_the_source_of_what_it_shows(tmp_path: Path) -> None:
    (page,) = score_tables([run_of(tmp_path / "mine", {"published": ["fnac"]})], ["mine"])
    assert page.has_published
    assert find_entry("fnac").note in page.warnings


def test_a_set_that_is_not_packaged_is_known_by_its_clips(tmp_path: Path) -> None:
    lines = {
        clips: compared(run_of(tmp_path / str(clips), {}, "avss_test", "avss", clips)).lines for clips in (11520, 12)
    }
    assert {"published: AVSegFormer, PVT (AAAI 2024)", "published: CATR, PVT (MM 2023)"} <= {
        line.run for line in lines[11520]
    }
    assert not [line.run for line in lines[12] if line.run.startswith("published")]


def test_a_run_that_names_what_the_file_has_not_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path / "mine", {"published": ["alignment_k1O"]})
    with pytest.raises(InputError, match=r"no published numbers called 'alignment_k1O'\. Did you mean alignment_k1"):
        comparisons([run], ["mine"])
