"""What is kept beside the shards: waveforms, images over time, proposals, made from real clips and read back."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from ingest_here import ingest_here

from manifests.errors import InputError
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions, checked_audio
from pipeline.media.proposals import selective_search
from pipeline.shards.codecs import decode_flac, encode_flac
from pipeline.shards.companion import Wanted, kind_of
from pipeline.shards.store import ShardStore

RATE = 16000


@pytest.fixture(scope="module")
def source(clips, clip_maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 6 s with a click at 4.0 s, one of 2 s, and one that is none."""
    folder = tmp_path_factory.mktemp("companion-src")
    for name, seconds, at in (("long", 6.0, 4.0), ("short", 2.0, 0.5)):
        made = clips.once(f"companion-{name}.mp4", seconds=seconds, waveform=clip_maker.burst(seconds, at))
        (folder / f"{name}.mp4").write_bytes(made.read_bytes())
    (folder / "none.mp4").write_bytes(b"no clip")
    return folder


@pytest.fixture(scope="module")
def folders(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Shards without companions, and with all but proposals."""
    out = tmp_path_factory.mktemp("companion-out")
    wanted = Wanted(audio_rate=RATE, audio_seconds=4.0, frames=3)
    with ingest_here():
        run_ingest(IngestRequest((source,), out / "plain", workers=1))
    run_ingest(IngestRequest((source,), out / "rich", workers=1, options=IngestOptions(companions=wanted)))
    return out / "plain", out / "rich"


def test_the_waveform_around_the_moment(folders: tuple[Path, Path]) -> None:
    store = ShardStore.open(folders[1])
    audio = store.companions.waveform(store.row_of("long"))
    assert (audio.rate, audio.start) == (RATE, pytest.approx(1.0, abs=0.03))  # 4 s around the centre, 3.0 s
    assert len(audio.samples) == pytest.approx(4 * RATE, abs=RATE * 0.03)
    click = np.flatnonzero(np.abs(audio.samples) > 0.2)[0] / RATE + audio.start
    assert click == pytest.approx(4.0, abs=0.02)
    short = store.companions.waveform(store.row_of("short"))
    assert len(short.samples) <= 2.1 * RATE  # what the recording has: neither padded nor repeated


def test_images_over_time(folders: tuple[Path, Path], clip_maker) -> None:
    store = ShardStore.open(folders[1])
    shown = store.companions.frames(store.row_of("long"))
    assert [seconds for seconds, _ in shown] == pytest.approx([1.0, 3.0, 5.0], abs=0.05)
    assert [clip_maker.number_of(image) for _, image in shown] == [25, 75, 125]


def test_the_shards_themselves_are_the_same_bytes(folders: tuple[Path, Path]) -> None:
    plain, rich = folders
    for name in ("shard-000000.tar", "manifest.parquet", "rejects.parquet"):
        assert (plain / name).read_bytes() == (rich / name).read_bytes()
    assert sorted(path.name for path in rich.glob("*.tar")) == [
        "context-000000.tar",
        "frames-000000.tar",
        "shard-000000.tar",
    ]


@pytest.mark.usefixtures("here")
def test_same_input_same_companions(folders: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
    wanted = Wanted(audio_rate=RATE, audio_seconds=4.0, frames=3)
    run_ingest(IngestRequest((source,), tmp_path / "again", workers=1, options=IngestOptions(companions=wanted)))
    for name in ("context-000000.tar", "frames-000000.tar", "context.parquet", "frames.parquet"):
        digests = {hashlib.sha256((folder / name).read_bytes()).digest() for folder in (folders[1], tmp_path / "again")}
        assert len(digests) == 1, name


def test_absent_companions_name_their_flag(folders: tuple[Path, Path]) -> None:
    beside = ShardStore.open(folders[0]).companions
    for read, flag in (
        (beside.waveform, "--audio context"),
        (beside.frames, "--frames N"),
        (beside.proposals, "--prop"),
    ):
        with pytest.raises(InputError, match=flag):
            read(0)


def test_a_truncated_companion_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folders[1], tmp_path / "copy")
    (copy / "context-000000.tar").write_bytes((copy / "context-000000.tar").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"context-000000\.tar is not the tar that context\.parquet .* found 2,000"):
        ShardStore.open(copy).companions.waveform(1)


def test_other_companions_are_other_options(folders: tuple[Path, Path], source: Path) -> None:
    with pytest.raises(InputError, match="frames was 3, now 2"):
        run_ingest(
            IngestRequest(
                (source,), folders[1], workers=1, options=IngestOptions(companions=Wanted(RATE, 4.0, frames=2))
            )
        )


@pytest.mark.parametrize("count", [0, 1, 4000, 48000])
def test_flac_keeps_sixteen_bits(count: int) -> None:
    samples = np.random.default_rng(count).uniform(-1.2, 1.2, count).astype(np.float32)
    content = encode_flac(samples, RATE)
    assert content == encode_flac(samples, RATE)
    np.testing.assert_allclose(decode_flac(content), np.clip(samples, -1, 1), atol=1 / 32767)


def test_which_members_are_whose() -> None:
    names = ["frame.jpg", "json", "spec.npy", "frames.000.jpg", "frames.json", "context.flac", "proposals.npy"]
    assert [kind_of(name) for name in names] == [None, None, None, "frames", "frames", "context", "proposals"]


def test_the_audio_option() -> None:
    assert (checked_audio(None, 16000, 10.0), checked_audio("context", 16000, 10.0)) == ((0, 0.0), (16000, 10.0))
    with pytest.raises(InputError, match="--audio 'all'"):
        checked_audio("all", 16000, 10.0)


# --- proposals -------------------------------------------------------------------------------------------------------


def image() -> np.ndarray:
    """A bright square on a dark, grainy ground."""
    image = np.random.default_rng(0).integers(0, 30, (96, 128, 3), dtype=np.uint8)
    image[24:72, 32:80] += 200
    return image


def test_proposals_find_the_object_and_do_not_depend_on_what_came_before() -> None:
    pytest.importorskip("cv2.ximgproc", reason="the proposals extra is not installed")
    boxes = selective_search(image())
    assert boxes.dtype == np.float32
    assert boxes.shape[1] == 4
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    truth = np.array([32 / 128, 24 / 96, 80 / 128, 72 / 96])
    assert np.abs(boxes - truth).max(axis=1).min() < 0.05
    selective_search(np.zeros((40, 60, 3), np.uint8))
    np.testing.assert_array_equal(boxes, selective_search(image()))


@pytest.mark.usefixtures("here")
def test_proposals_from_end_to_end(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2.ximgproc", reason="the proposals extra is not installed")
    options = IngestOptions(companions=Wanted(proposals=True), short_side=64)
    run_ingest(IngestRequest((source,), tmp_path / "out", options, workers=1))
    store = ShardStore.open(tmp_path / "out")
    assert all(store.companions.proposals(row).shape[1] == 4 for row in range(len(store)))


def test_without_the_library_the_extra_is_named(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cv2.ximgproc", None)
    with pytest.raises(InputError, match=r"\[proposals\]"):
        run_ingest(IngestRequest((source,), tmp_path / "out", IngestOptions(companions=Wanted(proposals=True))))
    assert not (tmp_path / "out").exists()
