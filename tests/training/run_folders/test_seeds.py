"""One line, several seeds."""

from pathlib import Path

import pytest

from manifests.errors import InputError
from training.run_folders.seeds import each_once, every_seed, per_seed, unfinished_seeds


def test_a_range_has_both_ends_in_it() -> None:
    assert per_seed(("optim.epochs=1", "seeds=0..5")) == [("optim.epochs=1", f"seed={seed}") for seed in range(6)]
    assert per_seed(("seeds=4",)) == [("seed=4",)]
    assert per_seed(("seeds=9,1",)) == [("seed=9",), ("seed=1",)]


def test_without_seeds_there_is_one_run() -> None:
    assert per_seed(("seed=3",)) == [("seed=3",)]
    assert per_seed(()) == [()]


@pytest.mark.parametrize("text", ["", "5..0", "0-5", "a", "1,1", "0..1000000", "-1..2", "1,"])
def test_what_says_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="does not say which seeds"):
        per_seed((f"seeds={text}",))


def test_seeds_are_given_once() -> None:
    for twice in (("seeds=0..1", "seed=3"), ("seeds=1", "seeds=2")):
        with pytest.raises(InputError, match="more than once"):
            per_seed(twice)


def test_a_folder_stands_for_the_seeds_of_one_configuration(tmp_path: Path) -> None:
    for name in ("ab-s10", "ab-s2", "ab-s0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "DONE").touch()
    for name in ("ab-s3", "ab-s2", "cd-s4"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.yaml").touch()
    assert unfinished_seeds(tmp_path) == [tmp_path / "ab-s3"]
    assert unfinished_seeds(tmp_path / "ab-s0") == []
    assert [folder.name for folder in every_seed(tmp_path)] == ["ab-s0", "ab-s2", "ab-s10"]
    (tmp_path / "cd-s0").mkdir()
    (tmp_path / "cd-s0" / "DONE").touch()
    assert every_seed(tmp_path) == [tmp_path]  # which of the two is meant is asked
    assert every_seed(tmp_path / "ab-s0") == [tmp_path / "ab-s0"]


def test_seeds_that_were_asked_for_and_never_begun_are_among_the_unfinished(tmp_path: Path) -> None:
    said = {"k=30-ab-s0": "seeds=0..3", "k=30-ab-s2": "seed=2", "ab-s3": "seeds=3,5", "cd-s1": "seeds=0..9"}
    for name, command in said.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
        (tmp_path / name / "command.txt").write_text(f"training run /my seeds=of 2026/a.yaml data.k=30 {command}\n")
    (tmp_path / "k=30-ab-s0" / "DONE").touch()
    assert [run.name for run in unfinished_seeds(tmp_path)] == ["k=30-ab-s2", "ab-s3", "k=30-ab-s1", "k=30-ab-s5"]
    assert unfinished_seeds(tmp_path / "ab-s3") == []


def test_a_folder_in_two_spellings_is_one_run(tmp_path: Path) -> None:
    first, second = tmp_path / "ab-s0", tmp_path / "ab-s1"
    assert each_once([first, second, tmp_path / "x" / ".." / "ab-s0", first]) == [first, second]
