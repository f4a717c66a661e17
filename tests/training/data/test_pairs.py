"""Pairs to be evaluated: in their order, image with audio."""

import numpy as np

from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair, paired_batches


def test_evaluation_batches_keep_the_order_and_pair_image_with_audio(store: ShardStore) -> None:
    pairings = [EvaluationPair("a", 3, 3), EvaluationPair("b", 5, 9), EvaluationPair("c", 0, 1)]
    batches = list(paired_batches(store, pairings, 32, 2))
    assert [[p.name for p in chunk] for chunk, _, _ in batches] == [["a", "b"], ["c"]]
    assert np.array_equal(batches[0][2][1].numpy(), store.spectrogram(9))
    assert batches[1][1].shape == (1, 3, 32, 32)
