"""`pipeline annotate`: boxes and pixel masks of a corpus, as a companion of shards that are there already.

Members per annotated clip: `truth.json` (boxes as fractions of the image, how many must cover a pixel, label) and,
where the corpus has masks, `truth.png` (1 bit, the annotators' size). Annotations of clips the shards lack are named.
"""

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.outputs import check_output
from manifests.parquet import read_table
from manifests.truth import Truth, read_truth
from pipeline.shards.companion import (
    COMPANION_SCHEMA,
    TRUTH,
    TRUTH_FACTS,
    TRUTH_MASK,
    companion_manifest,
    companion_name,
)
from pipeline.shards.store import ShardStore
from pipeline.shards.writer import writing_shard
from pipeline.storage.files import replacing
from pipeline.storage.remote import Place

NAMED = 5  # missing clips shown on the screen


def annotate(folder: Place, source: Path, format: str) -> dict[str, object]:
    """Write the companion, in place of an earlier one; returns the counts for the summary.

    InputError when the annotations cannot be read, or none is of a clip of the shards.
    """
    truth, store = read_truth(source, format), ShardStore.open(folder)
    wanted = {annotation.key: annotation for annotation in truth.test_set.annotations}
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, (key, shard) in enumerate(zip(store.keys, store.table["shard"].to_pylist(), strict=True)):
        if key in wanted:
            rows_of[shard].append(row)
    found = sum(map(len, rows_of.values()))
    if not found:
        raise InputError(
            f"none of the {len(wanted)} clips annotated in {source} is in {folder} (the first annotated one is "
            f"{next(iter(wanted))!r}, the first in the shards {store.keys[0]!r}). Give the shards of that corpus."
        )
    manifest = companion_manifest(TRUTH)
    if isinstance(folder, Path):
        check_output(folder / manifest, {"--truth": source}, _is_companion, "pipeline annotate", "the file")
    (folder / manifest).unlink(missing_ok=True)  # without it there is no companion: readers never meet half of one
    places = [place for shard, rows in rows_of.items() for place in _write(folder, shard, rows, store, truth, wanted)]
    with replacing(folder / manifest) as handle:
        pq.write_table(pa.Table.from_pylist(places, COMPANION_SCHEMA), handle)
    masks = f", {sum(place['member'] == TRUTH_MASK for place in places)} masks" if truth.masks is not None else ""
    boxes = sum(len(wanted[store.keys[row]].boxes) for rows in rows_of.values() for row in rows)
    held = set(store.keys)
    missing = [key for key in wanted if key not in held]
    return {
        "annotations": f"{source} ({truth.test_set.name})",
        "clips": f"{found} of the {len(wanted)} annotated ones are in the shards",
        **({"missing": named(missing)} if missing else {}),
        "stored": f"{boxes} boxes{masks}",
    }


def _is_companion(manifest: Path) -> bool:
    try:
        return read_table(manifest).schema.names == COMPANION_SCHEMA.names
    except (OSError, pa.ArrowInvalid):
        return False


def named(keys: Sequence[str]) -> str:
    """How many there are, and the first of them."""
    rest = f" and {len(keys) - NAMED:,} more" if len(keys) > NAMED else ""
    return f"{len(keys):,}: {', '.join(keys[:NAMED])}{rest}"


def _write(
    folder: Place, shard: str, rows: list[int], store: ShardStore, truth: Truth, wanted: dict[str, Annotation]
) -> list[dict[str, object]]:
    """One shard's companion tar; a manifest row per member."""
    name, places = companion_name(TRUTH, int(shard.removeprefix("shard-").removesuffix(".tar"))), []
    with writing_shard(folder / name) as writer:
        for key in (store.keys[row] for row in rows):
            for member, place in writer.add(key, _members(wanted[key], truth)).items():
                places.append({"key": key, "shard": name, "member": member, "offset": place.offset, "size": place.size})
    return places


def _members(annotation: Annotation, truth: Truth) -> dict[str, bytes]:
    facts = {"boxes": annotation.boxes, "consensus": annotation.consensus, "label": annotation.label}
    members = {TRUTH_FACTS: json.dumps(facts, sort_keys=True).encode()}
    if truth.masks is not None:
        members[TRUTH_MASK] = _one_bit_png(truth.masks.masks[annotation.key])
    return members


def _one_bit_png(path: Path) -> bytes:
    from PIL import Image

    from manifests.masks import load_mask

    buffer = io.BytesIO()
    Image.fromarray(load_mask(path, size=None)).save(buffer, "PNG")
    return buffer.getvalue()
