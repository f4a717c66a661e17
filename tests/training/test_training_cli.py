"""The `training` command as a user types it, with right and wrong arguments."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import Commands, Ended
from tiny_run import write_tiny

from training.processes.thread_policy import POLICY

COMMANDS = {"pipeline", "index", "training"}


def command(name: str, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run a console command in its own process, as a user would."""
    code = f"from {name}.cli import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `training ...` in this process, which has loaded torch already."""
    return partial(Commands(monkeypatch, capsys), "training")


@pytest.fixture(scope="module")
def truth(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes of the sixteen test clips and of one clip that is not in the shards."""
    table = pq.read_table(shards / "manifest.parquet")
    keys = [
        key for key, split in zip(*(table[c].to_pylist() for c in ("key", "split")), strict=True) if split == "test"
    ]
    entries = [
        {"file": key, "class": "square", "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key in [*keys, "absentclip0_000001"]
    ]
    path = tmp_path_factory.mktemp("truth") / "boxes.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture(scope="module")
def trained(shards: Path, truth: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained and evaluated through the command line; the folder it happened in."""
    folder = tmp_path_factory.mktemp("user")
    evaluation = {"test_set": "boxes", "truth": truth}
    write_tiny(folder, shards, optim={"epochs": 2, "learning_rate": 1e-3}, evaluation=evaluation)
    result = command("training", "run", "tiny.yaml", "--device", "cpu", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "trained" in result.stdout
    assert result.stdout.startswith("config: tiny.yaml\n")  # before all else: whose settings these are
    return folder


def test_a_finished_run_is_left_alone(trained: Path, here: Callable[..., Ended]) -> None:
    result = here("run", "tiny.yaml", cwd=trained)
    assert result.returncode == 0
    assert "already finished" in result.stdout


def test_evaluate_writes_one_row_a_sample_and_names_the_missing_clip(trained: Path, here: Callable[..., Ended]) -> None:
    result = here("evaluate", "runs/tiny", cwd=trained)
    assert result.returncode == 0, result.stderr
    assert "16 of 17 clips scored" in result.stdout
    for word in ("centred disc", "whole image", "random", "audio visual", "ceiling"):
        assert word in result.stdout
    folder = next((trained / "runs/tiny").glob("*/evaluation"))
    for protocol in ("ezvsl", "adaptive"):
        facts = json.loads((folder / f"boxes.{protocol}.json").read_text())
        assert (facts["n_scored"], facts["n_expected"], facts["missing"]) == (16, 17, ["absentclip0_000001"])
        rows = pq.read_table(folder / f"boxes.{protocol}.parquet").to_pylist()
        own = [row["iou"] for row in rows if row["map"] == "audio_visual"]
        assert len(own) == 16
        assert facts["scores"]["audio_visual"]["mean_iou"] == pytest.approx(sum(own) / 16)


def test_seeds_that_are_not_finished_are_said(trained: Path, here: Callable[..., Ended]) -> None:
    own = next((trained / "runs/tiny").glob("*-s0"))
    begun = own.with_name(own.name.replace("-s0", "-s1"))
    begun.mkdir()
    (begun / "config.yaml").touch()
    (begun / "command.txt").write_text("training run tiny.yaml seeds=0..2 --runs runs\n")
    evaluated, compared = (here(name, "runs/tiny", cwd=trained).stdout for name in ("evaluate", "compare"))
    shutil.rmtree(begun)
    assert f"runs/tiny/{begun.name} is not finished, so it is not evaluated" in evaluated
    assert f"{own.name.replace('-s0', '-s2')} was asked for and never begun, so it is not evaluated" in evaluated
    assert (
        f"tiny stands for 1 of 3 seeds: seed 1 ({begun.name}) is not finished, seed 2 was asked for and never begun."
    ) in compared


def test_seeds_have_their_mean_and_spread_after_their_own_numbers(
    shards: Path, truth: Path, tmp_path: Path, here: Callable[..., Ended]
) -> None:
    write_tiny(tmp_path, shards, optim={"learning_rate": 1e-3}, evaluation={"test_set": "boxes", "truth": truth})
    here("run", "tiny.yaml", "optim.epochs=1", "seeds=0..1", "--device", "cpu", cwd=tmp_path)
    first = here("evaluate", "runs/tiny", "--protocol", "kaist", cwd=tmp_path).stdout
    both = here("evaluate", "runs/tiny", "--protocol", "ezvsl", "--protocol", "adaptive", cwd=tmp_path).stdout
    for said, protocol in ((first, "kaist"), (both, "ezvsl"), (both, "adaptive")):
        means = here("compare", "runs/tiny", "--protocol", protocol, cwd=tmp_path).stdout.strip()
        assert "tiny, 2 seeds" in means
        assert " ± " in means
        assert means in said[said.rindex("clips scored") :]
    assert "kaist" not in both  # an earlier evaluation has no part
    alone = here("evaluate", str(next((tmp_path / "runs/tiny").glob("*-s0"))), cwd=tmp_path).stdout
    assert " ± " not in alone


def test_embeddings_of_the_run_feed_the_index(trained: Path, shards: Path, here: Callable[..., Ended]) -> None:
    assert here("embed", "runs/tiny", cwd=trained).returncode == 0
    result = command("index", "build-knn", "--k", 5, "--shards", shards, cwd=trained)
    assert result.returncode == 0, result.stderr
    too_many = command("index", "build-knn", "--k", 1000, "--shards", shards, cwd=trained)
    assert too_many.returncode == 2
    assert "61" in too_many.stderr
    assert "Traceback" not in too_many.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], ["nowhere.yaml", "training configs"]),
        (["run", "ezvsl.yaml"], ["shard", "pipeline ingest"]),
        (["run", "ezvsl.yaml", "method.name=ezvls"], ["unknown method 'ezvls'", "slavc"]),
        (["run", "ezvsl.yaml", "--epochs", "3"], ["no option --epochs", "optim.epochs=3"]),
        (["run", "ezvsl.yaml", "--divice", "cpu"], ["Did you mean --device?"]),
        (["evaluate", "runs/absent"], ["no finished run at runs/absent"]),
        (["embed", "runs/absent"], ["no finished run"]),
        (["report", "runs/absent"], ["no finished run"]),
        (["localize", "runs/absent", "video.mp4"], ["there is no video video.mp4"]),
        (["localize", "runs/absent", __file__], ["cannot be localized"]),
        (["pretrain", "--src", "nowhere"], ["nowhere", "<label>/<image>.jpg"]),
        (["methods", "nothing"], ["unknown method 'nothing'"]),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_two(
    arguments: list[str], words: list[str], tmp_path: Path, here: Callable[..., Ended]
) -> None:
    result = here(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--protocol", "best"), "no protocol 'best'"),
        (("--format", "coco"), "no annotation format 'coco'"),
        (("--negatives", "gone.csv"), "gone.csv cannot be read"),
    ],
)
def test_score_counts_nothing_before_bad_names_are_refused(
    more: tuple[str, ...], words: str, tmp_path: Path, here: Callable[..., Ended]
) -> None:
    for name in ("maps.npz", "vggss.json"):
        (tmp_path / name).touch()
    told = ("score", "--maps", "maps.npz", "--truth", "vggss.json", "--protocol", "ezvsl")
    result = here(*told, *more, cwd=tmp_path)
    assert result.returncode == 2
    assert words in result.stderr
    assert "to do" not in result.stderr


