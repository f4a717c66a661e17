"""Checkpoints and weights of one run in the folder of another: whole, of equal shapes, and not believed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs_in_processes import write_small
from safetensors.torch import load_file, save_file
from shard_maker import MadeClip, write_shards

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.config import load_config
from training.loop.start import start
from training.run_folders.seeds import every_seed
from training.runs import known_contents, load_run, stored_config

Made = dict[str, Path]


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run, and others whose tensors have the same names and shapes."""
    folder = tmp_path_factory.mktemp("finished")
    elsewhere = other_shards(folder / "elsewhere")
    config = write_small(folder / "small.yaml", shards)
    truth = write_truth(folder / "validation.json", shards)
    others = {
        "own": (),
        "of another seed": ("seed=1",),
        "of another temperature": ("method.temperature=0.05",),
        "of other shards": (f"data.shards={elsewhere}", "validation=null"),
    }
    chosen = (f"validation.truth={truth}",)
    return {
        name: start(load_config(config, (*chosen, *more)), folder / "runs", "cpu")[0] for name, more in others.items()
    }


def other_shards(folder: Path) -> Path:
    """Clips of the same shapes."""
    rng = np.random.default_rng(7)
    frames = rng.integers(0, 255, (40, 64, 80, 3), dtype=np.uint8)
    clips = [
        MadeClip(f"other{number:07d}_000000", frame, rng.normal(-12, 2, (257, 300)).astype(np.float16), "class0")
        for number, frame in enumerate(frames)
    ]
    return write_shards(folder, clips, [40], short_side=64)


def write_truth(path: Path, shards: Path) -> Path:
    """Boxes on clips that are not trained on."""
    store = ShardStore.open(shards)
    keys = [key for key, split in zip(store.keys, store.table["split"].to_pylist(), strict=True) if split == "test"]
    path.write_text(json.dumps([{"file": key, "class": "a", "bbox": [[0.2, 0.2, 0.6, 0.6]]} for key in keys]))
    return path


@pytest.fixture
def run(finished: Made, tmp_path: Path) -> Path:
    """A copy of the first one that may be changed."""
    return shutil.copytree(finished["own"], tmp_path / "runs" / "small" / finished["own"].name)


def unfinish(run: Path) -> None:
    for name in ("DONE", "weights.safetensors"):
        (run / name).unlink(missing_ok=True)


def again(run: Path, *overrides: str) -> Path:
    return start(load_config(run / "config.yaml", overrides), run.parents[1], "cpu")[0]


def same_weights(one: Path, other: Path) -> bool:
    mine, theirs = (load_file(run / "weights.safetensors") for run in (one, other))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


