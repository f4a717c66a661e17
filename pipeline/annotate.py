"""`pipeline annotate`: boxes and pixel masks of a corpus, as a companion of shards that are there already.

Members per annotated clip: `truth.json` (boxes as fractions of the image, how many must cover a pixel, label) and,
where the corpus has masks, `truth.png` (1 bit, the annotators' size). Annotations of clips the shards lack are named.
"""

import io
import json
from pathlib import Path

import pyarrow as pa

from manifests.annotations import Annotation
from manifests.commands.counting import counted
from manifests.errors import InputError
from manifests.files.outputs import check_output
from manifests.files.parquet import read_table
from manifests.test_sets import Truth
from manifests.truth import read_truth
from pipeline.console import named
from pipeline.shards.companion import COMPANION_SCHEMA, TRUTH, TRUTH_FACTS, TRUTH_MASK, companion_manifest
from pipeline.shards.companion_writer import write_companion
from pipeline.shards.store import ShardStore
from pipeline.storage.remote import Place


def annotate(folder: Place, source: Path, format: str) -> dict[str, object]:
    """Write the companion, in place of an earlier one; returns the counts for the summary.

    InputError when the annotations cannot be read, or none is of a clip of the shards.
    """
    truth, store = read_truth(source, format), ShardStore.open(folder)
    truth = truth.known_as(store.keys)
    wanted = {annotation.key: annotation for annotation in truth.test_set.annotations}
    rows = [row for row, key in enumerate(store.keys) if key in wanted]
    if not rows:
        raise InputError(
            f"none of the {len(wanted)} clips annotated in {source} is in {folder} (the first annotated one is "
            f"{next(iter(wanted))!r}, the first in the shards {store.keys[0]!r}). Give the shards of that corpus."
        )
    manifest = companion_manifest(TRUTH)
    if isinstance(folder, Path):
        check_output(folder / manifest, {"--truth": source}, _is_companion, "pipeline annotate", "the file")
    places = write_companion(folder, TRUTH, store, rows, lambda row: _members(wanted[store.keys[row]], truth))
    masks = (
        f", {counted(sum(place['member'] == TRUTH_MASK for place in places), 'mask')}"
        if truth.masks is not None
        else ""
    )
    boxes = sum(len(wanted[store.keys[row]].boxes) for row in rows)
    held = set(store.keys)
    missing = [key for key in wanted if key not in held]
    return {
        "annotations": f"{source} ({truth.test_set.name})",
        "clips": f"{len(rows)} of the {len(wanted)} annotated ones are in the shards",
        **({"missing": named(missing)} if missing else {}),
        "stored": f"{counted(boxes, 'box', 'boxes')}{masks}",
    }


def _is_companion(manifest: Path) -> bool:
    try:
        return read_table(manifest).schema.names == COMPANION_SCHEMA.names
    except (OSError, pa.ArrowInvalid):
        return False


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
