"""The synthetic corpus in every format, evaluated end to end: scenes drawn, annotations written, shards scored."""

import json
from pathlib import Path

import pytest

from manifests.formats import read_truth
from pipeline.store import ShardStore
from pipeline.synth.formats import write_formats
from pipeline.synth.scene import draw_scene
from pipeline.synth.truth import truth_rows
from training.config import load_config
from training.evaluate import Request, evaluate
from training.pairings import found_pairings, read_pairs
from training.run import start
from training.runs import load_run

SCENES, SEED = 160, 3
CONFIG = """
name: tiny
method: {{name: ezvsl, temperature: 0.1, dimension: 16}}
data: {{shards: {shards}, image_size: 32, exclude_test: []}}
encoders: {{image: {{blocks: [1, 1], weights: none}}, audio: {{blocks: [1, 1], input_pool: [4, 3]}}}}
optim: {{epochs: 1, batch_size: 16}}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> tuple[Path, dict[str, int]]:
    """The formats of drawn scenes, whose keys are those of the made-up shards: the media do not matter here."""
    keys = ShardStore.open(shards).keys
    truth = []
    for number in range(SCENES):
        rows = truth_rows(draw_scene(SEED, number))
        key = keys[number] if number < len(keys) else rows[0]["key"]
        truth.append([row | {"key": key, "split": "test"} for row in rows])
    out = tmp_path_factory.mktemp("formats")
    return out, write_formats(out, truth)


@pytest.mark.parametrize(
    ("format", "truth", "pairs", "name"),
    [
        ("flickr", "flickr/Annotations", None, "flickr.ezvsl"),
        ("avsbench", "avsbench/s4_data", "avsbench/pairs.csv", "avsbench_s4.avsbench"),
        ("avsbench", "avsbench/s4_box.json", "avsbench/pairs.csv", "avsbench_s4.avsbench"),
        ("music", "music/solotest.json", "music/pairs.csv", "music_solo.dsol"),
        ("is3", "is3/synthetic_bbox.json", "is3/pairs.csv", "is3.adaptive"),
    ],
)
def test_every_format_is_evaluated(corpus, shards, tmp_path, format, truth, pairs, name) -> None:
    folder, counts = corpus
    assert all(count > 0 for count in counts.values()), counts
    (tmp_path / "tiny.yaml").write_text(CONFIG.format(shards=shards))
    run = load_run(start(load_config(tmp_path / "tiny.yaml"), tmp_path / "runs", "cpu")[0])
    evaluate(run, Request(truth=folder / truth, format=format, pairs=folder / pairs if pairs else None))
    facts = json.loads((run.folder / "evaluation" / f"{name}.json").read_text())
    held = found_pairings(
        ShardStore.open(shards), read_truth(folder / truth, format), read_pairs(folder / pairs) if pairs else None
    )
    assert facts["n_scored"] == len(held) > 0
    assert facts["n_scored"] + len(facts["missing"]) == facts["n_expected"]


def test_heard_and_unheard_share_no_class(corpus) -> None:
    folder, _ = corpus
    parts = [set((folder / "lists" / f"{name}.txt").read_text().split()) for name in ("heard", "unheard")]
    assert parts[0]
    assert parts[1]
    assert not parts[0] & parts[1]
