"""Embeddings of a corpus: one unit vector per clip and modality, written by an encoder, read by the search.

`index embed` (descriptors, pretrained encoders) and `training embed` (a trained model) both write this folder, in the
form of `index.arrays`; `index build-knn` reads it. It remembers the shards it was made from.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from index import arrays
from manifests.errors import InputError

MADE_BY = "index embed"
UNIT_TOLERANCE = 1e-4
CHECK_ROWS = 16_384
ALIKE = 1e-6  # entries of unit vectors that differ by rounding alone
_META = ("encoder", "manifest_sha256", "front_end", "split", "count", "dimension")


@dataclass(frozen=True)
class Embeddings:
    """A finished folder of embeddings, memory-mapped.

    `image` and `audio` are float32 (N, D) with rows of length 1; D may differ between the two. `keys` has one row per
    clip (KEYS_SCHEMA). `meta` is meta.json.
    """

    folder: Path
    meta: dict[str, object]
    keys: pa.Table
    image: np.ndarray
    audio: np.ndarray

    @classmethod
    def open(cls, folder: Path | str) -> "Embeddings":
        """Open and check a folder; InputError when missing, unfinished, damaged or not made of unit vectors."""
        folder = Path(folder)
        meta = arrays.read_meta(folder, MADE_BY)
        arrays.require(meta, _META, folder, MADE_BY)
        keys = arrays.read_keys(folder, MADE_BY)
        image, audio = (
            arrays.open_array(folder / f"{name}.npy", np.float32, keys.num_rows, MADE_BY) for name in arrays.MODALITIES
        )
        for path, vectors in ((folder / "image.npy", image), (folder / "audio.npy", audio)):
            check_unit_rows(vectors, str(path))
        return cls(folder, meta, keys, image, audio)

    def __len__(self) -> int:
        return self.keys.num_rows

    def check_made_from(self, manifest_sha256: str, shards: object) -> None:
        """InputError unless these embeddings were computed from the shards with that manifest."""
        if self.meta["manifest_sha256"] != manifest_sha256:
            raise InputError(
                f"{self.folder} was made from other shards than {shards} (manifest "
                f"{str(self.meta['manifest_sha256'])[:12]}... against {manifest_sha256[:12]}...). "
                "Make the embeddings again, or name the shards they came from."
            )

    def fingerprint(self) -> str:
        """sha256 over the vectors and keys: equal fingerprints have equal neighbours."""
        digest = hashlib.sha256()
        for vectors in (self.image, self.audio):
            digest.update(repr(vectors.shape).encode())
            for start in range(0, len(vectors), CHECK_ROWS):
                digest.update(np.ascontiguousarray(vectors[start : start + CHECK_ROWS]).data)
        for column in ("key", "source_id", "label"):
            digest.update("\0".join(str(value) for value in self.keys[column].to_pylist()).encode())
        return digest.hexdigest()


def write_embeddings(
    folder: Path | str,
    *,
    image: np.ndarray,
    audio: np.ndarray,
    keys: pa.Table,
    encoder: str,
    manifest_sha256: str,
    front_end: str,
    split: str,
) -> None:
    """Write a finished folder in one step, replacing an older one.

    image, audio: (N, D) float32 unit rows; keys: table holding at least the columns of KEYS_SCHEMA, in the same order;
    encoder: what computed them, with its version; split: the corpus split the clips are from.
    InputError when rows are not finite unit vectors, keys repeat, or `folder` cannot be replaced.
    """
    keys = keys.select(arrays.KEYS_SCHEMA.names).cast(arrays.KEYS_SCHEMA)
    if (repeated := arrays.repeated_key(keys)) is not None:
        raise InputError(f"the key {repeated!r} was embedded more than once; keys must be unique.")
    vectors = {"image": image, "audio": audio}
    for name, rows in vectors.items():
        assert rows.shape[0] == keys.num_rows, f"{name}: {rows.shape[0]} rows for {keys.num_rows} keys"
        check_unit_rows(rows, f"the {name} embedding of {encoder}")
    meta = {
        "encoder": encoder,
        "manifest_sha256": manifest_sha256,
        "front_end": front_end,
        "split": split,
        "count": keys.num_rows,
        "dimension": {name: rows.shape[1] for name, rows in vectors.items()},
    }
    with arrays.replaced_folder(Path(folder), arrays.EMBEDDINGS) as partial:
        for name, rows in vectors.items():
            arrays.write_array(partial / f"{name}.npy", rows.shape, np.dtype(np.float32), [rows])
        arrays.write_keys_and_meta(partial, keys, meta)


def check_unit_rows(vectors: np.ndarray, what: str) -> None:
    """InputError unless every row is finite and of length 1: inner products are then cosines."""
    for start in range(0, len(vectors), CHECK_ROWS):
        block = vectors[start : start + CHECK_ROWS]
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
        wrong = ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)  # not `>`: NaN must count as wrong
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{what} must hold unit vectors, but row {start + row} has length {lengths[row]:.6g}. "
                "Normalise the embeddings and drop clips that have none."
            )


def all_alike(vectors: np.ndarray) -> bool:
    """Whether several rows are one and the same vector: no clip is then nearer to another than any other."""
    blocks = (vectors[start : start + CHECK_ROWS] for start in range(0, len(vectors), CHECK_ROWS))
    return len(vectors) > 1 and all(np.abs(block - vectors[0]).max() <= ALIKE for block in blocks)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length 1, float32 (N, D). A row of zeros has no direction and becomes the constant one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = np.full(vectors.shape[1], vectors.shape[1] ** -0.5)
    return np.where(lengths > 0, vectors / np.where(lengths > 0, lengths, 1), flat).astype(np.float32)
