"""The form that `embeddings/` and `knn/` share: two arrays, the keys of their rows, and a meta.json written last.

    image.npy  audio.npy   row i of both describes row i of keys.parquet
    keys.parquet           key, source_id, label, split
    meta.json              what made the arrays; its presence marks the folder finished

A folder is built beside its final place and renamed, so readers meet the old one or the new one, never half of one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial as with_given
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import InputError
from manifests.files.arrays import check_npy
from manifests.files.checksums import Damaged, check_file, check_sealed, file_sha256, sealed
from manifests.files.given import check_lasting, has_file, read_bytes, understood
from manifests.files.outputs import Given, check_output, json_with, names_in
from manifests.files.parquet import read_table
from manifests.files.plain_data import parse_json_object
from manifests.files.whole_folders import whole_folder

MODALITIES = ("image", "audio")
KEYS, META = "keys.parquet", "meta.json"
KEYS_SCHEMA = pa.schema(
    [("key", pa.string()), ("source_id", pa.string()), ("label", pa.string()), ("split", pa.string())]
)
EMBEDDINGS, NEIGHBOURS = "dimension", "k"  # what only the meta.json of one kind has
MAKERS = {EMBEDDINGS: "index embed` or `training embed", NEIGHBOURS: "index build-knn` or `index random-knn"}
FILES = frozenset({"image.npy", "audio.npy", KEYS, META})


@contextmanager
def replaced_folder(target: Path, kind: str) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block ends well it becomes `target`, replacing an older one.

    InputError when `target` cannot be written, holds anything but arrays of this `kind` (EMBEDDINGS or NEIGHBOURS), or
    is being written by another command; WorkFailed when the disk fills up.
    """
    check_replaceable(target, kind)
    with whole_folder(target) as partial:
        yield partial


def check_replaceable(target: Path, kind: str, inputs: Mapping[str, Given] = MappingProxyType({})) -> None:
    """InputError when a folder is an input of the command, by option, or holds anything but arrays of the `kind`."""

    check_output(target, inputs, with_given(_is_own, kind=kind), MAKERS[kind])


def _is_own(folder: Path, kind: str) -> bool:
    """Whether a folder is empty, or holds arrays of this kind; or such as have lost their meta.json, which are none."""
    if not folder.is_dir():
        return False
    names = names_in(folder)
    if not names or not names <= FILES:
        return not names
    if json_with()(folder / META):
        return json_with("encoder", "manifest_sha256", kind)(folder / META)
    try:
        return read_table(folder / KEYS).schema.names == KEYS_SCHEMA.names
    except (OSError, pa.ArrowException):
        return False


def write_array(path: Path, shape: tuple[int, int], dtype: np.dtype, blocks: Iterable[np.ndarray]) -> None:
    """Stream blocks of rows into an .npy file that `np.load(mmap_mode=...)` opens.

    Written rather than mapped: a full disk is then an error, where a mapped file would end the process with SIGBUS.
    """
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype=dtype).data)


def write_keys_and_meta(folder: Path, keys: pa.Table, meta: Mapping[str, object]) -> None:
    """Finish a folder: keys, then meta.json, whose presence says that everything else is there."""
    with (folder / KEYS).open("wb") as handle:  # the library takes no name that is not UTF-8
        pq.write_table(keys, handle)
    digests = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    (folder / META).write_text(json.dumps(sealed(meta, digests), indent=2) + "\n")


def read_meta(folder: Path, made_by: str) -> dict[str, object]:
    """Read meta.json of a finished folder. InputError names the command (`made_by`) that makes such a folder."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; `{made_by}` makes it.")
    if not has_file(folder / META):
        raise InputError(f"{folder} is not finished: it has no {META}. Run `{made_by}` again.")
    with understood(folder / META, remedy=f"Run `{made_by}` again."):
        meta = parse_json_object(read_bytes(folder / META))
    if (damage := _damage(folder, meta)) is not None:
        raise InputError(f"{folder / damage} is damaged: it is not what was written. Run `{made_by}` again.")
    return meta


def _damage(folder: Path, meta: Mapping[str, object]) -> str | None:
    """The file of a finished folder that is not what was written; None when all are, as far as checksums were."""
    name = META
    try:
        digests = check_sealed(meta)
        for name in digests:
            check_file(folder / name, digests)
    except (Damaged, OSError) as error:
        check_lasting(folder / name, error)
        return name
    return None


def differences(folder: Path, wanted: Mapping[str, object], keys: Sequence[str] | None = None) -> list[str] | None:
    """How a finished folder differs from what is wanted ("k 10 -> 20"), [] when it does not; None when unfinished.

    `keys`: the clips it should be of. Which clips a split has is a rule, which may be another than when it was made.
    """
    try:
        meta = parse_json_object(read_bytes(folder / META))
    except (OSError, ValueError) as error:
        check_lasting(folder / META, error)
        return None
    if (damage := _damage(folder, meta)) is not None:
        return [f"{damage} is damaged"]
    found = [
        f"{name} {_short(meta.get(name))} -> {_short(value)}"
        for name, value in wanted.items()
        if meta.get(name) != value
    ]
    return found + ([] if keys is None else _other_clips(folder, keys))


def _other_clips(folder: Path, keys: Sequence[str]) -> list[str]:
    """What is to be said of a folder whose rows are not of these clips."""
    try:
        there = read_keys(folder, "")["key"].to_pylist()
    except InputError:
        return [f"{KEYS} cannot be read"]
    if there == list(keys):
        return []
    return [f"clips {len(there):,} -> {len(keys):,}" if len(there) != len(keys) else "other clips"]


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text  # a sha256 is told apart by its first digits


def require(meta: Mapping[str, object], names: Iterable[str], folder: Path, made_by: str) -> None:
    """InputError when meta.json lacks a field that readers depend on."""
    missing = [name for name in names if name not in meta]
    if missing:
        raise InputError(f"{folder / META} lacks {', '.join(missing)}. Run `{made_by}` again.")


def read_keys(folder: Path, made_by: str) -> pa.Table:
    """Read keys.parquet; InputError when it is missing, damaged or repeats a key."""
    with understood(folder / KEYS, remedy=f"Run `{made_by}` again."):
        table = read_table(folder / KEYS, KEYS_SCHEMA)
    if (repeated := repeated_key(table)) is not None:
        raise InputError(f"{folder / KEYS} holds the key {repeated!r} more than once; keys must be unique.")
    return table


def repeated_key(table: pa.Table) -> str | None:
    """The first key that appears twice, None when all are different."""
    counts = table["key"].value_counts()
    return next((entry["values"] for entry in counts.to_pylist() if entry["counts"] > 1), None)


def open_array(path: Path, dtype: type, rows: int, made_by: str) -> np.ndarray:
    """Map an .npy file of shape (rows, any) into memory, read only. InputError when it is anything else."""
    with understood(path, "cannot be read as an array", f"Run `{made_by}` again."):
        check_npy(path)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != dtype or array.ndim != 2 or len(array) != rows:
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}, where {np.dtype(dtype)} with {rows} rows was "
            f"expected. Run `{made_by}` again."
        )
    return array
