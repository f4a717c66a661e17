"""Ingest without the processes that take seconds to start, for tests that ask what it makes and not which process does.

The cluster, the decoding child, and what becomes of clips that take either down are tested in tests/pipeline/jobs,
test_ingest.py and test_failing_decoders.py.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from functools import cache
from typing import TypeVar

import pytest

from pipeline.jobs.decoder_client import Decoder
from pipeline.jobs.decoder_messages import ClipToDecode, DecodedMembers
from pipeline.jobs.decoder_process import RecordMaker
from pipeline.jobs.options import IngestOptions

Result = TypeVar("Result")


class HereDecoder:
    """Makes records in this process, as `pipeline.jobs.decoder_client.Decoder` has its child do."""

    def __init__(self, options: IngestOptions) -> None:
        self._maker = RecordMaker(options)

    def decode(self, clip: ClipToDecode, timeout: float) -> DecodedMembers:
        return self._maker.make(clip)


@contextmanager
def ingest_here() -> Iterator[None]:
    """Inside it, shards are made and clips decoded in this process."""
    with _without_cluster(lambda options: nullcontext(HereDecoder(options))):
        yield


@contextmanager
def no_cluster() -> Iterator[None]:
    """Inside it, shards are made in this process, clips decoded by a child of it, which ends with each ingest."""
    with _without_cluster(lambda options: closing(Decoder(options))):
        yield


@contextmanager
def _without_cluster(decoder: Callable[[IngestOptions], AbstractContextManager[object]]) -> Iterator[None]:
    @contextmanager
    def worker(*_: object) -> Iterator[None]:
        """What a cluster has for as long as an ingest works: one worker, with a decoder for all its shards."""
        with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
            shared = cache(lambda options: held.enter_context(decoder(options)))
            patch.setattr("pipeline.jobs.shard_job.shared_decoder", shared)
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.ingest.connected", worker)
        patch.setattr("pipeline.ingest.threads", lambda _: 1)
        patch.setattr("pipeline.ingest.heard_by", lambda _, shown: shown.heard)
        patch.setattr("pipeline.ingest.run_all", _one_after_the_other)
        yield


def _one_after_the_other(_: None, work: Callable[..., Result], jobs: Iterable[tuple[object, ...]]) -> Iterator[Result]:
    return (work(*job) for job in jobs)
