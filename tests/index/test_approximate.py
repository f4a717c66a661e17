"""`index build-knn --recall`: an approximate search finds the share that was asked for, and says what it found."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from earlier_versions import without_checksum

from index.approximate import ApproximateSearch
from index.arrays import META
from index.embeddings import Embeddings, unit_rows
from index.neighbours import Neighbours
from index.ranking import exact_scores
from manifests.errors import InputError, WorkFailed

CLIPS = 3000


def curved(dimension: int, seed: int) -> np.ndarray:
    """Unit vectors on a curved sheet of six dimensions, as far from noise as embeddings are."""
    generator = np.random.default_rng(seed)
    places, directions = generator.standard_normal((CLIPS, 6)), generator.standard_normal((6, dimension))
    return unit_rows(np.tanh(places @ directions / 2) + 0.02 * generator.standard_normal((CLIPS, dimension)))


@pytest.fixture
def embeddings(make_embeddings: Callable[..., Path]) -> Path:
    return make_embeddings(clips=CLIPS, image=curved(32, 1), audio=curved(23, 2))


def test_the_share_that_was_asked_for_is_found_measured_and_told(run: Callable[..., str], embeddings: Path) -> None:
    output = run("build-knn", "--k", "20", "--recall", "0.8")
    found = Neighbours.open("knn", "a" * 64)
    assert 0.75 <= found.meta["recall_against_exact"] < 1
    assert f"{found.meta['recall_against_exact']:.4f}, 0.8 asked for, on 256 rows" in output
    assert "faiss.IndexIVFPQFastScan" in output
    assert "nothing to do" in run("build-knn", "--k", "20", "--recall", "0.8")
    assert "recall_asked 0.8 -> 0.99" in run("build-knn", "--k", "20", "--recall", "0.99")
    more = Neighbours.open("knn", "a" * 64)
    assert more.meta["recall_against_exact"] > found.meta["recall_against_exact"]
    sources = np.array(Embeddings.open(embeddings).keys["source_id"].to_pylist())
    assert (sources[more.image] != sources[:, None]).all()
    vectors = np.asarray(Embeddings.open(embeddings).image)
    scores = exact_scores(vectors, np.arange(CLIPS).repeat(20), more.image.ravel()).reshape(-1, 20)
    assert (np.diff(scores) <= 0).all()  # best first


def test_exact_neighbours_of_before_stand_and_approximate_ones_do_not_pass_for_exact(
    run: Callable[..., str], make_embeddings: Callable[..., Path]
) -> None:
    make_embeddings()
    run("build-knn", "--k", "5")
    meta = json.loads(Path("knn", META).read_text())
    del meta["recall_asked"]  # as earlier versions wrote it
    Path("knn", META).write_text(json.dumps(meta))
    without_checksum(Path("knn", META))
    assert "nothing to do" in run("build-knn", "--k", "5")
    run("build-knn", "--k", "5", "--recall", "0.9")
    assert "rebuilding knn: recall_asked 0.9 -> None" in run("build-knn", "--k", "5")


def test_a_search_that_finds_less_than_it_promised_is_noticed(
    run: Callable[..., str], embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ApproximateSearch, "_probes", lambda *_: 1)
    with pytest.raises(WorkFailed, match=r"recall of only 0\.\d+ .* where 0.95 is promised"):
        run("build-knn", "--k", "10", "--recall", "0.95")
    assert not Path("knn").exists()


def test_a_query_whose_lists_hold_too_few_is_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApproximateSearch, "_probes", lambda *_: 1)
    vectors = curved(24, 3)
    search = ApproximateSearch(vectors, 0.9, 500, 1)
    scores, positions = search.hits(vectors[:50], 500)
    assert (positions >= 0).all()
    exact = vectors[:50] @ vectors.T
    best = np.sort(exact, axis=1)[:, ::-1][:, :500]
    assert np.allclose(scores, best, atol=1e-5)


@pytest.mark.parametrize("other", [("--backend", "torch"), ("--device", "cuda")])
def test_what_it_does_not_run_on_is_said(
    run: Callable[..., str], make_embeddings: Callable[..., Path], other: tuple[str, str]
) -> None:
    make_embeddings()
    with pytest.raises(InputError, match="--recall below 1 searches with FAISS on the CPU"):
        run("build-knn", "--k", "5", "--recall", "0.9", *other)
