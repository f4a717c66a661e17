"""Training and evaluation read their shards from an S3 server that stumbles, through a cache smaller than the set."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import ENVIRONMENT, Gate, gate, s3_server

from pipeline.storage import cache, remote
from pipeline.storage.remote import RemotePath, place
from training.config import load_config
from training.distributed import ranks
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.runs import load_run

CONFIG = """
name: afar
method: {{name: ezvsl, temperature: 0.1, dimension: 16, positives: [own, both]}}
data: {{shards: "{shards}", neighbours: {knn}, image_size: 32, shuffle: 8, workers: {workers}}}
encoders:
  image: {{blocks: [1, 1], weights: none}}
  audio: {{blocks: [1, 1], input_pool: [4, 3]}}
optim: {{epochs: 2, batch_size: 16, learning_rate: 1.0e-3}}
log_every: 1
"""
CACHE = 4_000_000  # bytes, of the twelve million that the shards have


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def storage(server: str, tmp_path: Path, shards: Path, monkeypatch) -> Iterator[tuple[RemotePath, Gate]]:
    """The shards in a bucket behind a gate."""
    monkeypatch.setattr(cache, "BLOCK", 500_000)
    monkeypatch.setattr(cache, "PAUSES", (0.01,) * 4)
    with gate(server) as (address, kept):
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


def truth(folder: Path) -> Path:
    entries = [
        {"file": f"clip{n:07d}_{n % 60:06d}", "class": "class0", "bbox": [[0.2, 0.2, 0.8, 0.8]]} for n in (4, 14)
    ]
    path = folder / "vggss.json"
    path.write_text(json.dumps(entries))
    return path


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
    for name, place_of in (("here", str(shards)), ("afar", str(folder))):
        path = tmp_path / f"{name}.yaml"
        path.write_text(CONFIG.format(shards=place_of, knn=knn, workers=workers))
        found[name], _ = start(load_config(path, ("name=afar",)), tmp_path / name, "cpu")
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


def test_no_secret_is_in_a_run_that_was_trained_from_afar(
    storage: tuple[RemotePath, Gate], knn: Path, tmp_path: Path, monkeypatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in its config, its log, its events, its weights, nor in what was printed."""
    folder, _ = storage
    secret = "SECRET-" + os.urandom(8).hex()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    path = tmp_path / "afar.yaml"
    path.write_text(CONFIG.format(shards=folder, knn=knn, workers=0))
    run, _ = start(load_config(path), tmp_path / "runs", "cpu")
    out = capfd.readouterr()
    assert secret not in out.out + out.err
    files = [each for each in run.rglob("*") if each.is_file()]
    assert {"config.yaml", "environment.json", "metrics.jsonl"} <= {each.name for each in files}
    assert not [each for each in files if secret.encode() in each.read_bytes()]
