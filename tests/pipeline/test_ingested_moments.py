"""`pipeline ingest --moments`: several clips of one video, from end to end."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from numbered_clips import number_of

from manifests.errors import InputError
from manifests.splits import read_ids
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.shards.store import ShardStore

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def source(clips, tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    video = clips.plain("moments.mp4")
    for name in ("AbCdEfGh_-1_0_1000", "AbCdEfGh_-2", "other"):
        shutil.copy(video, folder / f"{name}.mp4")
    (folder / "MUSIC_solo_videos.json").write_text('{"videos": {"flute": ["AbCdEfGh_-1", "AbCdEfGh_-2"]}}')
    return folder


def made(source: Path, rows: str) -> ShardStore:
    path = source.parent / "moments.csv"
    path.write_text(f"ytid,start\n{rows}")
    run_ingest(IngestRequest((source,), source.parent / "out", workers=1, moments=path))
    return ShardStore.open(source.parent / "out")


def test_a_clip_for_each_second_of_a_video(source: Path, capsys) -> None:
    store = made(source, "AbCdEfGh_-1,1\nAbCdEfGh_-1,2\nAbCdEfGh_-2,1\nAbCdEfGh_-2,99\nAbCdEfGh_-3,1\n")
    assert store.keys == ["AbCdEfGh_-1_000001", "AbCdEfGh_-1_000002", "AbCdEfGh_-2_000001", "other"]
    said = capsys.readouterr().out
    assert (
        "4 of 2 videos; 1 that it does not name stay one clip each; 1 it lists are absent, such as AbCdEfGh_-3" in said
    )
    facts = store.facts(1)
    assert (facts["moment"], facts["source_id"], facts["label"]) == (2.0, "AbCdEfGh_-1", "flute")
    shown = [number_of(store.frame(row)) for row in (0, 1)]
    assert shown[1] > shown[0]
    (reject,) = pq.read_table(source.parent / "out" / "rejects.parquet").to_pylist()
    assert (reject["reason"], "no second 99" in reject["message"]) == ("too_short", True)
    (source.parent / "train.txt").write_text("AbCdEfGh_-1_0_1000.flac AbCdEfGh_-1_0_1000.mp4\n")
    assert read_ids(source.parent / "train.txt").known_as(store.keys).ids == tuple(store.keys[:2])


def test_more_moments_become_further_shards(source: Path, capsys) -> None:
    made(source, "AbCdEfGh_-1,1\n")
    before = (source.parent / "out" / "shard-000000.tar").read_bytes()
    assert "AbCdEfGh_-1_000002" in made(source, "AbCdEfGh_-1,1\nAbCdEfGh_-1,2\n").keys
    assert (source.parent / "out" / "shard-000000.tar").read_bytes() == before
    made(source, "AbCdEfGh_-1,1\nAbCdEfGh_-1,2\n")
    assert "already finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("AbCdEfGh_-9,1\n", "names no video of the sources"),
        ("other,1\n", "is no YouTube id with a second.*eleven letters, digits, _ or -.*rename others"),
        ("", "names no clip"),
    ],
)
def test_a_list_of_no_moments_is_refused(source: Path, rows: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(source, rows)
