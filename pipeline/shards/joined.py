"""Several finished shard folders read as one: a corpus that arrived in pieces, or two corpora trained on together.

The folders' rows follow one another in the order of their manifests' hashes, so that neither the order in which folders
are named nor where they lie changes anything. A key stands in one folder only, and all have one front end.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.given_arrays import given_place
from manifests.machine import MachineFailed
from pipeline.shards.companion_store import Burst, Companions, Recording, Waveform
from pipeline.shards.store import ShardStore
from pipeline.shards.tars import Decoded
from pipeline.storage.remote import Place, RemotePath

if TYPE_CHECKING:
    import numpy as np

Folders = Place | str | Sequence[Place | str]


def folders_of(given: Folders) -> tuple[Place | str, ...]:
    """One folder or several, as a tuple."""
    return (given,) if isinstance(given, Path | RemotePath | str) else tuple(given)


def named(given: Folders) -> str:
    """What messages call one folder or several."""
    return " and ".join(map(str, folders_of(given)))


def open_shards(given: Folders) -> ShardStore:
    """Open one finished folder, or several as one.

    InputError as `ShardStore.open`, and for folders that share a key or differ in their front end.
    """
    stores = [ShardStore.open(folder) for folder in folders_of(given)]
    return stores[0] if len(stores) == 1 else JoinedShards(stores)


class JoinedShards(ShardStore):
    """The rows of several stores; what is asked of a row is asked of its own store.

    `manifest_sha256` covers all manifests; `folder` is what messages call them, no folder of that name is there.
    """

    def __init__(self, stores: Sequence[ShardStore]) -> None:
        self.stores = sorted(stores, key=lambda store: store.manifest_sha256)
        self._first = [0, *accumulate(map(len, self.stores))]
        _check(stores)
        self.keys = [key for store in self.stores for key in store.keys]
        self.stored_keys = [key for store in self.stores for key in store.stored_keys]
        self.folder = Path(named([store.folder for store in stores]))
        self.table = pa.concat_tables(map(_with_own_tars, self.stores))
        self.front_end = stores[0].front_end
        self.short_side = max(store.short_side for store in stores)
        hashes = "\n".join(store.manifest_sha256 for store in self.stores)
        self.manifest_sha256 = hashlib.sha256(hashes.encode()).hexdigest()

    def alone(self, row: int) -> tuple[ShardStore, int]:
        """The store that holds a row, and the row's number there."""
        row = given_place(row, len(self), "the row")
        number = bisect_right(self._first, row) - 1
        return self.stores[number], row - self._first[number]

    def row_of(self, key: str) -> int:
        """The row of a key. InputError names key and folders when it is in none of them."""
        for store, first in zip(self.stores, self._first, strict=False):
            if key in store:
                return first + store.row_of(key)
        raise InputError(f"The clip {key} is not among the {len(self)} clips of {self.folder}.")

    def __contains__(self, key: str) -> bool:
        return any(key in store for store in self.stores)

    def read(self, row: int, member: str) -> bytes:
        """One member's content, as `ShardStore.read`."""
        store, own = self.alone(row)
        return store.read(own, member)

    def decoded(
        self, row: int, member: str, decode: Callable[[bytes], Decoded], content: bytes | None = None
    ) -> Decoded:
        """As `ShardStore.decoded`."""
        store, own = self.alone(row)
        return store.decoded(own, member, decode, content)

    def damaged(self, row: int, member: str, seen: object) -> InputError:
        """As `ShardStore.damaged`."""
        store, own = self.alone(row)
        return store.damaged(own, member, seen)

    def check_streamed(self, row: int, key: str, sizes: Mapping[str, int]) -> None:
        """As `ShardStore.check_streamed`."""
        store, own = self.alone(row)
        store.check_streamed(own, key, sizes)

    def unreadable(self, row: int, error: OSError) -> InputError | MachineFailed:
        """As `ShardStore.unreadable`."""
        store, own = self.alone(row)
        return store.unreadable(own, error)

    def not_met(self, row: int, found: str) -> InputError:
        """As `ShardStore.not_met`."""
        store, own = self.alone(row)
        return store.not_met(own, found)

    @cached_property
    def companions(self) -> Companions:
        """Those of each folder, where ingest was asked to make them there."""
        return _JoinedCompanions(self)

    def shard_path(self, row: int) -> Place:
        """The tar that holds a row."""
        store, own = self.alone(row)
        return store.shard_path(own)

    def byte_range(self, first: int, last: int) -> tuple[int, int]:
        """As `ShardStore.byte_range`; both rows are in one shard."""
        store, own = self.alone(first)
        return store.byte_range(own, own + last - first)


class _JoinedCompanions(Companions):
    def __init__(self, joined: JoinedShards) -> None:
        self._joined = joined

    def _own(self, row: int) -> tuple[Companions, int]:
        store, own = self._joined.alone(row)
        return store.companions, own

    def has(self, kind: str) -> bool:
        return all(store.companions.has(kind) for store in self._joined.stores)

    def recording(self, row: int) -> Recording:
        companions, own = self._own(row)
        return companions.recording(own)

    def waveform(self, row: int) -> Waveform:
        companions, own = self._own(row)
        return companions.waveform(own)

    def frames(self, row: int) -> "list[tuple[float, np.ndarray]]":
        companions, own = self._own(row)
        return companions.frames(own)

    def burst(self, row: int) -> Burst:
        companions, own = self._own(row)
        return companions.burst(own)

    def flow(self, row: int) -> "np.ndarray":
        companions, own = self._own(row)
        return companions.flow(own)

    def proposals(self, row: int) -> "np.ndarray":
        companions, own = self._own(row)
        return companions.proposals(own)

    def truth(self, row: int) -> Annotation | None:
        companions, own = self._own(row)
        return companions.truth(own)

    def mask(self, row: int) -> "np.ndarray | None":
        companions, own = self._own(row)
        return companions.mask(own)


def _check(stores: Sequence[ShardStore]) -> None:
    """InputError for two front ends, or a key that two folders hold."""
    first, holder = stores[0], {}
    for store in stores:
        if store.front_end != first.front_end:
            raise InputError(
                f"The shards in {first.folder} hold spectrograms {first.front_end!r}, those in {store.folder} "
                f"{store.front_end!r}. Only folders of one front end are read together: ingest one of them again with "
                "--front-end."
            )
        shared = next((key for key in store.keys if key in holder), None)
        if shared is not None:
            raise InputError(
                f"The clip {shared} is both in {holder[shared].folder} and in {store.folder}. Folders that are read "
                "together share no clip: leave one of them out, or ingest it again without what the other holds."
            )
        holder |= dict.fromkeys(store.keys, store)


def _with_own_tars(store: ShardStore) -> pa.Table:
    """The store's rows, with names of tars that no other folder has."""
    tars = [f"{store.folder}/{tar}" for tar in store.table["shard"].to_pylist()]
    return store.table.set_column(store.table.schema.get_field_index("shard"), "shard", pa.array(tars, pa.string()))
