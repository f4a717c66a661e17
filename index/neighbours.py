"""Opening `knn/` (or `knn-random/`): every clip's neighbours, memory-mapped, for training to draw positives from.

A row of `image` or `audio` holds positions of clips in `keys`, best first; neither the clip nor any clip of its video.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from index import arrays
from manifests.errors import InputError
from manifests.given_arrays import given_path, given_text
from manifests.keys import normal_keys

MADE_BY = "index build-knn"
_META = ("encoder", "k", "metric", "index", "recall_against_exact", "manifest_sha256", "count")


@dataclass(frozen=True)
class Neighbours:
    """A finished folder of neighbours.

    `image` and `audio` are int32 (N, k) positions into `keys`, memory-mapped; `meta` is meta.json.
    """

    folder: Path
    meta: Mapping[str, object]
    keys: list[str]
    image: np.ndarray
    audio: np.ndarray

    @classmethod
    def open(cls, folder: Path | str, manifest_sha256: str) -> "Neighbours":
        """Open the neighbours of the shards whose manifest has that hash (`ShardStore.manifest_sha256`).

        InputError when the folder is missing, unfinished or damaged, or was built from other shards.
        """
        folder = given_path(folder, "the folder of neighbours")
        given_text(manifest_sha256, "manifest_sha256")
        if not folder.is_dir():
            raise InputError(
                f"there is no folder {folder}. `{MADE_BY} --out {folder}` fills it with nearest neighbours, `index "
                f"random-knn --out {folder}` with random clips, the control of HardPos."
            )
        meta = arrays.read_meta(folder, MADE_BY)
        arrays.require(meta, _META, folder, MADE_BY)
        if meta["manifest_sha256"] != manifest_sha256:
            raise InputError(
                f"{folder} holds neighbours built from other shards (manifest {str(meta['manifest_sha256'])[:12]}..., "
                f"these have {manifest_sha256[:12]}...). Run `{MADE_BY}` for these shards, or name the ones it is for."
            )
        keys = normal_keys(arrays.read_keys(folder, MADE_BY)["key"].to_pylist())
        image, audio = (_open_positions(folder / f"{name}.npy", len(keys), meta["k"]) for name in arrays.MODALITIES)
        return cls(folder, meta, keys, image, audio)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def k(self) -> int:
        """Neighbours per clip."""
        return self.image.shape[1]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {key: position for position, key in enumerate(self.keys)}

    def __contains__(self, key: str) -> bool:
        return key in self._positions

    def checked(self, positions: np.ndarray, key: str) -> np.ndarray:
        """A clip's neighbours, when each is a clip of this folder; InputError when the file is damaged.

        Looked at where they are used: all of them together are a gigabyte.
        """
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self):
            raise InputError(
                f"{self.folder} is damaged: among the neighbours of {key} are the positions {positions.min()} to "
                f"{positions.max()}, and it has {len(self)} clips. Run `{MADE_BY}` again."
            )
        return positions

    def position_of(self, key: str) -> int:
        """Row of a clip; InputError when it has no neighbours here."""
        try:
            return self._positions[given_text(key, "the key of a clip")]
        except KeyError:
            raise InputError(
                f"{self.folder} has no neighbours of clip {key!r}: it covers {len(self)} clips of "
                f"{self.meta.get('split')!r}. Embed the clips that are trained on (`index embed --split NAME`, "
                f"`index embed --clips LIST`, or `training embed RUN`) and run `{MADE_BY}` again."
            ) from None


def _open_positions(path: Path, rows: int, k: object) -> np.ndarray:
    array = arrays.open_array(path, np.int32, rows, MADE_BY)
    if array.shape[1] != k:
        raise InputError(
            f"{path} holds {array.shape[1]} neighbours a clip where meta.json says {k}. Run `{MADE_BY}` again."
        )
    return array
