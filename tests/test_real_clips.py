"""Genuine VGGSound clips, end to end: five records under their canonical keys, two of them scored on VGG-SS."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from attacked_desk import run
from ingest_here import ingest_here
from places import METADATA, VIDEOS

CLIPS, VGGSS = VIDEOS / "vggsound_real", METADATA / "vggss/vggss.json"
KEYS = ["-0pJqpNjft4_000267", "3qesirWAGt4_000020", "M1pPtg6a_g8_000230", "ZYc410CE4Rg_000000", "aEYwqY-Zt_k_000011"]
ANNOTATED = {"3qesirWAGt4_000020", "aEYwqY-Zt_k_000011"}
CONFIG = """
name: real
method: {name: ezvsl, temperature: 0.1, dimension: 16}
data: {shards: shards, image_size: 64}
encoders:
  image: {blocks: [1, 1, 1], width: 8, weights: none}
  audio: {blocks: [1, 1], width: 8, input_pool: [4, 3]}
optim: {epochs: 2, batch_size: 4, learning_rate: 1.0e-3}
"""

pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no genuine VGGSound clips at {CLIPS}")


def command(name: str, *arguments: object, cwd: Path) -> str:
    ended = run(name, *arguments, at=cwd)
    assert ended.code == 0, ended
    return ended.out


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    with ingest_here():
        command("pipeline", "ingest", "--src", CLIPS, "--out", "shards", "--workers", 1, cwd=folder)
    (folder / "real.yaml").write_text(CONFIG)
    command("training", "run", "real.yaml", cwd=folder)
    return folder


def test_five_records_under_their_canonical_keys(work: Path) -> None:
    table = pq.read_table(work / "shards/manifest.parquet")
    assert sorted(table["key"].to_pylist()) == sorted(KEYS)
    assert all(moment == pytest.approx(5.0, abs=0.05) for moment in table["moment"].to_pylist())
    assert set(table["height"].to_pylist()) == {256}
    assert pq.read_table(work / "shards/rejects.parquet").num_rows == 0


def test_the_two_annotated_clips_are_scored_on_vggss(work: Path) -> None:
    printed = command("training", "evaluate", "runs/real", "--truth", VGGSS, "--test-set", "vggss", cwd=work)
    assert "2 of 5158 clips scored" in printed
    folder = next((work / "runs/real").glob("*/evaluation"))
    facts = json.loads((folder / "vggss.ezvsl.json").read_text())
    assert (facts["n_scored"], facts["n_expected"], len(facts["missing"])) == (2, 5158, 5156)
    rows = pq.read_table(folder / "vggss.ezvsl.parquet").to_pylist()
    assert {row["key"] for row in rows} == ANNOTATED
    assert all(0 <= row["iou"] <= 1 for row in rows)


def test_a_heat_map_over_a_real_clip(work: Path) -> None:
    clip = CLIPS / "M1pPtg6a_g8_000230.mp4"
    command("training", "localize", "runs/real", clip, "--out", "overlay.mp4", "--maps-per-second", 1, cwd=work)
    facts = json.loads((work / "overlay.json").read_text())
    assert len(facts["moments"]) >= 10
    for moment in facts["moments"]:
        assert 0 <= moment["x"] <= 1
        assert 0 <= moment["y"] <= 1
        assert -1 <= moment["confidence"] <= 1
    assert (work / "overlay.mp4").stat().st_size > 10_000
