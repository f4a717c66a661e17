"""Which run folder a path means, and what is said where it means none."""

import re
from pathlib import Path

import pytest

from manifests.errors import InputError
from training.model_names import check_openable
from training.run_folders.finished import given_runs, resolve_run
from training.runs import load_run


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


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("my runs/tiny/abc-s0", "`training run 'my runs/tiny/abc-s0/config.yaml' --runs 'my runs'`"),
        ("runs/tiny/abc-s0", "`training run runs/tiny/abc-s0/config.yaml`"),
        ("copies/abc-s0", "put it back where it was made, runs/tiny/, under the name it had there"),
    ],
)
def test_an_unfinished_run_is_continued_where_it_lies(
    place: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(place).mkdir(parents=True)
    (Path(place) / "config.yaml").write_text("name: tiny\n")
    with pytest.raises(InputError, match=re.escape(advice)):
        resolve_run(Path(place))


def test_so_is_one_that_its_name_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (Path("runs/tiny/abc-s0")).mkdir(parents=True)
    (Path("runs/tiny/abc-s0/DONE")).touch()
    for seed in (0, 1):
        run = Path(f"runs/tiny2/abc-s{seed}")
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("name: tiny2\n")
        continued = re.escape("continue it with `training run runs/tiny2/abc-s0/config.yaml`.")
        said = r"abc-s0 is not finished" if seed == 0 else r"holds 2 runs, of which none is finished.*abc-s1"
        for read in (resolve_run, load_run, lambda path: given_runs([path]), check_openable):
            with pytest.raises(InputError, match=f"{said}.*{continued}$"):
                read(Path("runs/tiny2"))


def test_lost_weights_are_not_put_down_to_the_config(tmp_path: Path) -> None:
    (tmp_path / "DONE").touch()
    with pytest.raises(InputError, match=r"has no weights\.safetensors\. Copy the run again"):
        load_run(tmp_path)
    with pytest.raises(InputError, match=r"has no weights\.best\.safetensors\. Best weights need a `validation:`"):
        load_run(tmp_path, weights="best")
