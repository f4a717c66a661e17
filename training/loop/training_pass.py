"""One look at every training clip before an epoch, for methods that cluster them; the same for all processes.

Batch norm takes the running statistics of the first process's replicas, in all processes: these alone are in
checkpoints, so a run that goes on from the end of an epoch clusters what it would have. What several processes cluster
differs by that from what one process does.

Where features of frozen trunks are kept, they are looked at in place of clips. They were made in parts of another size,
and in the precision of the steps: what a hook computes differs from what it would compute of the clips by rounding.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor

from training.config import Data
from training.data.pairs import EvaluationPair, paired_batches
from training.data.stream import TrainingStream
from training.data.views import normalise_audio, normalise_image
from training.distributed import Ranks
from training.leakage import clips_sha256
from training.loop.kept_features import KeptFeatures
from training.methods.contract import BaseMethod, Batch

BATCH = 64
Seen = Iterator[tuple[list[str], Tensor, Tensor]]


class TrainingPass:
    """The training clips as `training.methods.contract.TrainingClips`: whole frames, nothing random.

    kept: what frozen trunks made of all clips, where that is there.
    """

    def __init__(self, stream: TrainingStream, method: BaseMethod, data: Data, ranks: Ranks) -> None:
        self.stream, self.method, self.data, self.ranks = stream, method, data, ranks
        self.kept: KeptFeatures | None = None

    @cached_property
    def rows(self) -> Tensor:
        """(N,) int64, ascending."""
        return torch.from_numpy(np.flatnonzero(self.stream.selected))

    @cached_property
    def sha256(self) -> str:
        """Of their keys, in the order of the rows."""
        return clips_sha256(self.stream.store, self.rows.tolist())

    @torch.no_grad()
    def each(self, of: Callable[[Batch], Tensor]) -> Tensor:
        """Every process looks at its share, and all get all: (B, ...) of a batch -> (N, ...) float32 on the CPU."""
        shares = np.array_split(self.rows.numpy(), self.ranks.world)
        self.ranks.take_from_first(buffer for buffer in self.method.buffers() if buffer.is_floating_point())
        self.method.eval()
        own = [of(batch).float().cpu() for batch in self._batches(shares[self.ranks.rank])]
        self.method.train()
        if self.ranks.world == 1:
            return torch.cat(own)
        return torch.from_numpy(self.ranks.gather(torch.cat(own).numpy(), [len(share) for share in shares]))

    def _batches(self, rows: np.ndarray) -> Iterator[Batch]:
        for keys, image, audio in self._decoded(rows) if self.kept is None else self._of_kept(self.kept, rows):
            named = self.stream.named(keys)
            numbers = {name: value.to(self.ranks.device) for name, value in named.items() if name != "key"}
            yield cast(Batch, {"key": named["key"], **numbers, "image": image, "audio": audio})

    def _decoded(self, rows: np.ndarray) -> Seen:
        store, device, data = self.stream.store, self.ranks.device, self.data
        pairings = [EvaluationPair(store.keys[row], int(row), int(row)) for row in rows]
        for chunk, pixels, spectrograms in paired_batches(store, pairings, data.image_size, BATCH):
            image, audio = normalise_image(pixels.to(device)), normalise_audio(spectrograms.to(device), data)
            yield [pairing.name for pairing in chunk], image, audio

    def _of_kept(self, kept: KeptFeatures, rows: np.ndarray) -> Seen:
        """Features in float32, as no hook computes in less; of a trained audio trunk the spectrograms."""
        for part in np.split(rows, range(BATCH, len(rows), BATCH)):
            chosen = part.tolist()
            image, audio = kept.images(chosen).float(), kept.audio(chosen)
            heard = normalise_audio(audio, self.data) if audio.ndim == 3 else audio.float()
            yield [self.stream.store.keys[row] for row in chosen], image, heard
