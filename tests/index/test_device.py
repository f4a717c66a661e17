"""`--device`: four spellings, and everything else is refused in every command that has the option."""

import pytest
from commands import Commands

from index.device import chosen_device, device_number
from manifests.errors import InputError


@pytest.mark.parametrize(
    "given",
    [
        "gpu",
        "CPU",
        "cuda:",
        "cuda:x",
        "cuda1",
        "cuda:-1",
        "",
        "mps",
        "cuda:0 ",
        "CUDA:0",
        "cuda:01",
        "cuda:1,2",
        "cuda:٣",
        "auto\n",
    ],
)
def test_what_is_no_device_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="Give auto, cpu, cuda or cuda:N"):
        device_number(given)


@pytest.mark.parametrize(
    ("given", "gpus", "chosen"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda:0"), ("cuda:1", 2, "cuda:1")],
)
def test_what_is_chosen(given: str, gpus: int, chosen: str) -> None:
    assert chosen_device(given, gpus, "torch") == chosen


@pytest.mark.parametrize(("given", "gpus"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused(given: str, gpus: int) -> None:
    with pytest.raises(InputError, match=f"--device {given} was asked for"):
        chosen_device(given, gpus, "torch")


@pytest.mark.parametrize(
    "command",
    [
        ("training", "run", "ezvsl.yaml"),
        ("training", "evaluate", "nowhere"),
        ("training", "embed", "nowhere"),
        ("training", "localize", "nowhere", "nowhere.mp4"),
        ("index", "embed"),
        ("index", "build-knn"),
    ],
    ids=" ".join,
)
def test_every_command_refuses_it_with_exit_2(command: tuple[str, ...], tmp_path, monkeypatch, capsys) -> None:
    package, *arguments = command
    ended = Commands(monkeypatch, capsys)(package, *arguments, "--device", "gpu", cwd=tmp_path)
    assert ended.returncode == 2
    assert "--device 'gpu' is no device" in ended.stderr
