"""Training and evaluation read their shards from an S3 server that stumbles, through a cache smaller than the set."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from places import ROOT
from s3_server import ENVIRONMENT, Gate, gate
from tiny_run import EZVSL, write_tiny

from manifests.errors import InputError
from pipeline.storage import cache, remote
from pipeline.storage.remote import RemotePath, StorageLost, place
from training.config import load_config
from training.distributed import ranks
from training.evaluate import EvaluationRequest, evaluate
from training.export.folder import Wanted, export
from training.loop.start import start
from training.runs import load_run

SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "SLURM_JWT")
CACHE = 4_000_000  # bytes, of the twelve million that the shards have


@pytest.fixture
def storage(s3_address: str, tmp_path: Path, shards: Path, monkeypatch) -> Iterator[tuple[RemotePath, Gate]]:
    """The shards in a bucket behind a gate."""
    monkeypatch.setattr(cache, "BLOCK", 500_000)
    monkeypatch.setattr(remote, "PAUSES", (0.01,) * 4)
    with gate(s3_address) as (address, kept):
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SHARD_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("SHARD_CACHE_GB", str(CACHE / 1e9))
        remote._file_system.cache_clear()  # its connections are to another test's gate
        bucket = place(f"s3://bucket-{os.urandom(6).hex()}")
        bucket._files.mkdir(bucket.path)
        for path in shards.rglob("*"):
            if path.is_file():
                (bucket / "shards" / str(path.relative_to(shards))).upload(str(path))
        kept.asked.clear()
        yield bucket / "shards", kept


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"]["total"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def truth(folder: Path, clips: Sequence[int] = (4, 14)) -> Path:
    entries = [{"file": f"clip{n:07d}_{n % 60:06d}", "class": "class0", "bbox": [[0.2, 0.2, 0.8, 0.8]]} for n in clips]
    path = folder / "vggss.json"
    path.write_text(json.dumps(entries))
    return path


def write_afar(folder: Path, shards: Path | RemotePath, knn: Path, workers: int = 0) -> Path:
    """Two epochs with neighbours."""
    return write_tiny(
        folder,
        shards,
        method=EZVSL | {"positives": ["own", "both"]},
        name="afar",
        data={"neighbours": knn, "shuffle": 8, "workers": workers},
        optim={"epochs": 2, "learning_rate": 1e-3},
        log_every=1,
    )


@pytest.fixture(scope="module")
def trained(shards: Path, knn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on the disk."""
    path = write_afar(tmp_path_factory.mktemp("trained"), shards, knn)
    return start(load_config(path, ("optim.epochs=1",)), path.parent / "runs", "cpu")[0]


@pytest.fixture
def run(trained: Path) -> Iterator[Path]:
    """That run without results."""
    yield trained
    forget(trained)


def scores(run: Path, folder: Path, clips: Sequence[int], shards: Path | RemotePath) -> dict[str, object]:
    """Those of a run on some clips, as `training evaluate --shards` has them."""
    request = EvaluationRequest(truth(folder, clips), protocols=("ezvsl",), shards=(shards,))
    (result,) = evaluate(load_run(run, "cpu"), request)
    return result.summary["scores"]


def ranges(kept: Gate, first: int | None = None) -> list[str]:
    """What was asked for, of all requests or of the first ones."""
    return [each for each in kept.asked[:first] if each.startswith("bytes=")]


def forget(run: Path) -> None:
    """Remove the results of a run."""
    for path in run.glob("evaluation/*"):
        path.unlink()


