"""Vectors that lie in a folder of embeddings already, as one modality's encoder beside another one for the other.

So a trained run's image vectors (`training embed RUN`) stand beside YAMNet's of the sounds in one folder that
`index build-knn` reads. Nothing is computed; the folder must hold the clips that are asked for, of the same shards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index.embeddings import Embeddings
from manifests.errors import InputError
from manifests.keys import normal_keys
from pipeline.shards.store import ShardStore


@dataclass(frozen=True)
class Stored:
    """The encoder, see `index.encoders.Encoder`."""

    modality: str
    embeddings: Embeddings

    @property
    def version(self) -> str:
        """What made the vectors, and which they are."""
        return f"{self.embeddings.meta['encoder']} [{self.embeddings.fingerprint()[:12]}]"

    def check(self, store: ShardStore, row: int) -> None:
        self.embeddings.check_made_from(store.manifest_sha256, store.folder)

    def vectors(self, store: ShardStore, rows: Sequence[int], advance: Callable[[int], None]) -> np.ndarray:
        """InputError when the folder lacks some of the clips: says how many, and how to name those it has."""
        places = {key: place for place, key in enumerate(normal_keys(self.embeddings.keys["key"].to_pylist()))}
        missing = [store.keys[row] for row in rows if store.keys[row] not in places]
        if missing:
            raise InputError(
                f"{self.embeddings.folder} has no vector of {len(missing):,} of the {len(rows):,} clips, first "
                f"{missing[0]}. A run embeds what it trained on: name these clips with --list, as "
                "`--list runs/NAME/ID/training_clips.txt`."
            )
        advance(len(rows))
        return np.asarray(getattr(self.embeddings, self.modality)[[places[store.keys[row]] for row in rows]])


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Stored:
    """`weights`: a folder of `training embed` or `index embed`. InputError when none is given, or it is damaged."""
    if weights is None:
        raise InputError(f"the {modality} encoder {name} needs --{modality}-weights: a folder of embeddings.")
    return Stored(modality, Embeddings.open(weights))
