"""Shards of a finished folder that are no longer what ingest wrote: they lose their marker and are made again.

Tars are copied, moved and cut off by hand. Sizes of all files are compared, and a few records of every tar with the
manifest; a whole reading of a corpus at every repeated command would be too much.
"""

from collections.abc import Iterator

from manifests.errors import InputError
from pipeline.jobs.plan import Plan
from pipeline.jobs.shard_job import is_whole, marker_path, read_marker
from pipeline.shards.store import INDEX, ShardStore
from pipeline.shards.writer import shard_name
from pipeline.storage.remote import Place


def forget_damaged(out: Place, plan: Plan) -> list[str]:
    """Make the finished folder one that lacks its damaged shards; their tars' names."""
    damaged = list(_damaged(out, plan))
    if damaged:
        (out / INDEX).unlink()
    for shard in damaged:
        marker_path(out, shard).unlink()
    return list(map(shard_name, damaged))


def _damaged(out: Place, plan: Plan) -> Iterator[int]:
    store = ShardStore.open(out)
    for shard in range(len(plan.shards)):
        if not is_whole(out, shard) or (read_marker(out, shard).records and not _is_described(store, shard)):
            yield shard


def _is_described(store: ShardStore, shard: int) -> bool:
    try:
        store.check(shard_name(shard))
    except InputError:
        return False
    return True
