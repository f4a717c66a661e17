"""`index random-knn`: random lists that keep every rule of neighbours, and that training opens as such."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from index.neighbours import Neighbours
from index.random_neighbours import build, drawn, request
from manifests.errors import InputError
from pipeline.shards.store import ShardStore


def table(sources: list[str], order: list[int] | None = None) -> pa.Table:
    rows = [
        {"key": f"clip{number}", "source_id": source, "label": f"label{number % 2}", "split": "train"}
        for number, source in enumerate(sources)
    ]
    return pa.Table.from_pylist([rows[i] for i in order or range(len(rows))])


def lists(clips: pa.Table, out: Path, k: int = 5, seed: int = 0) -> Neighbours:
    build(clips, request(k, seed, "train", "a" * 64), out, lambda _: None)
    return Neighbours.open(out, "a" * 64)


SOURCES = [f"video{number // 3}" for number in range(30)]


def test_own_video_is_never_drawn_and_no_clip_twice(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(30).tolist()  # clips of a video need not stand side by side
    clips = table(SOURCES, order)
    found = lists(clips, tmp_path / "knn-random", k=27)  # all that may be drawn
    sources = np.array(clips["source_id"].to_pylist())
    for positions in (found.image, found.audio):
        assert (sources[positions] != sources[:, None]).all()
        assert all(len(set(row)) == 27 for row in positions.tolist())
    assert (found.image != found.audio).any()
    with pytest.raises(InputError, match="largest k that works is 27"):
        lists(clips, tmp_path / "more", k=28)


def test_lists_depend_on_seed_and_key_alone(tmp_path: Path) -> None:
    first, again, other = (lists(table(SOURCES), tmp_path / f"{i}", seed=seed) for i, seed in enumerate((0, 0, 1)))
    assert (first.image == again.image).all()
    assert (first.image != other.image).any()
    assert len({tuple(row) for row in first.image.tolist()}) == 30  # every key has its own


def test_every_clip_is_equally_likely() -> None:
    own = np.array([2, 3, 7])
    counts = np.bincount(np.concatenate([drawn(str(seed), 4, 10, own) for seed in range(7000)]), minlength=10)
    assert (counts[own] == 0).all()
    expected = 7000 * 4 / 7
    assert (np.abs(np.delete(counts, own) - expected) < 5 * (expected * 3 / 7) ** 0.5).all()  # five deviations


def test_the_command(run: Callable[..., str], make_shards: Callable[..., Path]) -> None:
    shards = make_shards(splits=["train"] * 20 + ["test"] * 10)
    output = run("random-knn", "--k", "6")
    assert "random lists written to knn-random" in output
    assert "(by chance 0." in output
    store = ShardStore.open(shards)
    found = Neighbours.open("knn-random", store.manifest_sha256)
    assert found.keys == store.keys[:20]  # no test clip has a list or is in one
    assert found.image.max() < 20
    assert "nothing to do" in run("random-knn", "--k", "6")
    assert "rebuilding knn-random: seed 0 -> 3" in run("random-knn", "--k", "6", "--seed", "3")
    with pytest.raises(InputError, match="neighbours built from other shards"):
        Neighbours.open("knn-random", "b" * 64)


def test_a_list_decides_over_the_split(run: Callable[..., str], make_shards: Callable[..., Path]) -> None:
    store = ShardStore.open(make_shards(splits=["train"] * 20 + ["test"] * 10))
    chosen = [store.keys[number] for number in (3, 5, 8, 21, 25, 29)]
    Path("chosen.txt").write_text("\n".join([*reversed(chosen), "notthere000_000001"]))
    for command, out in (("random-knn", "knn-random"), ("build-knn", "knn")):
        if command == "build-knn":
            assert "6 of 30 in the shards" in run("embed", "--clips", "chosen.txt")
        run(command, "--k", "2", *(("--clips", "chosen.txt") if command == "random-knn" else ()))
        found = Neighbours.open(out, store.manifest_sha256)
        assert found.keys == chosen
        assert str(found.meta["split"]).startswith("chosen ")
    with pytest.raises(InputError, match="index embed --clips LIST"):
        found.position_of(store.keys[0])
    with pytest.raises(InputError, match="the list vggss_10k is not under lists"):
        run("embed", "--clips", "vggss_10k")
