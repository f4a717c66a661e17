"""Numbers of papers stand in their own column, or are refused by it."""

from dataclasses import replace

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
    assert {row.method for row in of_column("vggss", "acl")} == {"ACL-SSL"}
    assert not {"ACL-SSL", "T-VSL"} & {row.method for row in of_column("vggss", "ezvsl")}
    assert [row.method for row in published() if row.protocol not in names] == ["T-VSL"]


def test_what_lies_above_the_ceiling_is_refused_by_name() -> None:
    row = of_column("vggss", "ezvsl")[0]
    ceiling = {"ciou50": 0.5054, "auc": 0.4947}
    kept, refused = admitted([row, replace(row, method="another", scores={"ciou50": 0.537})], ceiling)
    assert kept == [row]
    assert len(refused) == 1
    assert "another" in refused[0]
    assert "53.70 lies above 50.54" in refused[0]
