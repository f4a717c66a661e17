"""What else counts as a clip's positive, or must not count as its negative: its neighbours and its own video.

Neighbours come from `index build-knn` and are fetched from the shards by offset, beside the sequential stream. The one
drawn for a clip is a function of (seed, epoch, clip), like every other choice made for it.
"""

import random
from collections.abc import Collection
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from index.arrays import MODALITIES
from index.label_agreement import agreement, chance
from index.neighbours import MADE_BY, Neighbours
from manifests.errors import InputError
from pipeline.shards.record import FRAME
from pipeline.shards.sources import source_numbers
from pipeline.shards.store import ShardStore
from training.data.views import decode_image

AT_ONCE = 4_096  # clips whose neighbours are looked at together: all are a gigabyte
JUDGED = 2_000  # clips whose neighbours are compared with their labels, spread evenly
LITTLE = 0.5  # of the way from chance to perfect agreement: images below it brought nothing (benchmarks/neighbours)


class Positives:
    """The neighbours of a shard folder's training clips.

    `fetched`: what is wanted of a neighbour, "image" or "audio" or both; `excluded`: masks of clips that are no true
    negatives are wanted.
    Only clips among `trained`, the keys the run trains on, are drawn. Only the `k` nearest count where k is given;
    InputError when the lists are shorter.
    """

    def __init__(
        self,
        store: ShardStore,
        neighbours: Neighbours,
        needs: frozenset[str],
        trained: Collection[str],
        k: int | None = None,
    ) -> None:
        if k is not None and k > neighbours.k:
            raise InputError(
                f"data.k is {k}, but {neighbours.folder} lists {neighbours.k} neighbours a clip. Build the neighbours "
                f"with `{MADE_BY} --k {k}`, or lower data.k."
            )
        self.k, self.trained = k, sorted(trained)
        self.store, self.neighbours = store, neighbours
        self.allowed = np.array([key in trained for key in neighbours.keys], dtype=bool)
        self.fetched = tuple(name for name in MODALITIES if needs & {"neighbours", f"near_{name}"})
        self.excluded = "exclusions" in needs
        self._video = source_numbers(store.table["source_id"].to_pylist())

    def check(self) -> None:
        """InputError when the lists cover not every clip that is trained on, or name only others for one."""
        rows = np.array([self.neighbours.position_of(key) for key in self.trained])
        if self.allowed.all() or not self.fetched:
            return  # whoever is listed may be drawn
        for near in self._lists():
            for part in np.array_split(rows, -(-len(rows) // AT_ONCE)):
                found = near[part]
                kept = self.allowed[np.clip(found, 0, len(self.allowed) - 1)].any(axis=1)
                if not kept.all():
                    self._refuse(self.neighbours.keys[part[kept.argmin()]], found.shape[1])

    def draw(self, key: str, source: random.Random) -> dict[str, Tensor | np.ndarray]:
        """What is wanted of these: "image" uint8 (3, H, W) of a clip near in appearance, "audio" float16 (F, T) of one
        near in sound. All neighbours are equally likely."""
        near_image, near_audio = self.draw_rows(key, source)
        found: dict[str, Tensor | np.ndarray] = {}
        if "image" in self.fetched:
            found["image"] = self.store.decoded(near_image, FRAME, decode_image)
        if "audio" in self.fetched:
            found["audio"] = self.store.spectrogram(near_audio)
        return found

    def draw_rows(self, key: str, source: random.Random) -> tuple[int, int]:
        """The rows of the clips near in appearance and near in sound, whether both are wanted or one."""
        near_image, near_audio = (self._drawn(near, key, source) for near in self._lists())
        return near_image, near_audio

    def _drawn(self, near: np.ndarray, key: str, source: random.Random) -> int:
        """Manifest row of one of the clip's neighbours, of those that may be trained on."""
        found = self.neighbours.checked(near[self.neighbours.position_of(key)], key)
        kept = found[self.allowed[found]]
        if not len(kept):
            self._refuse(key, len(found))
        return self.store.row_of(self.neighbours.keys[source.choice(kept)])

    def _refuse(self, key: str, count: int) -> NoReturn:
        raise InputError(
            f"none of the {count} neighbours of {key} is a clip this run trains on (data.train_list, split, "
            "exclude_test, drop_flagged). Build the neighbours of those clips, or with a larger --k."
        )

    def _lists(self) -> tuple[np.ndarray, np.ndarray]:
        return self.neighbours.image[:, : self.k], self.neighbours.audio[:, : self.k]

    def doubts(self) -> list[str]:
        """A line for each modality whose neighbours carry their clip's label little more often than random clips would.

        Labels judge the neighbours here and choose nothing; without labels there is nothing to say.
        """
        by_key = dict(zip(self.store.keys, self.store.table["label"].to_pylist(), strict=True))
        labels = [by_key.get(key) for key in self.neighbours.keys]
        trained = np.flatnonzero(self.allowed)
        clips = trained[np.linspace(0, len(trained) - 1, min(JUDGED, len(trained))).astype(int)]
        expected = chance([labels[clip] for clip in trained])
        lists = zip(MODALITIES, self._lists(), strict=True)
        shares = {name: agreement(labels, clips, np.asarray(near[clips]), self.allowed) for name, near in lists}
        return [
            f"only {share:.0%} of the {self.k or self.neighbours.k} nearest clips by {name} that positives are drawn "
            f"from have the label of their clip ({expected:.0%} would by chance): such positives may do harm. Fewer of "
            f"them (data.k) or another encoder's (`index embed`, `{MADE_BY}`) may agree better."
            for name, share in shares.items()
            if name in self.fetched and _is_doubtful(share, expected)
        ]

    def exclusions(self, keys: list[str], company: list[str] | None = None) -> dict[str, Tensor]:
        """(B, C) bool masks "image", "audio", "source": [i, j] is True when clip j of the company, by default the same
        clips, is a neighbour of clip i in that modality, or another cut of the same video. A clip is neither of itself.
        """
        company = keys if company is None else company
        own, others = (np.array([self.neighbours.position_of(key) for key in named]) for named in (keys, company))
        image, audio = (np.stack([np.isin(others, near[row]) for row in own]) for near in self._lists())
        videos, of_others = (self._video[[self.store.row_of(key) for key in named]] for named in (keys, company))
        same = (videos[:, None] == of_others) & (own[:, None] != others)
        return {name: torch.from_numpy(mask) for name, mask in (("image", image), ("audio", audio), ("source", same))}


def _is_doubtful(share: float | None, expected: float | None) -> bool:
    """Whether neighbours agree little better than by chance; what is not known is not doubted."""
    return share is not None and expected is not None and share - expected < LITTLE * (1 - expected)
