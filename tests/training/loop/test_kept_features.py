"""Frozen trunks' features, computed once and kept: the losses are those of a run that computes them in every step."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from manifests.errors import InputError
from training.config import Data, Encoders, RunConfig
from training.loop import kept_features, trainer
from training.loop.kept_features import why_not
from training.loop.room import CPU, Room
from training.loop.start import start
from training.loop.trainer import Trainer
from training.loop.training_pass import TrainingPass
from training.methods import method_config, method_module

TRUNK = {"blocks": (1, 1), "width": 8, "weights": "none"}
STILL = {"squash": True, "crop_scale": 1.0, "flip": False}
ALIGNMENT = {"name": "alignment", "multiview": False}
METHODS: dict[str, dict[str, Any]] = {
    "positives": {"name": "ezvsl", "dimension": 16, "positives": ["own", "image", "both"], "exclude": ["audio"]},
    "dropout": {"name": "fnac", "dimension": 16, "image_dropout": 0.5, "warmup_epochs": 1},
    "teacher": {"name": "slavc", "dimension": 16, "image_dropout": 0.5},
    "no heads": {"name": "lvs"},
    "neighbours without heads": ALIGNMENT,
    "cells of sounds": {"name": "dmc", "dimension": 8},
}
HOOKED: dict[str, dict[str, Any]] = {
    "dsol": {"name": "dsol", "dimension": 16, "clusters": 4, "passes": 1},
    "coarse_to_fine": {"name": "coarse_to_fine", "classes": 4, "labels": "clusters", "dimension": 8},
}


@pytest.fixture
def config(shards: Path, knn: Path):
    def make(method: dict[str, Any], resident: str = "auto", **data: Any) -> RunConfig:
        headless = method["name"] in ("lvs", "alignment")
        image, audio = ({**TRUNK, "frozen": True, "projection": 12 if headless else None} for _ in range(2))
        return RunConfig.model_validate(
            {
                "name": "frozen",
                "method": method,
                "data": {"shards": shards, "neighbours": knn, "image_size": 32, "shuffle": 8, "exclude_test": ()}
                | STILL | data,
                "encoders": {"image": image, "audio": audio | {"input_pool": (4, 3)}},
                "optim": {"epochs": 2, "batch_size": 16, "replicas": 2, "learning_rate": 1e-3},
                "compute": {"resident": resident},
                "log_every": 1,
            }
        )  # fmt: skip

    return make


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_losses_are_the_same_with_and_without(config, method: dict[str, Any], tmp_path: Path, capsys) -> None:
    kept, _ = start(config(method), tmp_path / "kept", "cpu")
    assert "features of the frozen trunks are kept, " in capsys.readouterr().out
    anew, _ = start(config(method, "never"), tmp_path / "anew", "cpu")
    assert "features" not in capsys.readouterr().out
    assert losses(kept) == losses(anew)
    assert len(losses(kept)) == 6
    assert losses(kept)[0] != losses(kept)[-1]  # the heads do learn


def test_a_trained_audio_trunk_beside_a_frozen_image_trunk(config, tmp_path: Path) -> None:
    def trained(resident: str) -> RunConfig:
        given = config(METHODS["positives"], resident, audio_policy="time_shift").model_dump(mode="json")
        given["encoders"]["audio"]["frozen"] = False
        return RunConfig.model_validate(given)

    kept, anew = (start(trained(how), tmp_path / how, "cpu")[0] for how in ("auto", "never"))
    assert losses(kept) == losses(anew)


@pytest.mark.parametrize(("method", "bytes_on_device"), [("positives", 30_000), ("cells of sounds", 0)])
def test_features_that_lie_in_two_places(
    config, method: str, bytes_on_device: int, tmp_path: Path, capsys, monkeypatch
) -> None:
    """Some on the device and the rest in memory, computed and out of a file: the losses are the same."""
    anew, _ = start(config(METHODS[method], "never"), tmp_path / "anew", "cpu")
    monkeypatch.setattr(trainer, "room_for_clips", lambda *given: Room(CPU, bytes_on_device, 10**9))
    given = config(METHODS[method]).model_dump(mode="json") | {"compute": {"features": tmp_path / "features"}}
    for folder in ("computed", "out of a file"):
        kept, _ = start(RunConfig.model_validate(given), tmp_path / folder, "cpu")
        said = "features of the frozen trunks are kept, 0.0 GB in memory, 0.0 GB in this machine's"
        assert said in capsys.readouterr().out
        assert losses(kept) == losses(anew)


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (Room(CPU, 10**9), "decoded clips are kept, 0.0 GB in memory\n"),
        (Room(CPU, 3_000_000, 10**9), "decoded clips are kept, 0.0 GB in memory, 0.0 GB in this machine's\n"),
        (
            Room(CPU, 0),
            "readers decode clips anew in each epoch: they take 0.0 GB, and there is room for 0.0 GB in mem",
        ),
    ],
    ids=["all on the device", "in two places", "no room"],
)
def test_decoded_clips_that_stay_in_memory_change_no_loss(
    config, room: Room, said: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    def trained(resident: str) -> RunConfig:
        given = config(METHODS["positives"], resident, crop_scale=1.2, flip=True, squash=True).model_dump(mode="json")
        for trunk in given["encoders"].values():
            trunk["frozen"] = False
        return RunConfig.model_validate(given)

    monkeypatch.setattr(trainer, "room_for_clips", lambda *given: room)
    kept, anew = (start(trained(how), tmp_path / how, "cpu")[0] for how in ("always", "never"))
    assert said in capsys.readouterr().out
    assert losses(kept) == losses(anew)


def test_a_run_is_resumed_as_if_it_had_not_stopped(config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = start(config(METHODS["positives"]), tmp_path / "whole", "cpu")
    step = Trainer.step

    def stopped(trainer: Trainer, parts: Any) -> Any:
        if trainer.done.step == 4:
            raise KeyboardInterrupt
        done = step(trainer, parts)
        trainer.config = trainer.config.model_copy(update={"checkpoint_minutes": 1e-9})
        return done

    monkeypatch.setattr(Trainer, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        start(config(METHODS["positives"]), tmp_path / "parts", "cpu")
    monkeypatch.setattr(Trainer, "step", step)
    parts, _ = start(config(METHODS["positives"]), tmp_path / "parts", "cpu")
    assert losses(parts) == losses(whole)


SQUARE = np.full((4, 2), 32)
ANY = Encoders.model_validate(dict.fromkeys(("image", "audio"), TRUNK))


@pytest.mark.parametrize(
    ("data", "sizes", "still"),
    [
        ({}, SQUARE, True),
        ({"flip": True}, SQUARE, False),
        ({"crop_scale": 1.1}, SQUARE, False),
        ({"colour_jitter": 0.1}, SQUARE, False),
        ({"image_policy": "simclr"}, SQUARE, False),
        ({"squash": False}, np.array([[32, 32], [32, 40]]), False),
        ({"squash": False}, np.array([[32, 32], [40, 40]]), False),
        ({"squash": False}, SQUARE, True),
    ],
)
def test_features_are_kept_of_images_that_stand_still(data: dict[str, Any], sizes: np.ndarray, still: bool) -> None:
    method = method_module("lvs").Method(method_config("lvs", {}), ANY)
    given = Data.model_validate({"image_size": 32} | STILL | data)
    assert (why_not(method, given, sizes) is None) == still


@pytest.mark.parametrize(
    ("name", "why"),
    [("sspl", "the method wants augmented views"), ("ssltie", "the method looks at the images themselves")],
)
def test_methods_that_need_the_pixels(name: str, why: str) -> None:
    method = method_module(name).Method(method_config(name, {}), ANY)
    assert why_not(method, Data.model_validate({"image_size": 32} | STILL), SQUARE) == why


def test_why_features_are_not_kept_is_said(config, tmp_path: Path, capsys) -> None:
    start(config(METHODS["no heads"], flip=True), tmp_path, "cpu")
    why = "its images change from epoch to epoch (they stand still with data.squash true"
    assert f"the frozen image trunk sees every clip anew in each epoch: {why}" in capsys.readouterr().out


def test_another_run_finds_the_features_in_their_folder(config, tmp_path: Path, monkeypatch) -> None:
    def of(seed: int, **data: Any) -> RunConfig:
        given = config(METHODS["no heads"], **data).model_dump(mode="json")
        return RunConfig.model_validate(given | {"seed": seed, "compute": {"features": tmp_path / "features"}})

    start(of(0), tmp_path / "left", "cpu")
    (left,) = (tmp_path / "features").iterdir()
    before = left.stat().st_mtime_ns
    monkeypatch.setattr(kept_features.KeptFeatures, "_compute", lambda *given: pytest.fail("computed again"))
    # the first weights of frozen trunks come from the seed, so another seed's features are others
    again = start(of(0, shuffle=4), tmp_path / "found", "cpu")[0]
    assert left.stat().st_mtime_ns == before
    monkeypatch.undo()
    alone, _ = start(config(METHODS["no heads"], shuffle=4), tmp_path / "alone", "cpu")
    assert losses(again) == losses(alone)
    start(of(1), tmp_path / "other", "cpu")
    assert len(list((tmp_path / "features").iterdir())) == 2


def test_features_of_one_trunk_are_not_taken_for_those_of_another(config, tmp_path: Path) -> None:
    """The same weights at another stride, or behind another pooling, make other features."""
    given = config(METHODS["no heads"]).model_dump(mode="json") | {"compute": {"features": tmp_path / "features"}}
    encoders = given["encoders"]
    pooled = encoders | {"audio": encoders["audio"] | {"input_pool": (3, 3)}}
    strided = encoders | {"image": encoders["image"] | {"input_pool": (2, 2)}}
    for made, shape in enumerate((encoders, pooled, strided), 1):
        start(RunConfig.model_validate(given | {"encoders": shape}), tmp_path / str(made), "cpu")
        assert len(list((tmp_path / "features").iterdir())) == made


def test_a_damaged_file_of_features_is_named(config, tmp_path: Path) -> None:
    given = config(METHODS["no heads"]).model_dump(mode="json") | {"compute": {"features": tmp_path / "features"}}
    start(RunConfig.model_validate(given), tmp_path / "one", "cpu")
    (left,) = (tmp_path / "features").iterdir()
    left.write_bytes(left.read_bytes()[:100])
    with pytest.raises(InputError, match=f"{left.name} is no readable file of features .* delete it"):
        start(RunConfig.model_validate(given), tmp_path / "two", "cpu")


def test_another_run_s_file_of_features_is_not_believed(config, tmp_path: Path) -> None:
    """Under the name that its own would have; what an earlier version wrote does not say of what it is."""
    given = config(METHODS["no heads"]).model_dump(mode="json") | {"compute": {"features": tmp_path / "features"}}
    own, other = (RunConfig.model_validate(given | {"seed": seed}) for seed in (0, 1))
    start(own, tmp_path / "one", "cpu")
    (left,) = (tmp_path / "features").iterdir()
    start(other, tmp_path / "two", "cpu")
    (foreign,) = {*(tmp_path / "features").iterdir()} - {left}
    tensors = load_file(left)
    left.write_bytes(foreign.read_bytes())
    with pytest.raises(InputError, match=f"{left.name} is no readable .*of other clips or trunks.* delete it"):
        start(own, tmp_path / "three", "cpu")
    save_file(tensors, left)
    start(own, tmp_path / "three", "cpu")
    for wrong in ({"image": tensors["image"]}, {name: value[:-1] for name, value in tensors.items()}):
        save_file(wrong, left)
        with pytest.raises(InputError, match=f"{left.name} is no readable .*images of 6[01] clips.*not 61.* delete"):
            start(own, tmp_path / "four", "cpu")


def test_features_that_do_not_fit_are_not_kept(config, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "room_for_clips", lambda *given: Room(CPU, 0))
    short, _ = start(config(METHODS["no heads"]), tmp_path / "short", "cpu")
    assert "sees every clip anew in each epoch: its features take 0.0 GB" in capsys.readouterr().out
    monkeypatch.undo()
    assert losses(short) == losses(start(config(METHODS["no heads"]), tmp_path / "kept", "cpu")[0])


def test_epochs_after_the_first_pass_do_not_compute_the_trunks(config, tmp_path: Path, monkeypatch) -> None:
    seen = []
    forward = torch.nn.Conv2d.forward
    monkeypatch.setattr(torch.nn.Conv2d, "forward", lambda self, x: (seen.append(self), forward(self, x))[1])
    start(config(METHODS["no heads"]), tmp_path, "cpu")
    passes = [layer for layer in seen if layer.in_channels == 8 and layer.kernel_size == (1, 1)]
    assert len(passes) == 2 * 8  # one shortcut in each trunk, for 62 clips in parts of 8, and none in two epochs


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.05)])
@pytest.mark.parametrize("method", HOOKED.values(), ids=HOOKED)
def test_hooks_look_at_what_is_kept(
    config, method: dict[str, Any], precision: str, tolerance: float, tmp_path: Path, monkeypatch
) -> None:
    """What they make of all clips differs by rounding alone, and no trunk computes it again."""
    found: list[torch.Tensor] = []
    each, forward, computed = TrainingPass.each, torch.nn.Conv2d.forward, []

    def looked(clips: TrainingPass, of: Any) -> torch.Tensor:
        before = len(computed)
        found.append(each(clips, of))
        assert (3 in computed[before:]) == (clips.kept is None)  # heads have kernels of 1
        return found[-1]

    monkeypatch.setattr(TrainingPass, "each", looked)
    monkeypatch.setattr(
        torch.nn.Conv2d, "forward", lambda self, x: (computed.extend(self.kernel_size[1:2]), forward(self, x))[1]
    )
    for resident in ("auto", "never"):
        given = config(method, resident).model_dump(mode="json")
        given["optim"] |= {"precision": precision, "epochs": 3}
        start(RunConfig.model_validate(given), tmp_path / resident, "cpu")
    assert len(found) == 2
    torch.testing.assert_close(found[0], found[1], rtol=tolerance, atol=tolerance * found[1].abs().max().item())
