"""Writing a companion of shards that are there already: a tar beside each of them, and its manifest last."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.companion import COMPANION_SCHEMA, companion_manifest, companion_name
from pipeline.shards.store import ShardStore
from pipeline.shards.writer import writing_shard
from pipeline.storage.files import replacing
from pipeline.storage.remote import Place

Members = Callable[[int], Mapping[str, bytes]]


def write_companion(
    folder: Place, kind: str, store: ShardStore, rows: Sequence[int], members: Members
) -> list[dict[str, object]]:
    """Write what `members` gives of each of these rows, in place of an earlier companion; the rows of its manifest."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    shards = store.table["shard"].to_pylist()
    for row in rows:
        rows_of[shards[row]].append(row)
    manifest = folder / companion_manifest(kind)
    manifest.unlink(missing_ok=True)  # without it there is no companion: readers never meet half of one
    places = [place for shard, own in rows_of.items() for place in _write(folder, kind, shard, own, store, members)]
    with replacing(manifest) as handle:
        pq.write_table(pa.Table.from_pylist(places, COMPANION_SCHEMA), handle)
    return places


def _write(
    folder: Place, kind: str, shard: str, rows: Sequence[int], store: ShardStore, members: Members
) -> list[dict[str, object]]:
    """One shard's companion tar; a manifest row per member."""
    name, places = companion_name(kind, int(shard.removeprefix("shard-").removesuffix(".tar"))), []
    with writing_shard(folder / name) as writer:
        for row in rows:
            key = store.keys[row]
            for member, place in writer.add(key, members(row)).items():
                places.append({"key": key, "shard": name, "member": member, "offset": place.offset, "size": place.size})
    return places
