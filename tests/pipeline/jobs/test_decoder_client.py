"""The wall around the decoder, and the journal: who dies, who is blamed, who is not asked again."""

import signal
from pathlib import Path

import pytest
from places import PYTHONPATH

from pipeline.jobs.attempt_log import Journal, end_attempts, forget, read_verdicts
from pipeline.jobs.decoder_client import Decoder, DecoderDied
from pipeline.jobs.decoder_messages import ClipToDecode
from pipeline.jobs.options import IngestOptions
from pipeline.shards.record import Rejected


def test_one_child_serves_many_clips_and_a_verdict_does_not_cost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DECODER_LOG", str(tmp_path / "log.txt"))
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    (source := tmp_path / "src").mkdir()
    decoder = Decoder(IngestOptions(decoder="fake_decoders:decode"))

    def ask(content: str) -> str:
        """The process that decoded, in the words of a clip that is asked for it."""
        (source / "clip.mp4").write_text(content)
        with pytest.raises(Rejected) as caught:
            decoder.decode(ClipToDecode(str(source / "clip.mp4"), 1, "centre"), timeout=20.0)
        return caught.value.message

    first = ask("process")
    ask("no_audio")
    assert ask("process") == first
    assert ask("segv") == "the decoder was killed by SIGSEGV"
    assert ask("process") != first
    decoder.close()


def test_the_journal_keeps_verdicts_and_blames_only_repeated_deaths(tmp_path: Path) -> None:
    for attempt in range(3):
        journal = Journal(tmp_path, 4)
        if attempt == 0:
            journal.started("bad")
            journal.rejected("bad", Rejected("timeout", "too slow"))
        assert read_verdicts(tmp_path, 4).keys() == {"bad"}, f"attempt {attempt}: twice may be chance"
        journal.started("fine")
        journal.started("in flight")
        journal.close()
    with open(next(tmp_path.glob("000004.*")), "a") as handle:
        handle.write('{"key": "half a li')  # killed while writing
    verdicts = read_verdicts(tmp_path, 4)
    assert {key: verdict.reason for key, verdict in verdicts.items()} == {
        "bad": "timeout",
        "in flight": "decoder_crash",
    }
    assert read_verdicts(tmp_path, 5) == {}
    end_attempts(tmp_path)
    assert read_verdicts(tmp_path, 4).keys() == {"bad"}, "the run ended three times, not a worker of it"
    forget(tmp_path, 4)
    assert list(tmp_path.iterdir()) == []


def test_signals_have_names() -> None:
    assert "SIGBUS" in str(DecoderDied(-signal.SIGBUS, "ignored: it may hold addresses"))
