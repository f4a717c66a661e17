"""`pipeline splits`: lists of clips against the shards and against every test set at hand.

For each list: how many of its clips the shards hold, which are missing, and how many clips of each test set it
contains. Lists and test sets are paths, or names of the catalogue looked for under `--lists`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.catalogue import find_list, known_tests
from manifests.commands.counting import counted
from manifests.files.outputs import Given, check_output, json_with
from manifests.splits import TRAIN, IdList, coverage, overlap, split_of
from pipeline.shards.joined import folders_of, named, open_shards
from pipeline.shards.store import ShardStore
from pipeline.storage.files import write_whole

NAMED = 5  # missing clips shown on the screen; the file names all


def split_report(
    lists: Sequence[str],
    shards: Path | Sequence[Path] | None,
    tests: Sequence[str],
    folder: Path,
    out: Path | None = None,
) -> dict[str, Any]:
    """Print and return the report; `out` receives it as JSON with every missing and leaked clip.

    InputError when a list cannot be found: nothing is skipped in silence.
    """
    if out is not None:
        places = [str(one) for one in folders_of(shards)] if shards else None
        given: dict[str, Given] = {"LISTS": lists, "--test": tests, "--shards": places}
        check_output(out, given, json_with("shards", "lists"), "pipeline splits")
    against = [find_list(name, folder) for name in tests] or known_tests((folder,) if folder.is_dir() else ())
    if not against:
        print(f"no test set is known: none of the catalogue's is under {folder}. Give --lists or --test.")
    listed = [find_list(name, folder) for name in lists]
    store = open_shards(shards) if shards else None
    if store is not None:
        against = [test.known_as(store.keys) for test in against]
        listed = [*(ids.known_as(store.keys) for ids in listed), _trained_on(store)]
    entries = [_entry(ids, store, against) for ids in listed]
    for entry in entries:
        _show(entry)
    report = {"shards": named(shards) if shards else None, "lists": entries}
    if out is not None:
        write_whole(out, json.dumps(report, indent=1).encode())
    return report


def _trained_on(store: ShardStore) -> IdList:
    """What `training run` reads by default: the shards' clips of split train, or of none."""
    splits = store.table.column("split").to_pylist()
    keys = tuple(key for key, split in zip(store.keys, splits, strict=True) if split_of(split) == TRAIN)
    return IdList(f"train split of {store.folder}", keys, str(store.folder), store.manifest_sha256)


def _entry(ids: IdList, store: ShardStore | None, against: Sequence[IdList]) -> dict[str, Any]:
    leaks = [overlap(ids, test) for test in against if test.sha256 != ids.sha256]
    entry: dict[str, Any] = {
        "name": ids.name,
        "source": ids.source,
        "sha256": ids.sha256,
        "clips": len(ids.ids),
        "repeated": ids.repeated,
        "contains": [
            {"test": leak.test, "clips": leak.n_test, "shared": list(leak.clips), "videos": leak.videos}
            for leak in leaks
        ],
    }
    if store is not None:
        held = coverage(ids, store.keys)
        entry |= {"found": len(held.found), "missing": list(held.missing)}
    return entry


def _show(entry: dict[str, Any]) -> None:
    print(f"{entry['name']}: {counted(entry['clips'], 'clip')} ({entry['source']}, sha256 {entry['sha256'][:12]})")
    if "found" in entry:
        missing = entry["missing"]
        some = f", first {', '.join(missing[:NAMED])}" if missing else ""
        print(f"  in the shards: {entry['found']:,} found, {len(missing):,} missing{some}")
    for leak in entry["contains"]:
        shared = len(leak["shared"])
        share = f"({100 * shared / leak['clips']:.1f} %)"
        print(
            f"  contains {shared:,} of the {leak['clips']:,} clips of {leak['test']} {share}, and {leak['videos']:,} "
            "of its source videos"
        )
