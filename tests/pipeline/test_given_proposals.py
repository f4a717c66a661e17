"""`annotate --proposals`: boxes of any program take the place of those that ingest makes."""

import json
from pathlib import Path

import numpy as np
import pytest
from shard_maker import MadeClip, write_shards
from typer.testing import CliRunner

from manifests.annotations import Annotation, make_test_set
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.readers.annotation_table import write_table
from pipeline.cli import app
from pipeline.given_proposals import store_proposals
from pipeline.media.proposals import MOST_PROPOSALS
from pipeline.shards.companion import PROPOSALS, companion_manifest
from pipeline.shards.store import ShardStore

KEYS = ("aaaaaaaaaaa_000010", "bbbbbbbbbbb_000020", "ccccccccccc_000030")
BOXES = [[0.5, 0.5, 0.9, 1.0], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.5, 0.5]]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    frame, spectrogram = np.zeros((8, 8, 3), np.uint8), np.zeros((257, 300), np.float16)
    return write_shards(tmp_path / "shards", [MadeClip(key, frame, spectrogram) for key in KEYS], [2, 1])


def written(path: Path, boxes: dict[str, list[list[float]]]) -> Path:
    path.write_text(json.dumps([{"file": key, "class": "any", "bbox": own} for key, own in boxes.items()]))
    return path


def test_boxes_are_read_back_in_their_order_and_clips_without_any_are_named(shards: Path, tmp_path: Path) -> None:
    source = written(tmp_path / "boxes.json", {KEYS[0]: BOXES, KEYS[2]: BOXES[:1], "notthere000_000001": BOXES})
    counts = store_proposals(shards, source, "vggss")
    companions = ShardStore.open(shards).companions
    found = [companions.proposals(row) for row in range(3)]
    assert np.allclose(found[0], BOXES)
    assert [len(boxes) for boxes in found] == [3, 0, 1]
    assert found[1].shape == (0, 4)
    assert counts["clips"] == "2 of 3 have boxes"
    assert counts["without"] == f"1: {KEYS[1]}"
    assert counts["missing"] == "not in the shards: 1: notthere000_000001"


def test_a_table_of_one_s_own_is_a_form_too_and_the_later_boxes_count(shards: Path, tmp_path: Path) -> None:
    store_proposals(shards, written(tmp_path / "boxes.json", {KEYS[0]: BOXES}), "vggss")
    boxes = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in BOXES[:2])
    content = read_content(tmp_path / "boxes.json")
    write_table(make_test_set("edges", [Annotation(KEYS[1], None, boxes)], content), tmp_path / "boxes.parquet")
    line = ["annotate", "--proposals", str(tmp_path / "boxes.parquet"), "--format", "parquet", "--shards", str(shards)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    companions = ShardStore.open(shards).companions
    assert [len(companions.proposals(row)) for row in range(3)] == [0, 2, 0]


def test_what_lies_outside_or_beyond_the_most_is_counted(shards: Path, tmp_path: Path) -> None:
    many = [[0.1, 0.1, 0.1 + 0.8 * (number + 1) / 3000, 0.9] for number in range(MOST_PROPOSALS + 7)]
    boxes = {KEYS[0]: [[1.2, 0.1, 1.5, 0.4], [0.5, 0.5, 1.5, 0.75]], KEYS[1]: many}
    counts = store_proposals(shards, written(tmp_path / "boxes.json", boxes), "vggss")
    companions = ShardStore.open(shards).companions
    assert companions.proposals(0).tolist() == [[0.5, 0.5, 1.0, 0.75]]
    assert len(companions.proposals(1)) == MOST_PROPOSALS
    assert f"{MOST_PROPOSALS + 1:,} stored, 8 left out (" in str(counts["boxes"])


def test_pixels_and_boxes_of_which_none_is_left_are_refused(shards: Path, tmp_path: Path) -> None:
    for boxes, complaint in (
        ({KEYS[0]: [[0, 0, 100, 80]], KEYS[1]: BOXES}, r"1 of 4 lie .*\[0\.0, 0\.0, 100\.0, 80\.0\] of aaa"),
        ({KEYS[0]: [[-1.5, 0, 1, 1]], KEYS[1]: BOXES}, r"1 of its 4 boxes .*\[-1\.5, .* of the clip aaa"),
        ({KEYS[0]: [[1.2, 0.1, 1.5, 0.4]]}, "1 boxes of 1 clips .* none of them has an area within"),
        ({KEYS[0]: []}, "0 boxes of 1 clips"),
    ):
        with pytest.raises(InputError, match=complaint):
            store_proposals(shards, written(tmp_path / "boxes.json", boxes), "vggss")
        assert not (shards / companion_manifest(PROPOSALS)).exists()


def test_boxes_of_other_clips_and_shards_that_have_their_own_are_refused(shards: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other.json", {"notthere000_000001": BOXES})
    with pytest.raises(InputError, match=r"none of the 1 clips that .* has boxes of is in"):
        store_proposals(shards, other, "vggss")
    assert not (shards / companion_manifest(PROPOSALS)).exists()
    index = json.loads((shards / "index.json").read_text())
    (shards / "index.json").write_text(json.dumps(index | {"companions": [PROPOSALS]}))
    with pytest.raises(InputError, match="was ingested with --proposals"):
        store_proposals(shards, written(tmp_path / "own.json", {KEYS[0]: BOXES}), "vggss")


def test_shards_without_boxes_name_both_ways_to_them(shards: Path) -> None:
    with pytest.raises(InputError, match=r"no proposals companion.*--proposals.*annotate --proposals FILE"):
        ShardStore.open(shards).companions.proposals(0)
