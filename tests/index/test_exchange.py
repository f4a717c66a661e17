"""`index export`: embeddings and neighbours as one Parquet file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from index import arrays
from index.cli import app
from index.embeddings import write_embeddings
from index.exchange import export
from manifests.errors import InputError
from manifests.files.parquet import read_table

KEYS = pa.table({"key": [f"clip{number}" for number in range(7)], "source_id": list("aabbccd"), "label": [None] * 7,
                 "split": ["train"] * 7}, schema=arrays.KEYS_SCHEMA)  # fmt: skip


@pytest.fixture
def vectors() -> np.ndarray:
    found = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def embeddings(vectors: np.ndarray, tmp_path: Path) -> Path:
    other = vectors[:, ::-1].copy()
    write_embeddings(tmp_path / "embeddings", image=vectors, audio=other, keys=KEYS, encoder="made up",
                     manifest_sha256="0" * 64, front_end="f", split="train")  # fmt: skip
    return tmp_path / "embeddings"


@pytest.fixture
def neighbours(tmp_path: Path) -> Path:
    with arrays.replaced_folder(tmp_path / "knn", arrays.NEIGHBOURS) as partial:
        for number, name in enumerate(arrays.MODALITIES):
            rows = (np.arange(7)[:, None] + [[1 + number, 2 + number]]) % 7
            arrays.write_array(partial / f"{name}.npy", (7, 2), np.dtype(np.int32), [rows])
        meta = {"encoder": "made up", "k": 2, "metric": "cosine", "index": "flat", "recall_against_exact": 1.0,
                "manifest_sha256": "0" * 64, "count": 7}  # fmt: skip
        arrays.write_keys_and_meta(partial, KEYS, meta)
    return tmp_path / "knn"


def test_embeddings_are_vectors(embeddings: Path, vectors: np.ndarray, tmp_path: Path) -> None:
    export(embeddings, tmp_path / "e.parquet")
    table = read_table(tmp_path / "e.parquet")
    assert table["key"].to_pylist() == KEYS["key"].to_pylist()
    assert table.schema.field("image").type == pa.list_(pa.float32(), 4)
    assert np.array_equal(np.array(table["image"].to_pylist(), np.float32), vectors)
    assert np.array_equal(np.array(table["audio"].to_pylist(), np.float32), vectors[:, ::-1])


def test_neighbours_are_rows_of_the_file(neighbours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["export", "knn"])
    assert said.exit_code == 0, said.exception
    table = read_table(tmp_path / "knn.parquet")
    keys = table["key"].to_pylist()
    assert [keys[row] for row in table["audio"][0].as_py()] == ["clip2", "clip3"]


def test_every_row_is_written_in_groups(embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.exchange.GROUP", 3)
    export(embeddings, tmp_path / "e.parquet")
    assert pq.ParquetFile(tmp_path / "e.parquet").num_row_groups == 3
    assert read_table(tmp_path / "e.parquet")["key"].to_pylist() == KEYS["key"].to_pylist()


def test_again_writes_nothing(embeddings: Path, neighbours: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.parquet"
    assert "written" in export(embeddings, out)
    content, stamp = out.read_bytes(), out.stat().st_mtime_ns
    assert "already there" in export(embeddings, out)
    assert out.stat().st_mtime_ns == stamp
    assert "written" in export(neighbours, out)
    assert "written" in export(embeddings, out)
    assert out.read_bytes() == content


def test_datasets_reads_vectors(embeddings: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")
    export(embeddings, tmp_path / "e.parquet")
    found = datasets.load_dataset("parquet", data_files=str(tmp_path / "e.parquet"), split="train",
                                  cache_dir=str(tmp_path / "cache"))  # fmt: skip
    assert len(found[0]["image"]) == 4


def test_what_cannot_be_exported_is_said(embeddings: Path, tmp_path: Path) -> None:
    for folder, complaint in ((tmp_path / "nothing", "there is no folder"), (tmp_path, "meta.json")):
        with pytest.raises(InputError, match=complaint):
            export(folder, tmp_path / "out.parquet")
    with pytest.raises(InputError, match="would be overwritten"):
        export(embeddings, embeddings / "keys.parquet")
    pq.write_table(pa.table({"mine": [1]}), tmp_path / "mine.parquet")
    with pytest.raises(InputError, match="not written by `index export`"):
        export(embeddings, tmp_path / "mine.parquet")
    (embeddings / "image.npy").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"image\.npy"):
        export(embeddings, tmp_path / "out.parquet")
