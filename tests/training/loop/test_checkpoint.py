"""Checkpoints that are not what was written: the one before is used, or a sentence says what is wrong."""

import argparse
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from manifests.errors import InputError, WorkFailed
from manifests.files.checksums import MARK, SEAL
from training.loop.checkpoint import Checkpoints, Progress

STEPS = 40
RUN: dict[str, Any] = {
    "seed": 0,
    "settings": {"method.temperature": 0.03, "optim.epochs": 2},
    "contents": {"shards": "1" * 64, "earlier_stage": "2" * 64},
}


def trained(width: int = 3) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network after one step."""
    method = nn.Sequential(nn.Linear(width, 2), nn.BatchNorm1d(2))
    optimiser = torch.optim.Adam(method.parameters())
    method(torch.rand(4, width)).square().mean().backward()
    optimiser.step()
    return method, optimiser


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with the checkpoints of steps 10 and 20."""
    checkpoints = Checkpoints(tmp_path, RUN)
    for step in (10, 20):
        checkpoints.save(*trained(), Progress(step, 1.5, 2))
    return tmp_path


def loaded(folder: Path, width: int = 3, run: dict[str, Any] = RUN) -> tuple[Progress, list[str]]:
    checkpoints = Checkpoints(folder, run)
    return checkpoints.load(*trained(width), STEPS), checkpoints.said


def flipped(position: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(position * len(content))] ^= 1
        path.write_bytes(content)

    return flip


def changed(**values: Any) -> Callable[[Path], None]:
    """The checkpoint with other values, saved as an earlier version would: without a checksum."""

    def change(path: Path) -> None:
        content = torch.load(path, weights_only=True) | values
        torch.save({name: value for name, value in content.items() if value is not None}, path)

    return change


def of_other_shapes(path: Path) -> None:
    method, optimiser = trained(width=7)
    torch.save(torch.load(path, weights_only=True) | {"optimizer": optimiser.state_dict()}, path)
    del method


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a byte at its beginning": flipped(0.01),
    "a byte in the middle": flipped(0.5),
    "a byte near its end": flipped(0.95),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:500]) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "text": lambda path: path.write_text("to be done") and None,
    "zeros": lambda path: path.write_bytes(bytes(4000)) and None,
    "code": lambda path: torch.save({"format": 1, "method": os.system}, path),
    "an object": lambda path: torch.save({"format": 1, "method": argparse.Namespace(a=1)}, path),
    "a list": lambda path: torch.save([1, 2], path),
    "no method": changed(method=None),
    "a method that is a number": changed(method=3),
    "no optimiser": changed(optimizer=None),
    "an optimiser that is a list": changed(optimizer=[]),
    "other moments": of_other_shapes,
    "another format": changed(format=9),
    "no step": changed(step=None),
    "a step beyond the end": changed(step=10**9),
    "a negative step": changed(step=-1),
    "a step in words": changed(step="20"),
    "endless": changed(seconds=float("inf")),
    "of another seed": changed(run={**RUN, "seed": 1}),
    "of another setting": changed(run={**RUN, "settings": {**RUN["settings"], "method.temperature": 0.1}}),
    "of other shards": changed(run={**RUN, "contents": {**RUN["contents"], "shards": "3" * 64}}),
    "of another earlier stage": changed(run={**RUN, "contents": {**RUN["contents"], "earlier_stage": "3" * 64}}),
    "of a run that is a number": changed(run=3),
    "of a run without settings": changed(run={"seed": 0, "contents": {}}),
    "of a run with a list of contents": changed(run={**RUN, "contents": []}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checkpoint_before_is_used_and_said(saved: Path, damage: str) -> None:
    DAMAGE[damage](saved / "last.pt")
    progress, said = loaded(saved)
    assert progress == Progress(10, 1.5, 2)
    assert re.match(rf"checkpoint {saved}/last\.pt cannot be used: .*damaged\.pt at the next save", said[0])
    assert "goes on from the checkpoint before" in said[1]
    check_told("".join(said))


@pytest.mark.parametrize("damage", DAMAGE)
def test_without_one_before_it_is_a_sentence(saved: Path, damage: str) -> None:
    (saved / "previous.pt").unlink()
    DAMAGE[damage](saved / "last.pt")
    with pytest.raises(InputError, match=r"last\.pt cannot be used: .* or delete .* to start this run again") as caught:
        loaded(saved)
    check_told(str(caught.value))


ADVICE = re.compile(r"weights_only|trust|arbitrary code|allowlist|file an issue|high likelihood")


def check_told(said: str) -> None:
    """One paragraph, without torch's advice to load what may run code, and without the middle of a sentence."""
    assert "\n" not in said
    assert not ADVICE.search(said)
    assert "..." not in said
    for reason in re.findall(r"truncated or not a checkpoint \((.*?)\)\. ", said):
        assert 10 < len(reason) < 150


def test_the_damaged_one_is_set_aside_not_kept_as_the_one_before(saved: Path) -> None:
    (saved / "last.pt").write_text("to be done")
    checkpoints, (method, optimiser) = Checkpoints(saved, RUN), trained()
    checkpoints.load(method, optimiser, STEPS)
    checkpoints.save(method, optimiser, Progress(11))
    assert (saved / "damaged.pt").read_text() == "to be done"
    assert loaded(saved) == (Progress(11), [])
    (saved / "last.pt").unlink()
    assert loaded(saved)[0] == Progress(10, 1.5, 2)


def test_of_a_kill_between_the_two_renamings_the_one_before_is_left(saved: Path) -> None:
    (saved / "last.pt").unlink()
    progress, said = loaded(saved)
    assert progress.step == 10
    assert len(said) == 1


def test_one_of_other_shapes_is_not_loaded(saved: Path) -> None:
    with pytest.raises(InputError, match="not of this run's method"):
        loaded(saved, width=7)


def test_one_of_an_earlier_version_opens(saved: Path) -> None:
    path = saved / "last.pt"
    content = path.read_bytes()
    assert content[-SEAL:].startswith(MARK)
    path.write_bytes(content[:-SEAL])
    changed(skipped=None, run=None)(path)
    assert loaded(saved) == (Progress(20, 1.5, 0), [])


def test_one_of_another_run_says_in_what_it_differs(saved: Path) -> None:
    other = {**RUN, "seed": 3, "settings": {**RUN["settings"], "method.temperature": 0.1}}
    other["contents"] = {**RUN["contents"], "shards": "3" * 64}
    with pytest.raises(
        InputError, match=r"method\.temperature is 0\.03 there, 0\.1 here; seed is 0 there, 3 here; another"
    ):
        loaded(saved, run=other)
    assert not re.search("[13]{64}", "".join(loaded(saved)[1]))


def test_a_setting_or_content_that_only_one_version_knows_is_not_compared(saved: Path) -> None:
    younger = {**RUN, "settings": {**RUN["settings"], "optim.new": 1}, "contents": {"shards": "1" * 64, "new": "4"}}
    assert loaded(saved, run=younger) == (Progress(20, 1.5, 2), [])


def test_one_that_a_disk_does_not_give_now_is_not_gone_back_from(saved: Path, monkeypatch) -> None:
    def fails(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("training.loop.checkpoint.check_seal", fails)
        with pytest.raises(WorkFailed, match=r"checkpoint .*last\.pt cannot be read \(Input/output error\)"):
            loaded(saved)
    assert loaded(saved) == (Progress(20, 1.5, 2), [])


def test_without_any_it_is_a_fresh_start(tmp_path: Path) -> None:
    assert loaded(tmp_path) == (Progress(), [])
