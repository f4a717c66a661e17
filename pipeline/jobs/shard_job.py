"""One shard, start to end: the task a worker runs (`pipeline.ingest` orders it, `pipeline.jobs.cluster` says where).

Every clip is decoded behind `pipeline.jobs.decoder_client`; then tar, manifest rows and marker are written, in this
order. A shard with a marker is done for ever, one without is done again from its start: nothing half-written counts as
done.
"""

import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.files.given import understood
from manifests.files.plain_data import object_with
from pipeline.jobs.attempt_log import Journal, forget
from pipeline.jobs.decoder_client import Decoder, shared_decoder
from pipeline.jobs.decoder_messages import ClipToDecode, DecodedMembers
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import load_head, load_shard
from pipeline.jobs.told import SomeTimes, Tell
from pipeline.shards.companion import COMPANION_SCHEMA, companion_name, kind_of
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, SPECTROGRAM, Member, Rejected
from pipeline.shards.store import PLAN
from pipeline.shards.writer import ShardWriter, shard_name, writing_shard
from pipeline.sources.listing import Clip
from pipeline.storage.files import read_table, read_whole, write_whole
from pipeline.storage.remote import Place

DONE, JOURNAL = "done", "journal"
MADE_AGAIN = "its shard is made again."
FROM_FACTS = ("duration", "moment", "width", "height", "flags", "source_path", "source_sha256")


@dataclass
class ShardSummary:
    """What became of one shard's clips, or of several shards' together."""

    clips: int = 0
    records: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: "ShardSummary") -> "ShardSummary":
        self.clips += other.clips
        self.records += other.records
        self.bytes_read += other.bytes_read
        self.bytes_written += other.bytes_written
        self.reasons += other.reasons
        self.flags += other.flags
        return self


def ingest_shards(out: Place, first: int, end: int, timeout: float, tell: Tell | None = None) -> ShardSummary:
    """Do the shards first..end-1 of the plan in `out`, those that have a marker excepted; their summary.

    What task this is, `first`, and how many of its clips are done so far, is told now and then.
    """
    options, roots = load_head(out / PLAN)
    decoder = shared_decoder(options)
    total, told = ShardSummary(), SomeTimes(tell, first)
    for shard in range(first, end):
        if not marker_path(out, shard).exists():
            ShardJob(out, shard, options, roots, decoder, timeout, partial(told, total.clips)).run()
        total += read_marker(out, shard)
    return total


def marker_path(out: Place, shard: int) -> Place:
    """The file that says shard `shard` is finished."""
    return out / DONE / f"{shard:06d}.json"


def rows_path(out: Place, shard: int, companion: str | None = None) -> Place:
    """A finished shard's rows of the manifest, or of a companion's manifest."""
    return out / DONE / (f"{shard:06d}.{companion}.parquet" if companion else f"{shard:06d}.parquet")


def rows_of(out: Place, shard: int, companion: str | None = None) -> pa.Table:
    """A finished shard's rows. InputError when they are damaged."""
    path = rows_path(out, shard, companion)
    with understood(path, "is damaged", f"Delete {marker_path(out, shard)} and repeat the command: {MADE_AGAIN}"):
        return read_table(path)


def marker_of(out: Place, shard: int) -> dict[str, Any]:
    """What a finished shard's marker says. InputError when it is damaged."""
    path = marker_path(out, shard)
    with understood(path, "is damaged", f"Delete it and repeat the command: {MADE_AGAIN}"):
        return object_with(read_whole(path), "clips", "records", "rejects", "bytes_read", "flags", "tar")


def read_marker(out: Place, shard: int) -> ShardSummary:
    """A finished shard's counts."""
    marker = marker_of(out, shard)
    reasons = Counter(reject["reason"] for reject in marker["rejects"])
    size = marker["tar"]["size"] if marker["tar"] else 0
    return ShardSummary(
        marker["clips"], marker["records"], marker["bytes_read"], size, reasons, Counter(marker["flags"])
    )


def stored_keys(out: Place, shard: int) -> frozenset[str] | None:
    """The keys of a finished shard's records; None of a shard that is not finished."""
    if not marker_path(out, shard).exists():
        return None
    return frozenset(rows_of(out, shard)["key"].to_pylist())


def is_whole(out: Place, shard: int) -> bool:
    """Whether a finished shard's files are those its marker speaks of.

    A worker that was thought lost may go on beside the one that took over. Both write the same bytes, unless one of
    them met a timeout: then a tar of one and rows of the other would put images under wrong keys.
    """
    marker = marker_of(out, shard)
    tar = marker["tar"]
    files = marker.get("files", {tar["name"]: tar["size"]} if tar else {})  # the first folders knew their tar's alone
    return all((out / name).exists() and (out / name).stat().st_size == size for name, size in files.items())


