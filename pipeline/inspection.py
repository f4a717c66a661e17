"""`pipeline inspect`: what ingest would make of a source folder and why; afterwards, what a shard folder holds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.commands.counting import are, counted
from manifests.files.given import understood
from pipeline.console import summary
from pipeline.jobs.options import automatic_shard_clips
from pipeline.jobs.plan import cut_shards, is_planned, load_head
from pipeline.jobs.shard_job import DONE
from pipeline.jobs.unique_keys import unique_keys
from pipeline.shards.record import FLAGS, REASONS, REJECT_SCHEMA
from pipeline.shards.store import INDEX, PLAN, REJECTS, ShardStore
from pipeline.sources.labels import Labels, find_labels
from pipeline.sources.listing import Clip, Listing, list_sources, readable, tally
from pipeline.sources.litter import litter_left_alone
from pipeline.storage.files import read_table
from pipeline.storage.remote import Place

EXAMPLES = 3


def inspect_path(path: Place, meta: Sequence[Place]) -> None:
    """Describe a source folder or a shard folder, whichever `path` is."""
    if (path / INDEX).exists():
        inspect_shards(path)
    elif is_planned(path / PLAN):
        inspect_unfinished(path)
    else:
        inspect_source(path, meta)


# --- before ----------------------------------------------------------------------------------------------------------


def inspect_source(root: Place, meta: Sequence[Place]) -> None:
    """What was recognised in a source folder: names, containers, labels, doubles, refusals, the rest."""
    listing = list_sources([root])
    labels = find_labels(meta, listing)
    joined = labels.join(listing.clips)
    clips, duplicates = unique_keys(joined)
    shards = len(cut_shards(clips, automatic_shard_clips(len(clips))))
    summary(
        f"source folder {readable(str(root))}",
        {
            "clips": f"{len(clips)}, {sum(clip.size for clip in clips) / 1e6:.1f} MB",
            "shards": f"{shards} would be made of them",
            "inside tar files": f"{sum(clip.member is not None for clip in clips)} in {listing.archives} archives",
            "formats": _tally(PurePosixPath(clip.member or clip.path).suffix.lower() for clip in clips),
            "moment": _moments(clips),
            "labelled": f"{sum(clip.label is not None for clip in clips)} of {len(clips)}",
            "splits": _tally(clip.split or "(none)" for clip in clips),
            "duplicates": _examples(len(duplicates), (f"{double.path}: {double.message}" for double in duplicates)),
            "refused": _examples(len(listing.refusals), (f"{item.path}: {item.message}" for item in listing.refusals)),
            "other files": tally(listing.others) or "none",
            "left behind": litter_left_alone(listing.litter) or "none",
        },
    )
    _print_names(clips)
    _print_labels(listing, labels, joined)


def _moments(clips: Sequence[Clip]) -> str:
    known = sum(clip.start_known for clip in clips)
    named = f"{counted(known, 'clip')} with a VGGSound name"
    return f"the annotated 5 s for {named}, the centre for the other {len(clips) - known}"


def _print_names(clips: Sequence[Clip]) -> None:
    by_naming: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_naming[clip.naming].append(clip)
    facts = {
        naming: _examples(len(group), (f"{clip.display} -> {clip.key}" for clip in group))
        for naming, group in sorted(by_naming.items())
    }
    summary("names", facts)


def _print_labels(listing: Listing, labels: Labels, clips: Sequence[Clip]) -> None:
    for line in labels.describe(listing.clips):
        print(line)
    if labels.tables and (absent := labels.unnamed(clips)):
        print(f"labels: no list names {_examples(len(absent), (clip.display for clip in absent))}")
    if by_folder := [clip for clip in listing.clips if clip.label]:
        print(f"labels: {are(len(by_folder), 'clip')} in <split>/<class>/, such as {by_folder[0].display}")


def _examples(count: int, lines: Iterable[str]) -> str:
    shown = [line for line, _ in zip(lines, range(EXAMPLES), strict=False)]
    return f"{count}" + (f", such as {'; '.join(shown)}" if shown else "")


def _tally(names: Iterable[str]) -> str:
    return tally(Counter(names))


# --- after -----------------------------------------------------------------------------------------------------------


def inspect_unfinished(out: Place) -> None:
    """How far an interrupted ingest came."""
    options, roots = load_head(out / PLAN)
    with (out / PLAN / "clips.parquet").open("rb") as handle:
        plan = pq.read_metadata(handle)
    summary(
        f"unfinished shard folder {out}: the command that began it continues it",
        {
            "shards": f"{len(list((out / DONE).glob('*.json')))} of {plan.num_row_groups} done",
            "clips": plan.num_rows,
            "sources": ", ".join(readable(str(root)) for root in roots),
            **{name: value for name, value in options.stored().items() if name != "schema_version"},
        },
    )


def inspect_shards(out: Place) -> None:
    """What a finished shard folder holds."""
    store = ShardStore.open(out)
    table = store.table
    with understood(out / REJECTS, remedy="Repeat the `pipeline ingest` command."):
        rejects = read_table(out / REJECTS, REJECT_SCHEMA)
    summary(
        f"shard folder {out}",
        {
            "clips": len(store),
            "shards": _kinds(table["shard"]),
            "source videos": _kinds(table["source_id"]),
            "front end": store.front_end,
            "stored images": _tally(
                f"{width}x{height}" for width, height in zip(*_columns(table, "width", "height"), strict=True)
            ),
            "seconds": _range(table["duration"]),
            "splits": _tally(split or "(none)" for split in table["split"].to_pylist()),
            "labels": f"{_kinds(table['label'])} kinds: " + _tally(_labels(table)),
            "rejects": len(rejects),
        },
    )
    _print_counts("flags", Counter(flag for flags in table["flags"].to_pylist() for flag in flags or ()), FLAGS)
    _print_counts("rejects by reason", Counter(rejects["reason"].to_pylist()), REASONS)
    if len(store):
        summary(f"one sample, {store.keys[0]}", {**store.facts(0), "spectrogram": store.spectrogram(0).shape})


def _columns(table: pa.Table, *names: str) -> tuple[list[object], ...]:
    return tuple(table[name].to_pylist() for name in names)


def _labels(table: pa.Table) -> list[str]:
    return [label or "(none)" for label in table["label"].to_pylist()]


def _kinds(column: pa.ChunkedArray) -> int:
    return len(column.drop_null().unique())


def _range(column: pa.ChunkedArray) -> str:
    values = column.to_numpy()
    if not len(values):
        return "none"
    return f"{values.min():.2f} to {values.max():.2f}, mean {values.mean():.2f}"


def _print_counts(title: str, counts: Counter[str], meanings: dict[str, str]) -> None:
    if counts:
        summary(title, {name: f"{count:<6} {meanings.get(name, '')}" for name, count in counts.most_common()})
