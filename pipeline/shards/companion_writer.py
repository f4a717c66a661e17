"""Writing a companion of shards that are there already: a tar beside each of them, and its manifest last.

A companion of the kind that is there already stays until the new one is whole: this gets tars of other names, and the
manifest, which is exchanged in one step, says which are meant. Whatever ends the command before, the old one is left.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain, count

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.files.locks import held
from pipeline.console import progress
from pipeline.shards.companion import COMPANION_SCHEMA, companion_manifest, companion_name
from pipeline.shards.store import PLAN, ShardStore
from pipeline.shards.writer import writing_shard
from pipeline.storage.files import read_table, replacing
from pipeline.storage.remote import Place, RemotePath

Members = Callable[[int], Mapping[str, bytes]]


def write_companion(
    folder: Place, kind: str, store: ShardStore, rows: Sequence[int], members: Members
) -> list[dict[str, object]]:
    """Write what `members` gives of each of these rows, in place of an earlier companion; the rows of its manifest.

    Shows how it goes.

    InputError when another command writes there, or nobody may; WorkFailed when the disk is full.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    shards = store.table["shard"].to_pylist()
    for row in rows:
        rows_of[shards[row]].append(row)
    with _alone(folder), _swept(folder, kind) as before, progress(f"storing {kind}", len(rows), "clips") as advance:
        tars = _free_tars(kind, rows_of, before)

        def counted(row: int) -> Mapping[str, bytes]:
            made = members(row)
            advance(1)
            return made

        places = [place for shard, own in rows_of.items() for place in _write(folder, tars[shard], own, store, counted)]
        with replacing(folder / companion_manifest(kind)) as handle:
            pq.write_table(pa.Table.from_pylist(places, COMPANION_SCHEMA), handle)
    return places


def _alone(folder: Place) -> AbstractContextManager[None]:
    """One command at a time, by the lock of an ingest into the folder; a storage has none."""
    if isinstance(folder, RemotePath):
        return nullcontext()
    return held(folder / PLAN / "lock", folder, "command", "Wait for it to end, and repeat this one.")


@contextmanager
def _swept(folder: Place, kind: str) -> Iterator[set[str]]:
    """Give the names that are taken at first; at the end those tars go that the manifest does not name then.

    So after a failure the earlier ones are left, and after a success the new ones.
    """
    try:
        yield {path.name for path in folder.glob(f"{kind}-*")}
    finally:
        with suppress(OSError, ValueError, pa.ArrowException):  # of a manifest that cannot be read nothing is known
            manifest, own = folder / companion_manifest(kind), re.compile(rf"{kind}-\d{{6}}(\.\d+)?\.tar")
            named = set(read_table(manifest, COMPANION_SCHEMA)["shard"].to_pylist()) if manifest.exists() else set()
            for path in folder.glob(f"{kind}-*.tar"):
                if own.fullmatch(path.name) and path.name not in named:
                    path.unlink(missing_ok=True)


def _free_tars(kind: str, shards: Iterable[str], taken: set[str]) -> dict[str, str]:
    """A name for each shard's tar, none of those that are taken."""
    numbers = {shard: int(shard.removeprefix("shard-").removesuffix(".tar")) for shard in shards}
    for generation in chain([""], map(".{}".format, count(1))):
        names = {shard: companion_name(kind, number, generation) for shard, number in numbers.items()}
        if taken.isdisjoint(names.values()):
            break
    return names


def _write(
    folder: Place, name: str, rows: Sequence[int], store: ShardStore, members: Members
) -> list[dict[str, object]]:
    """One shard's companion tar; a manifest row per member."""
    places: list[dict[str, object]] = []
    with writing_shard(folder / name) as writer:
        for row in rows:
            key = store.keys[row]
            for member, place in writer.add(key, members(row)).items():
                places.append({"key": key, "shard": name, "member": member, "offset": place.offset, "size": place.size})
    return places
