"""The `pipeline` command as a user meets it: words, exit codes, real clips."""

import gzip
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import Commands, Ended
from places import METADATA, VIDEOS
from shard_maker import write_shards

from manifests.errors import InputError
from pipeline.inspection import inspect_shards
from pipeline.jobs.options import parse_moment
from pipeline.shards.store import ShardStore

REAL = VIDEOS / "vggsound_real"
LABELS = METADATA / "vggsound" / "vggsound_rebuilt_82781.csv.gz"


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: None) -> Callable[..., Ended]:
    """Runs a command in this process, in a folder."""
    return partial(Commands(monkeypatch, capsys), "pipeline")


@pytest.fixture(scope="module")
def real_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The genuine VGGSound clips, ingested into the default folder."""
    if not REAL.exists() or not LABELS.exists():
        pytest.skip("the genuine VGGSound clips are not beside the repository")
    folder = tmp_path_factory.mktemp("real")
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "ingest", "--workers", "1"]
    command += ["--src", str(REAL), "--meta", str(LABELS)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert "records  5\n" in result.stdout
    assert "clips/s" in result.stdout
    assert "5/5 clips" in result.stderr
    return folder / "shards"


@pytest.fixture(scope="module")
def their_labels(real_shards: Path) -> Path:
    """The rows of the list that name them."""
    path = real_shards.parent / "labels.csv"
    keys = ShardStore.open(real_shards).table["source_id"].to_pylist()
    with gzip.open(LABELS, "rt") as rows:
        path.write_text("".join(row for row in rows if row.startswith(tuple(keys))))
    return path


def test_the_five_genuine_clips_under_their_canonical_keys(real_shards: Path) -> None:
    store = ShardStore.open(real_shards)
    assert dict(zip(store.keys, store.table["label"].to_pylist(), strict=True)) == {
        "-0pJqpNjft4_000267": "cow lowing",
        "3qesirWAGt4_000020": "dog barking",
        "M1pPtg6a_g8_000230": "playing piano",
        "ZYc410CE4Rg_000000": None,
        "aEYwqY-Zt_k_000011": "donkey, ass braying",
    }
    for row in range(5):
        facts = store.facts(row)
        assert facts["moment"] == 5.0
        assert 4.9 < facts["frame_pts"] <= 5.0
        assert store.spectrogram(row).shape == (257, 300)
        assert min(store.frame(row).shape[:2]) == 256
        assert store.frame(row).std() > 10
    assert pq.read_metadata(real_shards / "rejects.parquet").num_rows == 0


def test_inspect_shows_a_folder_without_a_clip(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    inspect_shards(write_shards(tmp_path / "shards", [], []))
    assert "seconds" in capsys.readouterr().out


def test_inspect_before_and_after(
    real_shards: Path, their_labels: Path, pipeline: Callable[..., Ended], tmp_path: Path
) -> None:
    before = pipeline("inspect", REAL, "--meta", their_labels, cwd=tmp_path)
    assert before.returncode == 0, before.stderr
    assert "3qesirWAGt4_20000_30000.mp4 -> 3qesirWAGt4_000020" in before.stdout
    assert "no list names 1, such as ZYc410CE4Rg_0_10000.mp4" in before.stdout
    after = pipeline("inspect", real_shards, cwd=tmp_path)
    assert after.returncode == 0, after.stderr
    for fact in ("log-power-11025-512-110-v1", "donkey, ass braying 1", "test 4", "(257, 300)"):
        assert fact in after.stdout


def test_a_second_run_says_so_and_other_options_are_refused(
    real_shards: Path, their_labels: Path, pipeline: Callable[..., Ended], tmp_path: Path
) -> None:
    again = pipeline("ingest", "--src", REAL, "--meta", their_labels, "--out", real_shards, cwd=tmp_path)
    assert (again.returncode, "already finished" in again.stdout) == (0, True)
    other = pipeline("ingest", "--src", REAL, "--out", real_shards, "--short-side", 128, cwd=tmp_path)
    assert other.returncode == 2
    assert "short_side was 256, now 128" in other.stderr


def test_bad_input_is_a_paragraph_and_exit_code_2(tmp_path: Path, pipeline: Callable[..., Ended]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no video")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("not a video either")
    (tmp_path / "stat.csv").write_text("ambulance siren,1050,vehicle\n")
    cases = {
        ("--src", tmp_path / "gone"): "does not exist",
        ("--src", tmp_path / "empty"): "is empty",
        ("--src", ""): "A path is empty",
        ("--src", tmp_path / "texts"): "only: 1 .txt",
        ("--src", tmp_path / "videos", "--meta", tmp_path / "stat.csv"): "its first column may be no clip",
        ("--src", tmp_path / "videos", "--moment", "noon"): "neither annotated nor centre",
        ("--src", tmp_path / "videos", "--decoder", "vlc"): "pyav, ffmpeg",
        ("--src", tmp_path / "videos", "--out", "/proc/nowhere"): "cannot be written",
        ("--src", tmp_path / "videos", "--audio-rate", "48000"): "--audio-rate says how --audio is done",
        ("--src", tmp_path / "videos", "--burst-rate", "3"): "--burst-rate says how --burst is done",
    }
    for arguments, words in cases.items():
        result = pipeline("ingest", *arguments, cwd=tmp_path)
        assert result.returncode == 2, (arguments, result.stderr)
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_nothing_usable_is_exit_code_1(tmp_path: Path, pipeline: Callable[..., Ended]) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("not a video")
    result = pipeline("ingest", "--src", "videos", "--out", "out", cwd=tmp_path)
    assert result.returncode == 1
    assert "None of the 1 inputs became a record" in result.stderr
    assert "unreadable" in result.stdout
    unfinished = pipeline("inspect", "out", cwd=tmp_path)
    assert "unfinished shard folder" in unfinished.stdout


def test_too_many_rejects_are_exit_code_1_until_allowed(tmp_path: Path, clips, pipeline: Callable[..., Ended]) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copyfile(clips.once("rejects.mp4", seconds=1.0), tmp_path / "videos" / "good.mp4")
    (tmp_path / "videos" / "bad.mp4").write_text("not a video")
    command = ["ingest", "--src", "videos", "--out", "out", "--workers", 1, "--max-reject-fraction"]
    refused = pipeline(*command, 0.4, cwd=tmp_path)
    assert refused.returncode == 1
    assert "1 of 2 inputs were rejected, more than --max-reject-fraction 0.4 allows" in refused.stderr
    assert "rejects.parquet names every file" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "no decoder opens the file" in refused.stdout
    allowed = pipeline(*command, 0.5, cwd=tmp_path)
    assert (allowed.returncode, len(ShardStore.open(tmp_path / "out"))) == (0, 1), allowed.stderr


def test_moments() -> None:
    assert [parse_moment(text) for text in ("annotated", "centre", "2.5", "0")] == ["annotated", "centre", 2.5, 0.0]
    for text in ("-1", "inf", "nan", "middle"):
        with pytest.raises(InputError, match="--moment"):
            parse_moment(text)


@pytest.mark.parametrize("command", [[], ["ingest"], ["inspect"], ["synth"]])
def test_help_is_quick_and_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        f"sys.argv = ['pipeline', *{command!r}, '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('LOADED', [name for name in ('numpy', 'pyarrow', 'distributed', 'av', 'torch') if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "LOADED []" in shown
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 2  # of a processor, whoever else wants it; 0.2 s is usual
