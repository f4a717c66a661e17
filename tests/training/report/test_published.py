"""Numbers of papers stand in their own column, or are refused by it."""

from dataclasses import replace

from training.evaluation.consistency import impossible
from training.evaluation.protocols import known_protocols
from training.evaluation.scores import score_table
from training.report.published import admitted, of_column, published


def test_every_row_says_where_it_is_from_and_what_is_doubtful() -> None:
    for row in published():
        assert all((row.list, row.rule, row.doubt, row.venue))
        assert set(row.scores) <= score_table().keys()
        assert all(0 < value < 1 for value in row.scores.values())


def test_a_number_stands_under_its_own_protocol_only() -> None:
    names = known_protocols()
    assert {row.method.partition(",")[0] for row in of_column("vggss", "acl")} == {"ACL-SSL"}
    assert not {"ACL-SSL", "T-VSL"} & {row.method for row in of_column("vggss", "ezvsl")}
    assert {row.protocol for row in published()} - names.keys() == {"avgn"}  # no column of ours


def test_a_set_that_is_not_packaged_is_known_by_its_clips() -> None:
    assert {row.method for row in of_column("avss_test", "avss", 11520)} >= {"AVSegFormer, PVT", "CATR, PVT"}
    assert of_column("avss_test", "avss", 12) == []


def test_no_row_is_impossible_by_itself() -> None:
    for row in published():
        assert impossible(row.scores.get("ciou50"), row.scores.get("auc")) == [], row.title


def test_a_row_of_another_rule_is_refused_by_the_top_half() -> None:
    """T-VSL's and Align's numbers on AVGN's board lie above what a top half can reach on VGG-SS, 50.54."""
    board = [row for row in published() if (row.test_set, row.protocol) == ("vggsound_single", "avgn")]
    kept, refused = admitted(board, {"ciou50": 0.5054})
    assert [row.method for row in kept] == ["FNAC, as T-VSL's board has it"]
    assert len(refused) == len(board) - 1


def test_what_lies_above_the_ceiling_is_refused_by_name() -> None:
    row = of_column("vggss", "ezvsl")[0]
    ceiling = {"ciou50": 0.5054, "auc": 0.4947}
    kept, refused = admitted([row, replace(row, method="another", scores={"ciou50": 0.537})], ceiling)
    assert kept == [row]
    assert len(refused) == 1
    assert "another" in refused[0]
    assert "53.70 lies above 50.54" in refused[0]
