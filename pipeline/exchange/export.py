"""`pipeline export`: shards in the forms of other programs, a file after another, resumed where it was interrupted.

Files are made in a hidden folder beside --out, each whole or not at all, and the folder is put in its place at the end.
`export.json` in it says of which shards it was made.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.checksums import KEY, Damaged, check_sealed, file_sha256, sealed
from manifests.files.given import read_bytes
from manifests.files.outputs import check_output
from manifests.files.plain_data import parse_json_object
from manifests.files.suffixes import is_of_system
from manifests.files.whole import LEFTOVERS, write_text
from manifests.files.whole_folders import whole_folder
from pipeline.console import progress
from pipeline.exchange import energon, parquet
from pipeline.exchange.plan import Part, parts_of
from pipeline.shards.companion import CONTEXT
from pipeline.shards.joined import open_shards
from pipeline.shards.store import ShardStore
from pipeline.storage.remote import Place

ABOUT = "export.json"
Write = Callable[[ShardStore, Part, Path, Callable[[int], None]], None]


@dataclass(frozen=True)
class Form:
    """A form that clips are exported in: how its files are named, what writes one, and what lies beside all of them."""

    named: str
    write: Write
    finish: Callable[[Path, list[Part]], None] = lambda folder, parts: None


FORMS: Mapping[str, Form] = {
    "parquet": Form(parquet.NAMED, parquet.write_part),
    "energon": Form(energon.NAMED, energon.write_part, energon.write_index),
}


def run_export(form: str, shards: list[Place], out: Path, clips: int) -> dict[str, object]:
    """Export a shard folder, or several as one; facts for a summary.

    InputError for a form that is not known, shards that cannot be read, and when `out` holds anything but an earlier
    export; WorkFailed when the disk is full.
    """
    if form not in FORMS:
        raise InputError(f"--format {form!r} is not known; there are: {', '.join(FORMS)}.")
    check_output(out, {"--shards": [Path(str(each)) for each in shards]}, _is_own, "pipeline export")
    store = open_shards(shards)
    parts = parts_of(store, clips, FORMS[form].named)
    if not parts:
        raise InputError(f"The shards in {store.folder} hold no clips, so there is nothing to export.")
    request = {"form": form, "manifest_sha256": store.manifest_sha256, "clips_per_file": clips,
               "audio": store.companions.has(CONTEXT), "files": [part.name for part in parts]}  # fmt: skip
    there = _is_there(out, request)
    if not there:
        with whole_folder(out, resumed=True) as partial:
            _fill(partial, store, parts, FORMS[form], request)
    return {"already there" if there else "written": out, **_facts(store, parts)}


def _fill(folder: Path, store: ShardStore, parts: list[Part], form: Form, request: Mapping[str, Any]) -> None:
    """Write the files that are not there yet, then what lies beside them."""
    if _read_about(folder) != request:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_text(folder / ABOUT, json.dumps(request))
    with progress("export", len(store), "clips") as advance:
        for part in parts:
            if (folder / part.name).exists():
                advance(len(part.rows))
            else:
                (folder / part.name).parent.mkdir(exist_ok=True)
                form.write(store, part, folder / part.name, advance)
    form.finish(folder, parts)
    for path in folder.rglob(LEFTOVERS):  # of a writer that was killed
        path.unlink()
    digests = {_name(path, folder): file_sha256(path) for path in _files(folder) if path.name != ABOUT}
    write_text(folder / ABOUT, json.dumps(sealed(request, digests), indent=1))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _read_about(folder: Path) -> dict[str, Any]:
    """What export.json says; nothing where it is missing or damaged."""
    try:
        return parse_json_object(read_bytes(folder / ABOUT))
    except (OSError, ValueError):
        return {}


def _is_own(folder: Path) -> bool:
    """Whether a folder is empty, or holds an export and nothing beside it."""
    if not folder.is_dir():
        return False
    names = {_name(path, folder) for path in _files(folder) if not is_of_system(path.name)}
    digests = _read_about(folder).get(KEY, {})
    return not names or (bool(digests) and names <= {*digests, ABOUT})


def _is_there(folder: Path, request: Mapping[str, Any]) -> bool:
    """Whether a folder holds this export, whole."""
    about = _read_about(folder)
    if {name: about.get(name) for name in request} != dict(request):
        return False
    try:
        digests = check_sealed(about)
        return all(file_sha256(folder / name) == digest for name, digest in digests.items())
    except (Damaged, OSError):
        return False


def _facts(store: ShardStore, parts: list[Part]) -> dict[str, object]:
    sounds = "as FLAC" if store.companions.has(CONTEXT) else (
        "spectrograms alone; `pipeline ingest --audio context` keeps waveforms"
    )  # fmt: skip
    splits = {part.split: 0 for part in parts}
    for part in parts:
        splits[part.split] += len(part.rows)
    return {"files": len(parts), "clips": ", ".join(f"{count:,} {split}" for split, count in splits.items()),
            "audio": sounds}  # fmt: skip
