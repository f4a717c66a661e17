"""Pairs that are evaluated: the image of one clip with the sound of another (usually the same), or a made sound."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manifests.sound_draws import SILENCE
from manifests.views import ViewName
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.data.beside import mean_of
from training.data.made_sounds import made_sound
from training.data.views import decode_image, shown


@dataclass(frozen=True)
class EvaluationPair:
    """One evaluated sample: the image of one clip with the sound of another (usually the same), or a `made` one.

    mixed: rows of further clips, for a sound that is the mean of theirs and that of `audio_row`.
    """

    name: str
    image_row: int
    audio_row: int
    made: str | None = None
    mixed: tuple[int, ...] = ()

    @property
    def heard(self) -> tuple[str | None, tuple[int, ...] | str]:
        """Equal for pairs with the same sound: every silence is one, every noise another."""
        if self.made is None:
            return None, (self.audio_row, *self.mixed)
        return self.made, "" if self.made.startswith(SILENCE) else self.name


def paired_batches(
    store: ShardStore, pairings: list[EvaluationPair], image_size: int, batch_size: int, view: ViewName = "squash"
) -> Iterator[tuple[list[EvaluationPair], Tensor, Tensor]]:
    """Samples in the given order: images (B, 3, S, S) uint8 as the view shows them, sounds (B, F, T) float16."""
    for start in range(0, len(pairings), batch_size):
        chunk = pairings[start : start + batch_size]
        rows = dict.fromkeys(pair.image_row for pair in chunk)  # an image under several sounds is decoded once
        seen = {row: shown(store.decoded(row, FRAME, decode_image), image_size, view) for row in rows}
        audio = [torch.from_numpy(_sound(store, p).copy()) for p in chunk]
        yield chunk, torch.stack([seen[pair.image_row] for pair in chunk]), torch.stack(audio)


def _sound(store: ShardStore, pair: EvaluationPair) -> np.ndarray:
    """float16 (F, T)."""
    if pair.made is not None:
        return made_sound(store.front_end, pair.made, pair.name)
    return mean_of([store.spectrogram(row) for row in (pair.audio_row, *pair.mixed)])