def test_methods_lists_every_method_and_prints_a_page(tmp_path: Path, here: Callable[..., Ended]) -> None:
    listed = here("methods", cwd=tmp_path).stdout
    assert "ezvsl" in listed
    assert "slavc" in listed
    assert "Deviations" in here("methods", "ezvsl", cwd=tmp_path).stdout


BESIDE = """
import sys, training.methods
training.methods.__path__.append(sys.argv.pop(1))
from training.cli import main
main()
"""


def test_methods_that_lie_elsewhere_have_a_page_or_say_why_not(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text('''"""Told: a method of one's own.\n\nIt has two lines."""\nimport absent\n''')
    (tmp_path / "untold.py").write_text("import absent\n")
    shown = {
        name: subprocess.run(
            [sys.executable, "-c", BESIDE, str(tmp_path), "methods", *name.split()],
            check=False,
            capture_output=True,
            text=True,
        )
        for name in ("", "told", "untold")
    }
    assert {"told             Told: a method of one's own.", "untold"} <= set(shown[""].stdout.splitlines())
    assert shown["told"].stdout.startswith("Told: a method of one's own.\n\nIt has two lines.\n\nConfigs")
    assert shown["untold"].returncode == 2
    assert "the method untold has no page" in shown["untold"].stderr
    assert "Traceback" not in shown["untold"].stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_loads_nothing_heavy(name: str) -> None:
    """`--help` must answer at once: importing the command must not import torch, dask, faiss, av or matplotlib."""
    heavy = ["torch", "dask", "distributed", "faiss", "av", "matplotlib", "webdataset", "scipy", "pandas", "pyarrow"]
    code = f"import sys, {name}.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert command(name, "--help").returncode == 0


SURFACE = {
    "pipeline": {"synth", "compose", "collage", "ingest", "inspect", "annotate", "export", "splits"},
    "index": {"embed", "build-knn", "random-knn", "export"},
    "training": {
        "run",
        "evaluate",
        "score",
        "status",
        "embed",
        "compare",
        "protocols",
        "report",
        "localize",
        "export",
        "pretrain",
        "import-checkpoint",
        "methods",
        "configs",
        "separate",
        "serve",
    },
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_commands_are_frozen(name: str) -> None:
    """Renaming a command breaks users' scripts: it must be a deliberate change, made here too."""
    code = f"from {name}.cli import app; import typer; print(*typer.main.get_command(app).commands)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(found) == SURFACE[name]


def test_shards_of_another_front_end_are_refused(
    trained: Path, shards: Path, tmp_path: Path, here: Callable[..., Ended]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in shards.iterdir():
        (other / file.name).symlink_to(file)
    facts = json.loads((shards / "index.json").read_text()) | {"front_end": "log-power-16000-512-159-v1"}
    (other / "index.json").unlink()
    (other / "index.json").write_text(json.dumps(facts))
    result = here("evaluate", "runs/tiny", "--shards", other, "--test-set", "other", cwd=trained)
    assert result.returncode == 2
    assert "log-power-11025-512-110-v1" in result.stderr
    assert "log-power-16000-512-159-v1" in result.stderr


@pytest.mark.parametrize(
    ("given", "used"),
    [({}, "PASSIVE 10000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"), ({"GOMP_SPINCOUNT": "7"}, "None 7")],
)
def test_threads_that_wait_sleep_unless_told_otherwise(given: dict[str, str], used: str) -> None:
    """Said before torch is loaded, which reads it once."""
    shown = "print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    code = f"import os, sys; import training.cli as cli; cli.run_app = lambda *_: {shown}; cli.main()"
    environment = {name: value for name, value in os.environ.items() if name not in POLICY} | given
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*used.split(), "False"]
