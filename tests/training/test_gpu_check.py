"""The script that measures a GPU runs as it is on a CPU, small: no part of it fails for the first time on a GPU."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from benchmarks.gpu import check, speed
from benchmarks.gpu import tests as marked_tests
from benchmarks.gpu.summary import PLAN, summary
from benchmarks.step.sizes import DRY
from benchmarks.step.verdict import MISSING
from training.methods import method_names

PARTS = ("machine", "speed", "evaluation", "neighbours", "tests", "steps", "losses")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_dry_run_of_the_gpu_check(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu.check",
        "--device",
        "cpu",
        "--dry",
        "--out",
        out,
        "--parts",
        *PARTS,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    written = json.loads(out.read_text())
    parts = written["parts"]
    assert {name: part["ended"] for name, part in parts.items()} == dict.fromkeys(PARTS, "whole")
    assert set(PARTS) == set(check.LIMITS)
    check_summary(written["summary"], done.stdout)
    assert parts["tests"]["exit_code"] == 0
    assert parts["tests"]["counts"].keys() == {"skipped"}
    assert parts["tests"]["ran"].startswith("nothing")
    assert parts["losses"]["float32"]["within"]
    assert parts["losses"]["float32"]["largest_relative_difference"]["out of GPU memory"] == 0
    assert parts["losses"]["bfloat16"]["seeds"] == 3
    assert parts["evaluation"]["within"]
    for name in method_names():  # none is left out
        of_method = parts["steps"][name]
        assert set(of_method) == {"float32", "bfloat16"}, of_method
        assert all(each.get("fine") or each == {"learns": False} for each in of_method.values()), of_method
    assert all(rate["samples_per_second"] > 0 for rate in parts["speed"]["rates"].values())
    assert parts["neighbours"]["torch_cpu"]["recall"] == 1


def check_summary(told: dict[str, Any], printed: str) -> None:
    """Of parts that ran in processes of their own: all is told but what only a GPU compiles."""
    compiled = {switch.name for switch in PLAN.switches if switch.on.startswith("compiled")}
    unknown = {name for name, switch in told["switches"].items() if switch["ratio"] == MISSING}
    assert unknown == compiled
    assert set(told["share_of_limits"]) == {"fixed", "resident", "streamed"}
    for name in ("resident", "streamed"):
        assert MISSING not in told["end_to_end"][name].values()
    assert [row["reached"] for row in told["goals"]].count(MISSING) == 0
    assert told["learnt_nothing"] == []
    assert "times the field at least 10, streamed: " in printed


def test_the_summary_names_contenders_that_are_measured() -> None:
    measured = {*speed.FIRST, *speed.COMPILED_ONES, *speed.LAST}
    ways = [way for several in PLAN.feeds.values() for way in several]
    named = {name for way in ways for name in (way.name, way.tensors)}
    assert named | {name for switch in PLAN.switches for name in (switch.on, switch.off)} == measured


def test_the_summary_of_the_check_on_an_h100_is_what_the_page_says_of_it() -> None:
    parts = json.loads((ROOT / "benchmarks" / "gpu" / "h100-1.json").read_text())["parts"]
    told = summary(parts)
    assert told["switches"]["channels last"]["ratio"] == 1.53
    assert told["switches"]["one kernel for the optimiser"]["ratio"] == 1.44
    assert told["switches"]["stem as a matrix product"]["ratio"] == 1.19
    assert told["end_to_end"]["resident"]["of_tensors"] == 0.971
    assert told["end_to_end"]["resident"]["times_the_field"] == 3.554


def test_without_its_speed_a_check_has_no_summary(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["check", "--out", str(tmp_path / "check.json"), "--parts", "losses"])
    monkeypatch.setattr(check, "gpu_name", lambda: "NVIDIA Some")
    monkeypatch.setattr(check, "in_own_process", lambda *_: {"ended": "whole"})
    check.main()
    assert "summary" not in json.loads((tmp_path / "check.json").read_text())


@pytest.mark.parametrize(
    ("printed", "ran"),
    [("11 skipped, 498 deselected in 3.1s", 0), ("498 deselected in 3.1s", 0), ("", 0), ("2 errors in 3.1s", 2),
     ("9 passed, 2 skipped in 3.1s", 9), ("1 failed, 8 passed in 3.1s", 9)],
)  # fmt: skip
def test_of_tests_that_were_all_left_out_it_is_said(tmp_path: Path, monkeypatch, printed: str, ran: int) -> None:
    """On a GPU that is a failure; without pytest there is only an error."""
    done = subprocess.CompletedProcess([], 1, stdout=printed, stderr="No module named pytest")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    for device in ("cpu", "cuda"):
        found: dict[str, Any] = {}
        with pytest.raises(RuntimeError, match="nothing") if not ran and device == "cuda" else nullcontext():
            marked_tests.measure(DRY, device, tmp_path, found.update)
        assert found["ran"] == ran or (not ran and found["ran"].startswith("nothing"))


def test_every_file_of_the_check_names_its_gpu() -> None:
    for path in (ROOT / "benchmarks" / "gpu").glob("*.json"):
        found = json.loads(path.read_text())
        named = f"{found.get('gpu')} {found.get('what')} {found.get('parts', {}).get('machine', {}).get('name')}"
        assert path.stem.partition("-")[0].upper() in named, path.name


@pytest.mark.slow
def test_a_part_that_takes_too_long_is_stopped_and_what_it_found_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    command = [sys.executable, "-m", "benchmarks.gpu.check", "--device", "cpu", "--dry", "--out", out,
               "--seconds", "14", "--parts", "steps", "losses"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    parts = json.loads(out.read_text())["parts"]
    assert parts["steps"]["ended"].startswith("stopped at its limit of")
    assert parts["losses"] == {"left_out": "no time was left"}


def test_without_a_gpu_nothing_is_begun(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(sys, "argv", ["check", "--out", str(tmp_path / "check.json")])
    with pytest.raises(SystemExit) as end:
        check.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("torch sees no GPU here (")
    assert not (tmp_path / "check.json").exists()


@pytest.mark.parametrize(
    ("found", "code"),
    [({"ended": "whole"}, None), ({"ended": "failed: a traceback"}, 1), ({"ended": "whole", "exit_code": 1}, 1),
     ({"ended": "stopped at its limit of 9 s"}, None)],
)  # fmt: skip
def test_a_part_that_failed_is_the_exit_code(tmp_path: Path, monkeypatch, found: dict, code: int | None) -> None:
    """And what was found is written, with the GPU it was found on."""
    out = tmp_path / "check.json"
    monkeypatch.setattr(sys, "argv", ["check", "--out", str(out), "--parts", "speed", "losses"])
    monkeypatch.setattr(check, "gpu_name", lambda: "NVIDIA Some")
    monkeypatch.setattr(check, "in_own_process", lambda part, *_: found if part == "speed" else {"ended": "whole"})
    if code is None:
        check.main()
    else:
        with pytest.raises(SystemExit, match=r"^failed: speed; .*check\.json says how$"):
            check.main()
    written = json.loads(out.read_text())
    assert written["gpu"] == "NVIDIA Some"
    assert written["parts"] == {"speed": found, "losses": {"ended": "whole"}}
