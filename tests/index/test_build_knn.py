"""`index build-knn` and `index embed` as a user runs them: defaults, summaries, refusals, re-runs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from earlier_versions import without_checksum

from index import knn as building
from index.arrays import KEYS, META
from index.embeddings import Embeddings, unit_rows, write_embeddings
from index.knn import KnnRequest, Means, build
from index.neighbours import Neighbours
from index.search import FaissCpuSearch
from manifests.errors import InputError, WorkFailed
from pipeline.shards.store import ShardStore


def test_defaults_make_embeddings_first(run: Callable[..., str], make_shards: Callable[..., Path]) -> None:
    shards = make_shards(splits=["train"] * 24 + ["test"] * 6)
    output = run("build-knn", "--k", "5")
    assert "no embeddings yet: first the descriptor embeddings of the training split" in output
    neighbours = Neighbours.open("knn", ShardStore.open(shards).manifest_sha256)
    assert (len(neighbours), neighbours.k) == (24, 5)
    assert neighbours.keys == ShardStore.open(shards).keys[:24]
    assert "label agreement, image  1.000 at 1" in output
    assert neighbours.meta["label_agreement"]["audio"]["1"] == 1.0
    assert neighbours.meta["recall_against_exact"] == 1.0


def test_running_again_does_nothing(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    make_embeddings()
    run("build-knn", "--k", "5")
    written = Path("knn", META).stat().st_mtime_ns
    assert "nothing to do" in run("build-knn", "--k", "5")
    assert Path("knn", META).stat().st_mtime_ns == written
    assert "rebuilding knn: k 5 -> 6" in run("build-knn", "--k", "6")
    make_embeddings(seed=9)
    assert "rebuilding knn: embeddings_sha256" in run("build-knn", "--k", "6")
    Path("knn", META).unlink()  # as if the folder were half-written
    assert "neighbours written to knn" in run("build-knn", "--k", "6")


def test_vectors_all_alike_are_warned_of(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    make_embeddings(image=unit_rows(np.ones((60, 12))))
    output = run("build-knn", "--k", "5")
    assert "warning: all 60 clips of embeddings have the same image vector" in output
    assert "same audio vector" not in output


def test_embed_again_and_anew(run: Callable[..., str], make_shards: Callable[..., Path]) -> None:
    make_shards(splits=["train"] * 4 + ["test"] * 3 + [None])
    first = run("embed")
    assert "5 of 8 in the shards" in first
    assert "1 clip, counted as train" in first
    assert "nothing to do" in run("embed")
    assert "rebuilding embeddings: split train -> test" in run("embed", "--split", "test")
    with pytest.raises(InputError, match=r"'validation' \(splits in these shards: test, train\)"):
        run("embed", "--split", "validation")
    with pytest.raises(InputError, match=r"no audio encoder 'clip'\..* The known ones are descriptor, .*vggsound"):
        run("embed", "--audio-encoder", "clip")
    with pytest.raises(InputError, match="has no weights; leave out --image-weights"):
        run("embed", "--image-weights", "weights.pth")


def test_a_corpus_without_splits_is_for_training(run: Callable[..., str], make_shards: Callable[..., Path]) -> None:
    make_shards(splits=[None] * 6)
    assert "6 of 6" in run("embed")


def test_too_large_k_names_the_largest(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    make_embeddings()  # 60 clips, 11 of them of one video
    with pytest.raises(InputError, match=r"--k 1000 .* corpus of 60 clips .* largest k that works is 49"):
        run("build-knn")
    with pytest.raises(InputError, match="largest k that works is 49"):
        run("build-knn", "--k", "50")
    run("build-knn", "--k", "49")
    assert not Path(".knn.partial").exists()


def test_other_shards_are_refused(
    run: Callable[..., str], make_embeddings: Callable[..., Path], make_shards: Callable[..., Path]
) -> None:
    shards = make_shards()
    make_embeddings()
    with pytest.raises(InputError, match="embeddings was made from other shards than shards"):
        run("build-knn", "--k", "5")
    make_embeddings(manifest_sha256=ShardStore.open(shards).manifest_sha256)
    run("build-knn", "--k", "5")
    with pytest.raises(InputError, match="neighbours built from other shards"):
        Neighbours.open("knn", "b" * 64)


def test_missing_inputs(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"shards"):
        run("build-knn", "--k", "5")
    with pytest.raises(InputError, match="no folder elsewhere"):
        run("build-knn", "--embeddings", "elsewhere")
    make_embeddings()
    with pytest.raises(InputError, match=r"elsewhere"):
        run("build-knn", "--shards", "elsewhere")
    assert "not compared with shards" in run("build-knn", "--k", "5")


def test_own_video_is_never_a_neighbour(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    folder = make_embeddings()
    run("build-knn", "--k", "40")
    sources = np.array(Embeddings.open(folder).keys["source_id"].to_pylist())
    neighbours = Neighbours.open("knn", "a" * 64)
    for positions in (neighbours.image, neighbours.audio):
        assert (sources[positions] != sources[:, None]).all()
    with pytest.raises(InputError, match="no neighbours of clip 'stranger'"):
        neighbours.position_of("stranger")
    assert neighbours.position_of("clip00007") == 7
    assert "clip00007" in neighbours


def test_damaged_neighbours_are_refused(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    make_embeddings()
    run("build-knn", "--k", "5")
    without_checksum(Path("knn", META))
    np.save("knn/audio.npy", np.zeros((60, 4), np.int32))
    with pytest.raises(InputError, match=r"holds 4 neighbours a clip where meta.json says 5"):
        Neighbours.open("knn", "a" * 64)
    Path("knn", META).unlink()
    with pytest.raises(InputError, match="not finished"):
        Neighbours.open("knn", "a" * 64)


def test_a_wrong_search_is_noticed(
    make_embeddings: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check against exact arithmetic refuses a search that misses the best hits."""

    class Forgetful(FaissCpuSearch):
        def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
            scores, hits = super().hits(queries, count + 3)
            return scores[:, 3:], hits[:, 3:]

    monkeypatch.setattr(building, "open_search", lambda vectors, *_: Forgetful(vectors, 1))
    embeddings = Embeddings.open(make_embeddings())
    with pytest.raises(WorkFailed, match="recall of only"):
        build(embeddings, KnnRequest.of(embeddings, 5), Means("faiss", "cpu"), tmp_path / "knn", lambda _: None)
    assert not (tmp_path / "knn").exists()


