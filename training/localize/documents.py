"""The document beside every overlay: what is in it, whether it says that the overlay is finished; tables of many."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.given_files import read_bytes
from manifests.outputs import check_output, json_with
from manifests.parquet import read_table
from manifests.whole_files import whole_path, write_text
from training.localizer.localization import Localization
from training.overlay.video import Written

MADE_OF = "made_of"  # what the overlay came from: another one of these, and it is made again
is_document = json_with("moments_per_second", "moments", "undecodable_packets")
COLUMNS = ("video", "seconds", "x", "y", "peak", "confidence", "silent", "unsure", "boxes")
LINES, TABLE = ".jsonl", ".parquet"


def document_of(overlay: Path) -> Path:
    """Where the document of an overlay lies."""
    return overlay.with_suffix(".json")


def write_document(
    path: Path, result: Localization, made_of: Mapping[str, object], threshold: float | None, written: Written | None
) -> None:
    """Write a localization as JSON; `written` None before its overlay is there: so an overlay is known for ours even
    when its command was ended at the last moment."""
    facts = {
        "frames": written and written.frames,
        "undecodable_packets": written and written.undecodable,
        "sound": written and written.audio,
        MADE_OF: dict(made_of),
    }
    write_text(path, json.dumps(result.document(threshold, **facts), indent=1))


def is_finished(overlay: Path, made_of: Mapping[str, object]) -> bool:
    """Whether this very overlay is there already."""
    path = document_of(overlay)
    if not overlay.is_file() or not is_document(path):
        return False
    content = json.loads(read_bytes(path))
    return content.get(MADE_OF) == json.loads(json.dumps(made_of)) and content.get("frames") is not None


def check_peaks(paths: Sequence[Path], videos: Sequence[Path]) -> None:
    """InputError for a file of peaks in another form, or one that is there and not of this command."""
    for path in paths:
        if path.suffix.lower() not in (LINES, TABLE):
            raise InputError(f"--peaks {path} has another ending than {LINES} (JSON lines) or {TABLE} (Parquet).")
        if not path.absolute().parent.is_dir():
            raise InputError(f"the folder of {path} does not exist. Make it, or choose another place with --peaks.")
        check_output(path, {"VIDEO": videos}, _is_peaks, "training localize", "--peaks")


def _is_peaks(path: Path) -> bool:
    try:
        if path.suffix.lower() == TABLE:
            return set(COLUMNS) == set(read_table(path).column_names)
        with path.open() as lines:
            return json.loads(next(lines)).keys() == set(COLUMNS)
    except (OSError, ValueError, StopIteration, AttributeError):
        return False


def write_peaks(paths: Iterable[Path], overlays: Mapping[str, Path]) -> None:
    """Every moment of every overlay, by its video's name, as a row in JSON lines or Parquet."""
    for path in paths:
        rows = (row for name, overlay in overlays.items() for row in _rows(name, overlay))
        if path.suffix.lower() == TABLE:
            _write_table(path, rows)
        else:
            write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def _rows(video: str, overlay: Path) -> Iterator[dict[str, Any]]:
    for moment in json.loads(read_bytes(document_of(overlay)))["moments"]:
        given = {"video": video, "boxes": None} | moment
        yield {name: given[name] for name in COLUMNS}


def _write_table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    box = pa.struct([("box", pa.list_(pa.float64(), 4)), ("score", pa.float64())])
    numbers = [pa.field(name, pa.float64()) for name in COLUMNS[1:6]]
    flags = [pa.field(name, pa.bool_()) for name in COLUMNS[6:8]]
    schema = pa.schema([pa.field("video", pa.string()), *numbers, *flags, pa.field("boxes", pa.list_(box))])
    with whole_path(path) as hidden:
        pq.write_table(pa.Table.from_pylist(list(rows), schema), hidden)