@pytest.mark.slow
def test_an_evaluation_whose_storage_went_away_goes_on_with_what_had_come(
    storage: tuple[RemotePath, Gate], run: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is a sentence and leaves nothing half done; the next one asks for what is missing, and no clip twice."""
    folder, kept = storage
    monkeypatch.setenv("SHARD_CACHE_GB", "1")
    clips = range(4, 83, 5)
    kept.fault = lambda number: "error" if number > 40 else None
    with pytest.raises(StorageLost, match=r"^s3://.* cannot be reached .*asked 5 times.*continues\.$"):
        scores(run, tmp_path, clips, folder)
    assert not list(run.glob("evaluation/*"))
    had, kept.fault = len(ranges(kept, first=40)), lambda number: None
    kept.asked.clear()
    found = scores(run, tmp_path, clips, folder)
    missing = len(ranges(kept))
    forget(run)
    kept.asked.clear()
    assert scores(run, tmp_path, clips, folder) == found
    assert not ranges(kept)  # all of it is here now
    forget(run)
    monkeypatch.setenv("SHARD_CACHE", str(tmp_path / "another"))
    assert scores(run, tmp_path, clips, folder) == found
    assert had + missing == len(ranges(kept))
    forget(run)
    assert scores(run, tmp_path, clips, shards) == found


@pytest.mark.slow
def test_an_object_that_is_damaged_is_named_by_an_evaluation(
    storage: tuple[RemotePath, Gate], run: Path, shards: Path, tmp_path: Path
) -> None:
    folder, _ = storage
    tar = folder / "shard-000003.tar"
    content = (shards / tar.name).read_bytes()
    tar.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"shard-000003\.tar"):
        scores(run, tmp_path, range(4, 83, 5), folder)
    assert not list(run.glob("evaluation/*.json"))


@pytest.mark.slow
def test_two_processes_evaluate_through_one_small_cache(
    storage: tuple[RemotePath, Gate], run: Path, shards: Path, tmp_path: Path
) -> None:
    """torchrun, with answers that fail and are slow: the scores of one process on the disk, within the bound."""
    folder, kept = storage
    clips = range(4, 83, 5)
    here = scores(run, tmp_path, clips, shards)
    forget(run)
    faults = {0: "error", 1: "cut", 2: 0.05}
    kept.fault = lambda number: faults.get(number % 15)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training"]
    line = [*launch, "evaluate", run, "--shards", folder, "--truth", truth(tmp_path, clips), "--protocol", "ezvsl"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SHARD_CACHE_GB": "0.001"}
    done = subprocess.run([*line, "--device", "cpu"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (written,) = run.glob("evaluation/*.ezvsl.json")
    assert json.loads(written.read_text())["scores"] == here
    pieces = [path.stat().st_size for path in (tmp_path / "cache").iterdir() if path.name != "total"]
    assert 0 < sum(pieces) <= 1_000_000
    written.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_from_afar_is_the_run_on_disk(
    storage: tuple[RemotePath, Gate], shards: Path, knn: Path, tmp_path: Path, workers: int
) -> None:
    """Every fifth answer is an error, another is cut off, another late; the cache never grows beyond its bound."""
    folder, kept = storage
    faults = {0: "error", 1: "cut", 2: 0.05}
    kept.fault = lambda number: faults.get(number % 15)
    found = {}
    for name, place_of in (("here", shards), ("afar", folder)):
        config = load_config(write_afar(tmp_path, place_of, knn, workers))
        found[name], _ = start(config, tmp_path / name, "cpu")
    assert losses(found["afar"]) == losses(found["here"])
    assert found["afar"].name == found["here"].name  # where shards lie makes no other run
    kept_bytes = sum(path.stat().st_size for path in (tmp_path / "cache").iterdir() if path.name != "total")
    assert 0 < kept_bytes <= CACHE
    request = EvaluationRequest(truth(tmp_path), protocols=("ezvsl",))
    with ranks("cpu") as process:
        scores = [
            next(iter(evaluate(load_run(run, "cpu"), request, process))).summary["scores"] for run in found.values()
        ]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_no_secret_is_in_a_run_that_was_trained_from_afar(
    storage: tuple[RemotePath, Gate], knn: Path, tmp_path: Path, monkeypatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in its config, its log, its events, its weights, its results, what is exported, nor in what was printed: the
    storage's key, the Hub's token, what Slurm knows of its user."""
    folder, _ = storage
    secrets = {name: f"SECRET-{os.urandom(8).hex()}" for name in SECRETS}
    for name, secret in secrets.items():
        monkeypatch.setenv(name, secret)
    run, _ = start(load_config(write_afar(tmp_path, folder, knn)), tmp_path / "runs", "cpu")
    scores(run, tmp_path, (4, 14), folder)
    export(load_run(run, "cpu"), Wanted(tmp_path / "exported"))
    out = capfd.readouterr()
    files = [each for top in (run, tmp_path / "exported") for each in top.rglob("*") if each.is_file()]
    assert {"config.yaml", "environment.json", "metrics.jsonl", "model.safetensors"} <= {each.name for each in files}
    written = [(each.name, each.read_bytes()) for each in files] + [("said", (out.out + out.err).encode())]
    assert not [name for name, content in written for secret in secrets.values() if secret.encode() in content]


def said_by(*line: str | Path, module: str = "training") -> tuple[int, str]:
    """Exit code and errors of a command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *map(str, line)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_an_outage_is_no_bad_input_and_a_lost_object_is(
    storage: tuple[RemotePath, Gate], shards: Path, knn: Path, tmp_path: Path
) -> None:
    """A run that ends by an outage has exit code 1, and the same command goes on: `training.launch` by itself."""
    folder, kept = storage
    here, _ = start(load_config(write_afar(tmp_path, shards, knn)), tmp_path / "here", "cpu")
    line = ["run", write_afar(tmp_path, folder, knn), "--runs", tmp_path / "runs", "--device", "cpu"]
    kept.fault = lambda number: "error" if number > 8 else None
    code, said = said_by(*line)
    assert code == 1, said
    assert re.search(rf"^failed: {folder}/shard-.*asked 5 times", said, re.MULTILINE)
    assert "Traceback" not in said

    kept.asked.clear()
    kept.fault = lambda number: "error" if 8 < number <= 13 else None
    launch = ["--standalone", "--nproc-per-node", "1", "--max-restarts", "1", "-m", "training", *line]
    code, said = said_by(*launch, module="training.launch")
    assert (code, said.count("asked 5 times")) == (0, 1), said
    (run,) = (tmp_path / "runs").glob("*/*")
    assert losses(run) == losses(here)

    (folder / "shard-000003.tar").unlink()
    asked = ["evaluate", run, "--shards", folder, "--truth", truth(tmp_path, (44,)), "--protocol", "ezvsl"]
    code, said = said_by(*asked, "--device", "cpu")
    assert code == 2, said
    assert re.search(rf"^bad input: {folder}/shard-000003\.tar cannot be read", said, re.MULTILINE)
