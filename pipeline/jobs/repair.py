"""Shards of a finished folder that are no longer what ingest wrote: they lose their marker and are made again.

Tars are copied, moved and cut off by hand. Sizes of all files are compared, and a few records of every tar with the
manifest; a whole reading of a corpus at every repeated command would be too much.
"""

from collections.abc import Iterator

from manifests.errors import InputError
from pipeline.jobs.plan import Plan
from pipeline.jobs.shard_job import is_whole, marker_path, read_marker
from pipeline.shards.store import INDEX, MANIFEST, ShardStore
from pipeline.shards.writer import shard_name
from pipeline.storage.remote import Place


def forget_damaged(out: Place, plan: Plan) -> list[str]:
    """Make the finished folder one that lacks what is damaged: shards, or the manifest. The names of these files."""
    try:
        store = ShardStore.open(out)
    except InputError:  # its tables are made again of what each shard has left
        (out / INDEX).unlink()
        return [MANIFEST]
    damaged = list(_damaged(out, plan, store))
    if damaged:
        (out / INDEX).unlink()
    for shard in damaged:
        marker_path(out, shard).unlink()
    return list(map(shard_name, damaged))


def _damaged(out: Place, plan: Plan, store: ShardStore) -> Iterator[int]:
    for shard in range(len(plan.shards)):
        if not is_whole(out, shard) or (read_marker(out, shard).records and not _is_described(store, shard)):
            yield shard


def _is_described(store: ShardStore, shard: int) -> bool:
    try:
        store.check(shard_name(shard))
    except InputError:
        return False
    return True
