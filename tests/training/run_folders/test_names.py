"""Names of run folders: what was overridden, the digest, the seed. Old folders are found by the digest."""

from pathlib import Path

import pytest

from training.config import load_config
from training.run_folders.identity import digest
from training.run_folders.names import configuration_of, folder_of, run_name, said_of
from training.run_folders.seeds import every_seed
from training.runs import find_run

DIGEST = "0123abcd"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ((), "0123abcd-s3"),
        (("seed=3", "name=x", "evaluation.truth=a.json", "published=[fnac]", "compute.compile=never"), "0123abcd-s3"),
        (("optim.epochs=5", "data.k=30"), "epochs=5,k=30-0123abcd-s3"),
        (("optim.learning_rate=3e-4",), "learning_rate=3e-4-0123abcd-s3"),
        (("method.positives=[own, audio]",), "positives=own+audio-0123abcd-s3"),
        (("data.shards=/far/away/my shards",), "shards=my+shards-0123abcd-s3"),
        (("method.note='; rm -rf ~ #'",), "note=rm+-rf-0123abcd-s3"),
        ((f"data.lists={'x' * 300}",), f"lists={'x' * 74}-0123abcd-s3"),
    ],
)
def test_a_name_says_what_was_overridden_and_trains(overrides, name: str) -> None:
    assert run_name(overrides, DIGEST, 3) == name
    assert configuration_of(name) == DIGEST
    assert said_of(name) == (name.removesuffix("-0123abcd-s3") if "-0123abcd" in name else DIGEST)


def test_a_name_of_another_form_is_a_configuration_of_its_own() -> None:
    assert [configuration_of(name) for name in ("mine", "ab-s10", "-s1")] == ["mine", "ab", "-s1"]


def test_a_run_is_found_whatever_it_was_called_by(tmp_path: Path) -> None:
    config = load_config("centred_disc.yaml", ("optim.epochs=5",))
    own = digest(config, {})
    named, _ = find_run(tmp_path, config, {}, ("optim.epochs=5",))
    assert named == tmp_path / "centred_disc" / f"epochs=5-{own}-s0"
    old = tmp_path / "centred_disc" / f"{own}-s0"  # as earlier versions called it
    old.mkdir(parents=True)
    (old / "config.yaml").write_text(config.to_yaml())
    assert find_run(tmp_path, config, {}, ("optim.epochs=5",)) == (old, [])
    old.rename(named)
    assert find_run(tmp_path, config, {}) == (named, [])  # the same settings from a file
    assert folder_of(old.parent, (), own[1:], 0).name == f"{own[1:]}-s0"  # the end of a digest is none


def test_seeds_of_old_and_new_names_belong_together(tmp_path: Path) -> None:
    for name in ("0123abcd-s1", "k=3-0123abcd-s0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "DONE").touch()
    assert [folder.name for folder in every_seed(tmp_path)] == ["k=3-0123abcd-s0", "0123abcd-s1"]
