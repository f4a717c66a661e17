"""Published numbers that do not fit together: each is of a packaged config, and is named where these numbers stand."""

import pytest

from training.config import load_config
from training.config_files import PACKAGED
from training.methods import method_names
from training.report.doubts import doubts, listed


def test_a_doubt_is_about_these_numbers_and_no_others() -> None:
    (said,) = doubts("avel", "vggss", {"ciou50": 0.291, "auc": 0.348})
    assert "CoarseToFine" in said
    assert not list(doubts("avel", "vggss", {"ciou50": 0.3, "auc": 0.348}))
    assert not list(doubts("ezvsl", "vggss", {"ciou50": 0.291, "auc": 0.348}))
    assert not list(doubts("avel", "vggss", {}))  # nothing published stands there


@pytest.mark.parametrize("entry", listed(), ids=lambda entry: f"{entry['method']}-{entry['test_set']}")
def test_every_doubted_number_is_in_a_packaged_config(entry: dict) -> None:
    assert entry["method"] in method_names()
    names = [path.stem for path in PACKAGED.glob(f"{entry['method']}*.yaml")]
    papers = [load_config(name).paper.get(entry["test_set"], {}) for name in names]
    columns = [column for paper in papers for maps in paper.values() for column in maps.values()]
    assert any(list(doubts(entry["method"], entry["test_set"], column)) for column in columns)
