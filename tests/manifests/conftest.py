"""Lists and annotation files in two forms: our miniatures always, the released ones where ../shared is present."""

from pathlib import Path

import pytest
from places import LISTS

FORMS = [pytest.param(name, marks=pytest.mark.slow) if name == "released" else name for name in LISTS]  # long lists


@pytest.fixture(scope="session", params=FORMS)
def source(request: pytest.FixtureRequest) -> str:
    """ "made" or "released"."""
    return request.param


@pytest.fixture(scope="session")
def lists(source: str) -> Path:
    """The folder of `vggss/vggss.json` and all the others."""
    return LISTS[source]
