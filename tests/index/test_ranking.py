"""Neighbours against the definition: exact order, ties, duplicates, exclusions, whatever searched."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.embeddings import unit_rows
from index.knn import neighbour_blocks, sampled_recall
from index.ranking import Ranking, check_k, exact_scores, source_sizes
from index.search import FaissCpuSearch
from manifests.errors import InputError
from pipeline.shards.sources import source_numbers


def reference_neighbours(vectors: np.ndarray, sources: Sequence[object], k: int) -> np.ndarray:
    """The definition, in plain float64 numpy: best score first, ties to the lower position, other videos only."""
    result = []
    for query, vector in enumerate(vectors.astype(np.float64)):
        scores = (vectors.astype(np.float64) * vector).sum(axis=1)
        order = np.lexsort((np.arange(len(vectors)), -scores))
        others = [int(clip) for clip in order if sources[clip] != sources[query]]
        result.append(others[:k])
    return np.array(result, dtype=np.int32).reshape(len(vectors), k)


def random_vectors(count: int, dimension: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(0).standard_normal((count, dimension)))


def found(vectors: np.ndarray, sources: np.ndarray, k: int, block: int) -> np.ndarray:
    search = FaissCpuSearch(vectors, threads=1)
    search.block = block
    ranking = Ranking(vectors, sources, k, search.rounding)
    return np.concatenate([neighbours for _, neighbours in neighbour_blocks(ranking, search)])


@st.composite
def corpora(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Few directions and few videos, so that duplicates, exact ties and large videos are the rule."""
    clips = draw(st.integers(2, 60))
    dimension = draw(st.integers(1, 24))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    directions = generator.integers(-2, 3, (draw(st.integers(1, clips)), dimension)).astype(float)
    directions += draw(st.sampled_from([0.0, 1e-8, 1e-3])) * generator.standard_normal(directions.shape)
    vectors = unit_rows(directions[generator.integers(0, len(directions), clips)])
    sources = generator.integers(0, draw(st.integers(2, 2 * clips)), clips).astype(np.int32)
    largest = clips - int(source_sizes(sources).max())
    if largest < 1:
        sources[0] = sources.max() + 1
        largest = 1
    return vectors, sources, draw(st.integers(1, largest))


@settings(max_examples=100, deadline=None)
@given(corpora(), st.integers(1, 70))
def test_neighbours_are_those_of_the_definition(corpus: tuple[np.ndarray, np.ndarray, int], block: int) -> None:
    vectors, sources, k = corpus
    neighbours = found(vectors, sources, k, block)
    assert neighbours.dtype == np.int32
    np.testing.assert_array_equal(neighbours, reference_neighbours(vectors, sources, k))
    assert sampled_recall(Ranking(vectors, sources, k, 16.0), neighbours) == 1.0


@pytest.mark.parametrize("collapse", [0.0, 1.0, 30.0])
def test_crowded_scores_are_ordered_exactly(collapse: float) -> None:
    """Vectors crowded around one direction score within float32 rounding of each other."""
    generator = np.random.default_rng(3)
    vectors = unit_rows(generator.standard_normal((500, 256)) + collapse * generator.standard_normal(256))
    sources = np.arange(len(vectors), dtype=np.int32)
    np.testing.assert_array_equal(found(vectors, sources, 100, 200), reference_neighbours(vectors, sources, 100))


def test_more_duplicates_than_hits() -> None:
    """Half of the clips are silent, with one and the same vector: far more ties than a search returns."""
    vectors = random_vectors(400, 32)
    vectors[::2] = vectors[0]
    sources = (np.arange(len(vectors)) // 3).astype(np.int32)
    neighbours = found(vectors, sources, 20, 64)
    np.testing.assert_array_equal(neighbours, reference_neighbours(vectors, sources, 20))
    assert (neighbours[100] % 2 == 0).all()


def test_exact_scores_do_not_depend_on_the_place_in_the_batch() -> None:
    vectors = random_vectors(3, 333)
    vectors[2] = vectors[1]
    scores = exact_scores(vectors, np.zeros(1000, int), np.resize([1, 2], 1000))
    assert len(np.unique(scores)) == 1
    assert scores[0] == pytest.approx(np.dot(vectors[0].astype(float), vectors[1].astype(float)), abs=1e-15)


def test_recall_counts_what_is_missing() -> None:
    vectors, sources = random_vectors(20, 6), np.arange(20, dtype=np.int32)
    ranking = Ranking(vectors, sources, 4, 16.0)
    right = reference_neighbours(vectors, sources, 4)
    assert sampled_recall(ranking, right) == 1.0
    assert sampled_recall(ranking, np.repeat(right[:, :1], 4, axis=1)) == 0.25
    own = right.copy()
    own[:, 0] = np.arange(20)
    assert sampled_recall(ranking, own) == 0.75


def test_k_leaves_every_clip_its_neighbours() -> None:
    sizes = source_sizes(source_numbers(["a", "a", "b", "c", None, None]))
    assert sizes.tolist() == [2, 2, 1, 1, 1, 1]
    check_k(4, sizes)
    with pytest.raises(InputError, match=r"corpus of 6 clips.*largest k that works is 4"):
        check_k(5, sizes)
    with pytest.raises(InputError, match="all come from one video"):
        check_k(1, source_sizes(source_numbers(["a", "a"])))
