"""`--burst` and `annotate --flow`: consecutive images of real clips, and how fast what they show moves."""

from pathlib import Path

import numpy as np
import pytest
from shard_maker import MadeClip, write_bursts, write_shards

from manifests.errors import InputError
from pipeline.flow import store_flow
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions
from pipeline.media.optical_flow import optical_flow
from pipeline.shards.companion import Wanted
from pipeline.shards.store import ShardStore


def textured(rng: np.random.Generator, height: int = 96, width: int = 128) -> np.ndarray:
    """uint8 (H, W, 3) with structure of 8 pixels everywhere."""
    coarse = rng.integers(0, 255, (height // 8, width // 8, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def test_flow_is_motion_in_sides_of_the_image_a_second() -> None:
    image = textured(np.random.default_rng(0))
    moved = np.roll(image, (3, -4), axis=(0, 1))  # 3 pixels down, 4 to the left
    field = optical_flow(image, moved, seconds=0.5).astype(np.float32)
    assert field.shape == (2, 24, 32)
    inner = field[:, 5:-5, 5:-5].reshape(2, -1)
    assert np.median(inner[0]) == pytest.approx(-4 / 128 / 0.5, rel=0.1)
    assert np.median(inner[1]) == pytest.approx(3 / 96 / 0.5, rel=0.1)
    assert np.abs(optical_flow(image, image, 0.5)).max() < 2e-3  # a tenth of a pixel


@pytest.fixture(scope="module")
def source(clips, clip_maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("burst-src")
    made = clips.once("burst.mp4", seconds=2.0, waveform=clip_maker.burst(2.0, 0.5))
    (folder / "one.mp4").write_bytes(made.read_bytes())
    return folder


@pytest.mark.usefixtures("here")
def test_a_burst_holds_the_images_around_the_moment(source: Path, clip_maker, tmp_path: Path) -> None:
    wanted = Wanted(burst=4, burst_rate=25.0)
    run_ingest(IngestRequest((source,), tmp_path / "shards", workers=1, options=IngestOptions(companions=wanted)))
    burst = ShardStore.open(tmp_path / "shards").companions.burst(0)
    assert burst.moment == 1
    assert burst.seconds == pytest.approx([0.96, 1.0, 1.04, 1.08], abs=1e-3)
    assert [clip_maker.number_of(image) for image in burst.images] == [24, 25, 26, 27]
    counts = store_flow(tmp_path / "shards")
    assert str(counts["clips"]).startswith("1, ")
    with pytest.raises(InputError, match=r"burst was 4, now 0"):
        run_ingest(IngestRequest((source,), tmp_path / "shards", workers=1))


def test_flow_is_stored_beside_the_shards_and_a_still_clip_does_not_move(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = textured(rng)
    clips = [MadeClip(f"clip{n:07d}_000000", image, np.zeros((257, 300), np.float16)) for n in range(2)]
    write_shards(tmp_path / "shards", clips)
    with pytest.raises(InputError, match=r"no burst companion.*--burst N"):
        store_flow(tmp_path / "shards")
    write_bursts(tmp_path / "shards", {clips[0].key: np.stack([image, np.roll(image, 2, 1)]),
                                       clips[1].key: image[None]}, rate=10.0)  # fmt: skip
    assert store_flow(tmp_path / "shards")["clips"] == "2, 1 of which do not move"
    companions = ShardStore.open(tmp_path / "shards").companions
    assert np.median(companions.flow(0)[0]) == pytest.approx(2 / 128 * 10, rel=0.1)
    assert not companions.flow(1).any()


def test_shards_without_flow_name_the_way_to_it(tmp_path: Path) -> None:
    write_shards(
        tmp_path / "shards", [MadeClip("a", textured(np.random.default_rng(0)), np.zeros((257, 300), np.float16))]
    )
    with pytest.raises(InputError, match=r"no flow companion.*annotate --flow.*--burst 2"):
        ShardStore.open(tmp_path / "shards").companions.flow(0)