FOREIGN = {
    "of another seed": "seed is 1 there, 0 here",
    "of another temperature": r"method\.temperature is 0\.05 there, 0\.1 here",
    "of other shards": r"another content of data\.shards",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_checkpoint_of_another_run_is_not_gone_on_from(finished: Made, run: Path, capsys, kind: str) -> None:
    unfinish(run)
    shutil.copyfile(finished[kind] / "checkpoints/last.pt", run / "checkpoints/last.pt")
    again(run)
    said = capsys.readouterr().out
    assert "last.pt cannot be used: it is of another run: " in said
    assert "the run goes on from the checkpoint before" in said
    assert same_weights(run, finished["own"])
    assert (run / "checkpoints/damaged.pt").is_file()


@pytest.mark.parametrize("kind", FOREIGN)
def test_without_an_own_one_it_is_a_sentence(finished: Made, run: Path, kind: str) -> None:
    unfinish(run)
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(finished[kind] / "checkpoints", run / "checkpoints")
    with pytest.raises(
        InputError, match=rf"it is of another run: .*{FOREIGN[kind]}.* delete .* to start this run again"
    ):
        again(run)
    assert not (run / "DONE").exists()


@pytest.mark.parametrize("weights", ["last", "best"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_the_weights_of_another_run_are_refused(finished: Made, run: Path, kind: str, weights: str) -> None:
    load_run(run, weights=weights)
    name = "weights.safetensors" if weights == "last" else "weights.best.safetensors"
    shutil.copyfile(finished[kind] / "weights.safetensors", run / name)
    with pytest.raises(InputError, match=rf"{name} is damaged, or not of this run \(.*{FOREIGN[kind]}.*\). Copy"):
        load_run(run, weights=weights)


def test_a_later_stage_does_not_begin_with_them(finished: Made, run: Path) -> None:
    shutil.copyfile(finished["of another seed"] / "weights.safetensors", run / "weights.safetensors")
    with pytest.raises(InputError, match=r"init_from: .*seed is 1 there, 0 here"):
        again(run, f"init_from={run}", "name=later")


def test_nor_is_another_config_believed_beside_them(finished: Made, run: Path) -> None:
    shutil.copyfile(finished["of another temperature"] / "config.yaml", run / "config.yaml")
    with pytest.raises(InputError, match=r"method\.temperature is 0\.1 there, 0\.05 here"):
        load_run(run)


def test_a_run_under_another_name_at_another_place_is_the_same(finished: Made, run: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "elsewhere/renamed/kept-s0").absolute()
    moved.parent.mkdir(parents=True)
    shutil.move(run, moved)
    load_run(moved)
    text = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(text.replace("name: small", "name: renamed"))
    load_run(moved)
    unfinish(moved)
    (moved / "checkpoints/last.pt").unlink()  # there is something left to train
    assert again(moved) == moved
    assert same_weights(moved, finished["own"])


def earlier_checkpoint(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    del content["run"]
    torch.save(content, path)


def earlier_weights(path: Path) -> None:
    save_file(load_file(path), path)


EARLIER: dict[str, Callable[[Path], Any]] = {
    "checkpoints/previous.pt": earlier_checkpoint,
    "weights.safetensors": earlier_weights,
    "weights.best.safetensors": earlier_weights,
}


def test_files_of_an_earlier_version_say_nothing_of_their_run_and_open(finished: Made, run: Path) -> None:
    for name, change in EARLIER.items():
        change(run / name)
    load_run(run)
    load_run(run, weights="best")
    unfinish(run)
    (run / "checkpoints/last.pt").unlink()
    again(run)
    assert same_weights(run, finished["own"])
    load_run(run)


def test_what_files_carry_names_no_place(finished: Made) -> None:
    for path in finished["own"].rglob("*.safetensors"):
        assert str(finished["own"].parents[2]).encode() not in path.read_bytes()
    carried = torch.load(finished["own"] / "checkpoints/last.pt", weights_only=True)["run"]
    assert carried["contents"] == known_contents(finished["own"])
    assert carried["settings"]["method.temperature"] == stored_config(finished["own"]).method.options.temperature


def test_weights_of_an_earlier_version_that_are_the_same_are_left_alone(run: Path) -> None:
    """Results know them by the bytes of their file: the run made again, or imported again, has the results it had."""
    weights = run / "weights.safetensors"
    save_file(load_file(weights), weights)  # which carries no run
    before = weights.read_bytes()
    (run / "DONE").unlink()
    assert again(run) == run
    assert weights.read_bytes() == before
    state = {name: tensor + 1 for name, tensor in load_file(weights).items()}
    save_file(state, weights)
    (run / "DONE").unlink()
    again(run)
    assert weights.read_bytes() != before
    assert load_run(run).method.state_dict().keys() == state.keys()


def test_a_seed_whose_mark_leads_nowhere_is_not_left_out_of_a_mean(run: Path, finished: Made) -> None:
    other = shutil.copytree(finished["of another seed"], run.parent / finished["of another seed"].name)
    assert {folder.name for folder in every_seed(run.parent)} == {run.name, other.name}
    (other / "DONE").unlink()
    (other / "DONE").symlink_to("/nowhere")
    with pytest.raises(InputError, match=r"DONE is a link that leads nowhere, not a file"):
        every_seed(run.parent)