def test_a_device_that_returns_too_few_hits(
    make_embeddings: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaissCpuSearch, "largest_count", 30)
    embeddings = Embeddings.open(make_embeddings())
    with pytest.raises(InputError, match=r"gives at most 30. Use --device cpu, or k up to 11"):
        build(embeddings, KnnRequest.of(embeddings, 20), Means("faiss", "cpu", 1), tmp_path / "knn", lambda _: None)
    build(embeddings, KnnRequest.of(embeddings, 11), Means("faiss", "cpu", 1), tmp_path / "knn", lambda _: None)


def test_a_gpu_that_is_not_there(run: Callable[..., str], make_embeddings: Callable[..., Path]) -> None:
    import faiss

    if faiss.get_num_gpus():
        pytest.skip("this machine has a GPU")
    make_embeddings()
    with pytest.raises(InputError, match="faiss sees no GPU"):
        run("build-knn", "--k", "5", "--device", "cuda")


PROGRAM = """
import sys
from index.cli import app
app({arguments!r}, standalone_mode=False)
print("torch" in sys.modules, "faiss" in sys.modules)
"""


def test_faiss_and_torch_never_meet_and_agree(make_embeddings: Callable[..., Path], tmp_path: Path) -> None:
    """Each backend in a process of its own: never both libraries in one, and the very same files."""
    vectors = unit_rows(np.random.default_rng(1).integers(-1, 2, (300, 16)) + 1e-7)
    make_embeddings(clips=300, image=vectors)
    loaded = {}
    for backend in ("faiss", "torch"):
        arguments = ["build-knn", "--k", "60", "--backend", backend, "--device", "cpu", "--out", backend]
        program = PROGRAM.format(arguments=arguments)
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        loaded[backend] = done.stdout.splitlines()[-1]
    assert loaded == {"faiss": "False True", "torch": "True False"}
    for name in ("image.npy", "audio.npy"):
        assert (tmp_path / "faiss" / name).read_bytes() == (tmp_path / "torch" / name).read_bytes()
    assert "torch" in json.loads((tmp_path / "torch" / META).read_text())["index"]


