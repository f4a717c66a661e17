"""What only some methods need, kept beside the shards: the waveform with its context, more images, consecutive images,
box proposals, and what is made of shards that are there: boxes and masks of a corpus (`pipeline.annotate`), optical
flow (`pipeline.flow`), proposals of another program (`pipeline.given_proposals`).

Each kind goes to tars of its own, in the order of the shards (`context-000000.tar` beside `shard-000000.tar`), and to a
manifest of its own (`context.parquet`, a row per member with its place). `pipeline.media.companion_members` makes the
members, `pipeline.jobs.shard_job` writes them, `companion_store` reads them; a shard's own bytes are the same with and
without.
"""

from dataclasses import dataclass

import pyarrow as pa

CONTEXT, FRAMES, PROPOSALS, BURST, TRUTH, FLOW = "context", "frames", "proposals", "burst", "truth", "flow"
MADE_BY = {  # the last two are only made of shards that are there, so they are no part of `Wanted`
    CONTEXT: "ingest the videos again with `--audio context` into a new folder",
    FRAMES: "ingest the videos again with `--frames N` into a new folder",
    PROPOSALS: "ingest the videos again with `--proposals` into a new folder, or give boxes of your own with "
    "`pipeline annotate --proposals FILE`",
    BURST: "ingest the videos again with `--burst N --burst-rate RATE` into a new folder",
    TRUTH: "add it with `pipeline annotate`",
    FLOW: "add it with `pipeline annotate --flow` to shards that were ingested with `--burst 2`",
}
AFTERWARDS = (TRUTH, FLOW)
WAVEFORM, WAVEFORM_FACTS = "context.flac", "context.json"
FRAME_FACTS, BOXES = "frames.json", "proposals.npy"
BURST_FACTS, FLOW_FIELD = "burst.json", "flow.npy"
TRUTH_FACTS, TRUTH_MASK = "truth.json", "truth.png"

COMPANION_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.string()),  # companion tar inside the shard folder
        ("member", pa.string()),  # name of the member without its key, such as context.flac
        ("offset", pa.int64()),
        ("size", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Wanted:
    """Which companions are made. Waveform: Hz, and at most so many seconds around the moment (rate 0: none); images
    spread over the clip (0: none); whether box proposals are searched for in the stored image; images around the moment
    (0: none), so many a second."""

    audio_rate: int = 0
    audio_seconds: float = 0.0
    frames: int = 0
    proposals: bool = False
    burst: int = 0
    burst_rate: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The companions that are made, in fixed order."""
        chosen = {CONTEXT: self.audio_rate > 0, FRAMES: self.frames > 0, PROPOSALS: self.proposals}
        chosen[BURST] = self.burst > 0
        return tuple(kind for kind, made in chosen.items() if made)


NOTHING = Wanted()


def kind_of(member: str) -> str | None:
    """The companion a member belongs to; None for the members of the shard itself."""
    kind = member.partition(".")[0]
    return kind if kind in MADE_BY else None


def companion_name(kind: str, shard: int, generation: str = "") -> str:
    """File name of the companion of a shard. Two generations take turns where one is made beside an earlier one."""
    return f"{kind}-{shard:06d}{generation}.tar"


def companion_manifest(kind: str) -> str:
    """File name of a companion's manifest."""
    return f"{kind}.parquet"
