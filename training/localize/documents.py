"""The document beside every overlay: what is in it, whether it says that the overlay is finished; tables of many."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.given import TooLarge, read_bytes
from manifests.files.outputs import check_output, json_with
from manifests.files.parquet import read_table
from manifests.files.whole import whole_path, write_text
from manifests.files.whole_folders import alone_at
from training.localizer.localization import Localization
from training.overlay.video import Written, is_marked

COMMAND, BESIDE = "training localize", "the file of peaks beside --out,"
MADE_OF = "made_of"  # what the overlay came from: another one of these, and it is made again
BYTES = "overlay_bytes"  # how large the overlay is when it is whole
BEGINNING = b'{\n "run": "'  # of every document, and of what is left of one that was cut off
is_document = json_with("moments_per_second", "moments", "undecodable_packets")
COLUMNS = ("video", "seconds", "x", "y", "peak", "confidence", "silent", "unsure", "boxes")
LINES, TABLE = ".jsonl", ".parquet"


def document_of(overlay: Path) -> Path:
    """Where the document of an overlay lies."""
    return overlay.with_suffix(".json")


def check_own(overlay: Path) -> None:
    """InputError where an overlay or its document is there and somebody else's.

    A document that is damaged is ours beside an overlay of ours, or where its beginning is left.
    """
    document, rest = document_of(overlay), _damaged(document_of(overlay))
    is_ours = is_document(document) or (rest or b"").startswith(BEGINNING) or is_marked(overlay)
    check_output(document, {}, lambda path: is_document(path) or (is_ours and rest is not None), COMMAND, BESIDE)
    check_output(overlay, {}, lambda _: is_ours, COMMAND)


def _damaged(path: Path) -> bytes | None:
    """The content of a file that is no JSON any more; None for any other, and where there is none."""
    try:
        content = read_bytes(path)
    except (OSError, TooLarge):
        return None
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return content
    return None


def write_document(
    overlay: Path, result: Localization, made_of: Mapping[str, object], threshold: float | None, written: Written | None
) -> None:
    """Write a localization as JSON; `written` None before its overlay is there: so an overlay is known for ours even
    when its command was ended at the last moment."""
    facts = {
        "frames": written and written.frames,
        "undecodable_packets": written and written.undecodable,
        "sound": written and written.audio,
        BYTES: written and overlay.stat().st_size,
        MADE_OF: dict(made_of),
    }
    write_text(document_of(overlay), json.dumps(result.document(threshold, **facts), indent=1))


def is_finished(overlay: Path, made_of: Mapping[str, object]) -> bool:
    """Whether this very overlay is there already, all of it; older documents do not tell how large it is."""
    path = document_of(overlay)
    if not overlay.is_file() or not is_document(path):
        return False
    content = json.loads(read_bytes(path))
    is_whole = content.get("frames") is not None and content.get(BYTES, size := overlay.stat().st_size) == size
    return is_whole and content.get(MADE_OF) == json.loads(json.dumps(made_of))


def check_peaks(paths: Sequence[Path], videos: Sequence[Path]) -> None:
    """InputError for a file of peaks in another form, or one that is there and not of this command."""
    for path in paths:
        if path.suffix.lower() not in (LINES, TABLE):
            raise InputError(f"--peaks {path} has another ending than {LINES} (JSON lines) or {TABLE} (Parquet).")
        if not path.absolute().parent.is_dir():
            raise InputError(f"the folder of {path} does not exist. Make it, or choose another place with --peaks.")
        check_output(path, {"VIDEO": videos}, _is_peaks, COMMAND, "--peaks")


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
        with alone_at(path):
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
