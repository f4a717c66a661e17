"""Which run folder a path means, and what is said where it means none."""

from pathlib import Path

import pytest

from manifests.errors import InputError
from training.runs import resolve_run


def test_the_run_that_is_probably_meant_is_said(tmp_path: Path) -> None:
    for name in ("ezvsl", "mine"):
        (tmp_path / "runs" / name / "abc-s0").mkdir(parents=True)
        (tmp_path / "runs" / name / "abc-s0" / "DONE").touch()
    assert resolve_run(tmp_path / "runs" / "mine").name == "abc-s0"
    with pytest.raises(InputError, match=r"Did you mean .*runs/ezvsl\?"):
        resolve_run(tmp_path / "runs" / "ezvls")
    with pytest.raises(InputError, match=r"There are .*runs/ezvsl, .*runs/mine\."):
        resolve_run(tmp_path / "runs")
    with pytest.raises(InputError, match=r"as `training run` makes\.$"):
        resolve_run(tmp_path / "nowhere" / "at all")
