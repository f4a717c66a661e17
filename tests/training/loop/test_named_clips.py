"""Names that a run gives to its training clips by clusters: whose they are when another run begins with its weights."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Commands, Ended
from safetensors.torch import load_file, save_file
from shard_maker import write_shards
from tiny_run import write_tiny

from pipeline.shards.store import ShardStore
from training.config import load_config
from training.loop.start import start
from training.loop.trainer import Trainer
from training.runs import load_run

from ..conftest import made_clip

DSOL = {"name": "dsol", "dimension": 8, "clusters": 3, "passes": 1}
COARSE_TO_FINE = {"name": "coarse_to_fine", "labels": "clusters", "classes": 3, "dimension": 8, "hidden": 16}
OPTIM = {"epochs": 3, "batch_size": 4, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def make(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Train on some of the training clips, by their place among them; returns the run's folder."""
    folder = tmp_path_factory.mktemp("named")
    store = ShardStore.open(shards)
    keys = [key for key, split in zip(store.keys, store.table["split"].to_pylist(), strict=True) if split == "train"]

    def trained(name: str, method: dict, clips: slice, **sections: object) -> Path:
        listed = folder / f"{name}.txt"
        listed.write_text("".join(f"{key}\n" for key in keys[clips]))
        sections = {"data": {"train_list": listed, "drop_flagged": []}, "optim": OPTIM} | sections
        config = load_config(write_tiny(folder, shards, method, name=name, **sections))
        return start(config, folder / "runs", "cpu")[0]

    return trained


@pytest.fixture(scope="module")
def first(make: Callable[..., Path]) -> Path:
    """A finished run of dsol on twelve clips."""
    return make("first", DSOL, slice(12))


def labels_of(run: Path) -> tuple[int, list[int], list[int]]:
    found = load_run(run).method.pseudo_labels
    return int(found.epoch), found.rows.tolist(), found.labels.tolist()


@pytest.mark.parametrize("clips", [slice(24), slice(30, 42)], ids=["more", "as many others"])
def test_dsol_names_its_own_clips_whatever_run_it_begins_with(make, first: Path, clips: slice) -> None:
    second = make("second", DSOL, clips, init_from=first)
    (epoch, rows, labels), before = labels_of(second), labels_of(first)
    assert epoch == before[0] == 2
    assert len(rows) == len(labels) == clips.stop - (clips.start or 0)
    assert rows != before[1]


def test_dsol_has_no_dictionary_of_another_run_before_it_has_named_anything(make, first: Path) -> None:
    second = make("short", DSOL, slice(12, 24), init_from=first, optim=OPTIM | {"epochs": 2})
    assert load_run(first).method.dictionary.any()
    assert not load_run(second).method.dictionary.any()
    assert labels_of(second) == (-1, [], [])


@pytest.mark.parametrize("method", [DSOL, COARSE_TO_FINE], ids=["dsol", "coarse_to_fine"])
def test_stopped_within_the_first_epoch_it_goes_on_as_if_it_had_not_been(
    make, first: Path, method: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = first if method is DSOL else make("earlier", method, slice(12))
    name = method["name"]
    whole = make(f"whole_{name}", method, slice(12, 24), init_from=earlier)
    step = Trainer.step

    def stopping(self: Trainer, parts: list) -> tuple:
        if self.done.step == 2:
            self.save()
            raise KeyboardInterrupt
        return step(self, parts)

    monkeypatch.setattr(Trainer, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        make(f"stopped_{name}", method, slice(12, 24), init_from=earlier)
    monkeypatch.setattr(Trainer, "step", step)
    resumed = make(f"stopped_{name}", method, slice(12, 24), init_from=earlier)
    ours, theirs = (load_file(run / "weights.safetensors") for run in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# --- what a user reads -----------------------------------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """The one paragraph that refuses a run, which has left nothing behind."""
    here: Callable[..., Ended] = partial(Commands(monkeypatch, capsys), "training", "run", "--device", "cpu")

    def refused(config: Path, *overrides: str) -> str:
        before = sorted((tmp_path / "runs").glob("*/*"))
        ended = here(config, *overrides, cwd=tmp_path)
        assert ended.returncode == 2, ended.stderr
        assert "Traceback" not in ended.stderr
        assert sorted((tmp_path / "runs").glob("*/*")) == before
        return ended.stderr.strip()

    return refused


def other_clips(folder: Path) -> Path:
    """Twelve clips of other videos in the rows of the first twelve."""
    rng = np.random.default_rng(7)
    return write_shards(folder / "others", [made_clip(number * 5 + 500, rng) for number in range(12)], short_side=64)


def test_stage_2_refuses_names_of_other_videos_in_the_same_rows(tmp_path: Path, said: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    ours = write_shards(tmp_path / "ours", [made_clip(number * 5, rng) for number in range(12)], short_side=64)
    sections = {"data": {"drop_flagged": []}, "optim": OPTIM | {"epochs": 1}}
    first = write_tiny(tmp_path, ours, COARSE_TO_FINE, name="first", **sections)
    run = start(load_config(first), tmp_path / "runs", "cpu")[0]
    later = partial(write_tiny, tmp_path, method=COARSE_TO_FINE | {"stage": 2}, init_from=run, **sections)
    mine, others = later(ours, name="mine"), later(other_clips(tmp_path), name="others")
    complaint = "has named 12 clips, and they are not the 12 training clips of this one"
    assert complaint in said(others)
    stage2, _ = start(load_config(mine), tmp_path / "runs", "cpu")
    assert labels_of(stage2) == labels_of(run)
    weights = load_file(run / "weights.safetensors")  # of an earlier version, which did not store whose names they are
    del weights["pseudo_labels.digest"]
    save_file(weights, run / "weights.safetensors")
    assert labels_of(run) == labels_of(stage2)
    assert complaint in said(others)
    start(load_config(mine, ["seed=1"]), tmp_path / "runs", "cpu")


@pytest.mark.parametrize(
    ("method", "overrides", "complaint"),
    [
        (DSOL, ("method.clusters=62",), "method.clusters is 62, and there are only 61 training clips"),
        (COARSE_TO_FINE, ("method.classes=100",), "method.classes is 100, and there are only 61 training clips"),
        ({"name": "dsol_mixtures", "dimension": 8}, (), "goes on from a run of dsol"),
    ],
    ids=["dsol", "coarse_to_fine", "dsol_mixtures"],
)
def test_clips_that_a_method_cannot_learn_from_are_refused_before_anything_is_done(
    shards: Path, tmp_path: Path, said: Callable[..., str], method: dict, overrides: tuple, complaint: str
) -> None:
    assert complaint in said(write_tiny(tmp_path, shards, method, name="few", optim=OPTIM), *overrides)


def test_more_clusters_than_cells_are_refused_in_a_paragraph(shards: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    config = write_tiny(tmp_path, shards, {"name": "dmc", "dimension": 8, "image_clusters": 300}, name="dmc")
    ended = Commands(monkeypatch, capsys)("training", "run", config, "--device", "cpu", cwd=tmp_path)
    assert ended.returncode == 2
    assert "method.image_clusters is 300, and there are only" in ended.stderr
    assert "Traceback" not in ended.stderr