@dataclass
class ShardJob:
    """One shard being made."""

    out: Place
    shard: int
    options: IngestOptions
    roots: tuple[Place, ...]
    decoder: Decoder
    timeout: float
    told: Callable[[int], None] = lambda clips: None  # how many are done
    rows: list[dict[str, Any]] = field(default_factory=list)
    companion_rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    rejects: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # what this attempt wrote, relative to `out`, and its bytes

    def run(self) -> None:
        """Write tar, rows and marker, in this order; the tar only when a clip succeeded."""
        clips = load_shard(self.out / PLAN, self.shard)
        journal = Journal(self.out / JOURNAL, self.shard)
        try:
            tar = self._write(clips, journal)
        finally:
            journal.close()
        self._publish(clips, tar)
        forget(self.out / JOURNAL, self.shard)

    def _write(self, clips: list[Clip], journal: Journal) -> dict[str, object] | None:
        path = self.out / shard_name(self.shard)
        companions = {kind: self.out / companion_name(kind, self.shard) for kind in self.options.companions.kinds}
        with ExitStack() as stack:
            writer = stack.enter_context(writing_shard(path))
            beside = {kind: stack.enter_context(writing_shard(place)) for kind, place in companions.items()}
            for number, clip in enumerate(clips, start=1):
                self._add(clip, journal, writer, beside)
                self.told(number)
        if not self.rows:  # a tar without a record would only stop a reader
            for each in (path, *companions.values()):
                each.unlink()
            return None
        self.files |= {path.name: writer.size} | {companions[kind].name: each.size for kind, each in beside.items()}
        return {"name": path.name, "size": writer.size, "sha256": writer.sha256}

    def _add(self, clip: Clip, journal: Journal, writer: ShardWriter, beside: dict[str, ShardWriter]) -> None:
        try:
            decoded = self._decode(clip, journal)
            _check_moment(clip, decoded.facts)
        except Rejected as verdict:
            stage = "read" if verdict.reason == "unreadable" else "decode"
            self.rejects.append(reject_row(clip.display, stage, verdict.reason, verdict.message))
            return
        facts, members = _identity(clip) | decoded.facts, decoded.members
        places = writer.add(clip.key, {FRAME: members[FRAME], FACTS: _json(facts), SPECTROGRAM: members[SPECTROGRAM]})
        self.rows.append(manifest_row(shard_name(self.shard), facts, places))
        for kind, companion in beside.items():
            own = {name: content for name, content in members.items() if kind_of(name) == kind}
            self._note(kind, clip.key, companion.add(clip.key, own))

    def _note(self, kind: str, key: str, places: dict[str, Member]) -> None:
        shard = companion_name(kind, self.shard)
        self.companion_rows[kind] += [
            {"key": key, "shard": shard, "member": name, "offset": member.offset, "size": member.size}
            for name, member in places.items()
        ]

    def _decode(self, clip: Clip, journal: Journal) -> DecodedMembers:
        if (verdict := journal.known.get(clip.key)) is not None:
            raise verdict
        journal.started(clip.key)
        try:
            return self.decoder.decode(self._to_decode(clip), self.timeout)
        except Rejected as verdict:
            if verdict.reason in ("decoder_crash", "timeout"):
                journal.rejected(clip.key, verdict)
            raise
        except BaseException:  # disk, storage, Ctrl-C: whatever ends the run now, it was not this clip
            journal.interrupted()
            raise

    def _to_decode(self, clip: Clip) -> ClipToDecode:
        root = self.roots[clip.root]
        return ClipToDecode(
            file=os.path.join(root, clip.path),
            size=clip.size,
            moment=self._moment(clip),
            member=clip.member,
            position=clip.position,
            offset=clip.offset,
            audio=None if clip.audio is None else os.path.join(root, clip.audio),
        )

    def _moment(self, clip: Clip) -> float | str:
        if clip.moment is not None:
            return clip.moment
        if self.options.moment == "annotated" and not clip.start_known:
            return "centre"  # nobody annotated a moment of a clip that is not VGGSound's
        return self.options.moment

    def _publish(self, clips: list[Clip], tar: dict[str, object] | None) -> None:
        marker = marker_path(self.out, self.shard)
        marker.parent.mkdir(exist_ok=True)
        self._write_rows(rows_path(self.out, self.shard), self.rows, MANIFEST_SCHEMA)
        for kind in self.options.companions.kinds:
            self._write_rows(rows_path(self.out, self.shard, kind), self.companion_rows[kind], COMPANION_SCHEMA)
        facts = {
            "clips": len(clips),
            "records": len(self.rows),
            "bytes_read": sum(clip.size for clip in clips),
            "tar": tar,
            "files": self.files,
            "flags": Counter(flag for row in self.rows for flag in row["flags"]),
            "rejects": self.rejects,
        }
        write_whole(marker, json.dumps(facts, indent=1, sort_keys=True).encode())

    def _write_rows(self, path: Place, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema), buffer)
        write_whole(path, buffer.getvalue())
        self.files[f"{DONE}/{path.name}"] = len(buffer.getvalue())


def _check_moment(clip: Clip, facts: Mapping[str, Any]) -> None:
    """Rejected where a video does not last until the second that a list gives of it: decoders then show its centre."""
    if clip.audio is None and clip.moment is not None and facts["moment"] != clip.moment:
        message = f"it lasts {facts['duration']:.3f} s and has no second {clip.moment:g}, which --moments asks for"
        raise Rejected("too_short", message)


def _identity(clip: Clip) -> dict[str, object]:
    """What the `json` member says of the clip before it is decoded."""
    return {
        "key": clip.key,
        "source_id": clip.source_id,
        "label": clip.label,
        "split": clip.split,
        "source_path": clip.display,
    }


def _json(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def manifest_row(shard: str, facts: dict[str, object], places: dict[str, Member]) -> dict[str, object]:
    """A record's row of the manifest, from the facts of its json member and the place of each member in its tar."""
    row: dict[str, object] = {"shard": shard} | {
        name: facts[name] for name in ("key", "source_id", "label", "split", *FROM_FACTS)
    }
    for column, member in (("frame", FRAME), ("json", FACTS), ("spec", SPECTROGRAM)):
        row |= {f"{column}_offset": places[member].offset, f"{column}_size": places[member].size}
    return row


def reject_row(path: str, stage: str, reason: str, message: str) -> dict[str, str]:
    """A row of rejects.parquet; `stage` is "list", "read" or "decode"."""
    return {"path": path, "stage": stage, "reason": reason, "message": message}
