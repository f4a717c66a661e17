"""Ingest with the fake decoders: corpora of clips that say what becomes of them, and what a finished folder holds.

The fixture `decoded` (tests/pipeline/conftest.py) makes the decoders importable in child processes.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.ingest import IngestRequest, prepare
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import Plan

FAKE = "fake_decoders:decode"


def corpus(folder: Path, *contents: str) -> Path:
    """Clips c000, c001, ... with these contents."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(contents):
        (folder / f"c{number:03d}.mp4").write_text(content)
    return folder


def request_for(source: Path, out: Path, shard_clips: int | None = None, decoder: str = FAKE, **rest) -> IngestRequest:
    options = IngestOptions(decoder=decoder, shard_clips=shard_clips)
    return replace(IngestRequest((source,), out, options, workers=1, timeout=20.0), **rest)


def planned(request: IngestRequest) -> Plan:
    request.out.mkdir()
    return prepare(request)[0]


def rejects(out: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in pq.read_table(out / "rejects.parquet").to_pylist()}


def fingerprints(out: Path) -> dict[str, str]:
    """Hash of everything the user sees in a finished folder."""
    paths = [*out.glob("shard-*.tar"), *out.glob("*.parquet"), out / "index.json", *out.glob("done/*")]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}