@pytest.mark.gpu
def test_gpu_and_cpu_agree(make_embeddings: Callable[..., Path], tmp_path: Path) -> None:
    import faiss

    if not faiss.get_num_gpus():
        pytest.skip("faiss sees no GPU here")
    embeddings = Embeddings.open(make_embeddings(clips=3000))
    for device in ("cpu", "cuda"):
        build(embeddings, KnnRequest.of(embeddings, 500), Means("faiss", device), tmp_path / device, lambda _: None)
    for name in ("image.npy", "audio.npy"):
        assert (tmp_path / "cpu" / name).read_bytes() == (tmp_path / "cuda" / name).read_bytes()


def test_clips_without_a_split_are_for_training_in_every_stage() -> None:
    import pyarrow as pa

    from index.embed import rows_of_split

    table = pa.table({"split": ["train", None, "test", ""]})
    assert rows_of_split(table, "train").tolist() == [0, 1, 3]
    assert rows_of_split(table, "test").tolist() == [2]


def without_unnamed(folder: Path) -> None:
    """Embeddings as an earlier version made them: clips without a split belonged to none."""
    made = Embeddings.open(folder)
    kept = [row for row, split in enumerate(made.keys["split"].to_pylist()) if split]
    facts = {name: str(made.meta[name]) for name in ("encoder", "manifest_sha256", "front_end", "split")}
    vectors = {"image": np.array(made.image[kept]), "audio": np.array(made.audio[kept])}
    write_embeddings(folder, **vectors, keys=made.keys.take(kept), **facts)


def test_another_rule_for_splits_is_noticed(run: Callable[..., str], make_shards: Callable[..., Path]) -> None:
    make_shards(splits=["train"] * 9 + ["test"] * 3 + [None] * 3)
    run("embed")
    without_unnamed(Path("embeddings"))
    said = "3 clips of the split train have no embedding in embeddings"
    assert said in run("build-knn", "--k", "2")
    assert said in run("build-knn", "--k", "2")  # also where there is nothing to do
    assert "rebuilding embeddings: clips 9 -> 12" in run("embed")
    assert "nothing to do" in run("embed")
    assert said not in run("build-knn", "--k", "2")
    run("random-knn", "--k", "2")
    lists = Neighbours.open("knn-random", ShardStore.open("shards").manifest_sha256)
    without_checksum(lists.folder / META)
    table = pq.read_table(lists.folder / KEYS)
    pq.write_table(table.slice(1), lists.folder / KEYS)
    assert "rebuilding knn-random: clips 11 -> 12" in run("random-knn", "--k", "2")
    without_checksum(lists.folder / META)
    (lists.folder / KEYS).unlink()
    assert "rebuilding knn-random: keys.parquet cannot be read" in run("random-knn", "--k", "2")
    assert "nothing to do" in run("random-knn", "--k", "2")


def test_a_test_split_or_a_list_lacks_no_training_clip(
    run: Callable[..., str], make_shards: Callable[..., Path]
) -> None:
    shards = make_shards(splits=["train"] * 9 + ["test"] * 6 + [None] * 3)
    run("embed", "--split", "test")
    assert "have no embedding" not in run("build-knn", "--k", "2")
    Path("some.txt").write_text("\n".join(ShardStore.open(shards).keys[:7]))
    run("embed", "--list", "some.txt")
    assert "have no embedding" not in run("build-knn", "--k", "2")
