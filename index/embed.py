"""`index embed`: choose the clips of one split or list, encode them, write `embeddings/`.

Only these are embedded, the training split unless told otherwise: neighbours then never come from test clips.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from index import arrays
from index.embeddings import write_embeddings
from manifests.errors import InputError
from manifests.splits import TRAIN, IdList, split_of

if TYPE_CHECKING:
    from index.embeddings import Embeddings
    from index.encoders import Encoder
    from pipeline.shards.store import ShardStore


@dataclass(frozen=True)
class Encoders:
    """What encodes images and what encodes sounds."""

    image: "Encoder"
    audio: "Encoder"

    @property
    def version(self) -> str:
        """The versioned name stored in meta.json."""
        image, audio = self.image.version, self.audio.version
        return image if image == audio else f"{image} (image), {audio} (audio)"


def rows_of_split(table: pa.Table, split: str) -> np.ndarray:
    """Rows of the manifest that belong to a split; clips that name none are training clips.

    InputError when the split is empty; names the splits there are.
    """
    splits = list(map(split_of, table["split"].to_pylist()))
    rows = np.flatnonzero(np.array([name == split_of(split) for name in splits], dtype=bool))
    if not len(rows):
        there = ", ".join(sorted(set(splits)))
        raise InputError(
            f"no clip belongs to the split {split!r} (splits in these shards: {there}); clips without one are {TRAIN}."
        )
    return rows


def rows_of_list(store: "ShardStore", listed: IdList) -> np.ndarray:
    """Rows of the manifest that a list names, in manifest order. InputError when there is none."""
    wanted = frozenset(listed.known_as(store.keys).ids)
    rows = np.flatnonzero(np.array([key in wanted for key in store.keys], dtype=bool))
    if not len(rows):
        raise InputError(
            f"none of the {len(listed.ids):,} clips of {listed.source} is in {store.folder} (the first wanted "
            f"{listed.ids[0]!r}, the first there {store.keys[0]!r})."
        )
    return rows


def without_split(table: pa.Table) -> int:
    """Clips that name no split where others do: they count as training clips, which is worth a line."""
    unnamed = table["split"].null_count
    return unnamed if unnamed < table.num_rows else 0


def differences(store: "ShardStore", encoders: Encoders, split: str, rows: np.ndarray, out: Path) -> list[str] | None:
    """How the embeddings in `out` differ from those asked for; [] when they are these, None when there are none."""
    wanted = {"encoder": encoders.version, "manifest_sha256": store.manifest_sha256, "split": split}
    return arrays.differences(out, wanted, [store.keys[row] for row in rows])


def not_embedded(store: "ShardStore", vectors: "Embeddings") -> int:
    """Clips of the split that embeddings name which are not among them: none, unless a rule gives the split more now.

    Embeddings of a list, or by a trained run, which leaves test clips out, have no split to be compared with.
    """
    splits = list(map(split_of, store.table["split"].to_pylist()))
    wanted = split_of(str(vectors.meta["split"]))
    if str(vectors.meta["encoder"]).startswith("run ") or wanted not in splits:
        return 0
    there = set(vectors.keys["key"].to_pylist())
    found = zip(store.keys, splits, strict=True)
    return sum(split == wanted and key not in there for key, split in found)


def embed(
    store: "ShardStore", rows: np.ndarray, *, encoders: Encoders, split: str, out: Path, advance: Callable[[int], None]
) -> None:
    """Encode the clips at `rows` and write the finished folder `out`; `advance` counts vectors, two a clip.

    InputError before the first vector when the shards lack what an encoder reads.
    """
    clips = rows.tolist()
    for encoder in (encoders.image, encoders.audio):
        encoder.check(store, clips[0])
    write_embeddings(
        out,
        image=encoders.image.vectors(store, clips, advance),
        audio=encoders.audio.vectors(store, clips, advance),
        keys=store.table.take(rows),
        encoder=encoders.version,
        manifest_sha256=store.manifest_sha256,
        front_end=store.front_end,
        split=split,
    )
