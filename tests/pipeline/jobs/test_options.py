"""The options of a shard folder: what is stored, what earlier versions stored, and the hash by which all compare."""

import json

import pytest

from pipeline.jobs.options import DECODERS, IngestOptions, decoder_function
from pipeline.shards.companion import Wanted

# options.json and index.json's hash as the first version wrote them
FIRST = {
    "short_side": 256, "moment": "annotated", "front_end": "log-power-11025-512-110-v1",
    "decoder": "pipeline.media_ffmpeg:decode_clip_ffmpeg", "shard_clips": 5, "schema_version": 1, "audio_rate": 0,
    "audio_seconds": 0.0, "frames": 0, "proposals": False,
}  # fmt: skip
FIRST_SHA256 = "1b1f714f62ca591d85e6b96b780c689b09ff2ecdda242a36f573756b5d6f08b9"
RICH = IngestOptions(64, 2.5, shard_clips=64, companions=Wanted(16000, 10.0, frames=2))
RICH_SHA256 = "4488b3cfa926738672e2af8eecdf345845ee3057105f508df40260fbf3d79fef"


def test_a_decoder_is_stored_by_its_name_and_the_first_spelling_is_understood() -> None:
    options = IngestOptions.from_stored(FIRST)
    assert options == IngestOptions(decoder="ffmpeg", shard_clips=5)
    assert options.stored() == FIRST | {"decoder": "ffmpeg"}
    pyav = IngestOptions.from_stored(FIRST | {"decoder": "pipeline.media:decode_clip"})
    assert pyav.stored()["decoder"] == "pyav"


def test_options_come_back_from_disk() -> None:
    assert IngestOptions.from_stored(json.loads(json.dumps(RICH.stored()))) == RICH


def test_the_hash_is_that_of_the_first_version() -> None:
    assert IngestOptions.from_stored(FIRST).sha256() == FIRST_SHA256
    assert RICH.sha256() == RICH_SHA256


@pytest.mark.parametrize("name", DECODERS)
def test_every_name_has_its_function(name: str) -> None:
    assert decoder_function(name).__name__ == DECODERS[name].partition(":")[2]


def test_another_decoder_is_given_by_module_and_function() -> None:
    assert decoder_function("json:loads") is json.loads
    with pytest.raises(ImportError):
        decoder_function("no_such_module:decode")
