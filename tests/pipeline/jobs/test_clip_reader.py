"""Bytes of clips that lie elsewhere and are too large to hold."""

from pathlib import Path

import pytest

from pipeline.jobs import clip_reader
from pipeline.jobs.clip_reader import ClipReader
from pipeline.jobs.decoder_messages import ClipToDecode
from pipeline.storage.remote import RemotePath


def test_both_files_of_a_large_pair_are_there_until_the_next_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_reader, "HELD_IN_MEMORY", 3)
    monkeypatch.setattr(RemotePath, "download", lambda path, file: Path(file).write_text(path.name))
    reader = ClipReader()
    pair = reader.read(ClipToDecode("s3://bucket/a.png", 4, "centre", audio="s3://bucket/a.wav"))
    assert isinstance(pair.media, Path)
    assert isinstance(pair.audio, Path)
    assert (pair.media.read_text(), pair.audio.read_text()) == ("a.png", "a.wav")
    reader.read(ClipToDecode("s3://bucket/b.mp4", 4, "centre"))
    assert not pair.media.exists()
    assert not pair.audio.exists()
