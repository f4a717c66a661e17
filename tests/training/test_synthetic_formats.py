"""The synthetic corpus in every format, evaluated end to end: scenes drawn, annotations written, shards scored."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest
from tiny_run import train_tiny

from manifests.truth import format_names, read_truth
from pipeline.shards.store import ShardStore
from pipeline.synth import lists
from pipeline.synth.formats import write_formats
from pipeline.synth.scene import draw_scene
from pipeline.synth.truth import truth_rows
from training.data.evaluation_pairs import found_pairings, read_pairs
from training.evaluate import EvaluationRequest, evaluate
from training.runs import LoadedRun

SCENES, SEED = 110, 3
# format, truth, what else is asked, the results' name
CASES = [
    ("vggss", "vggss.json", {}, "vggss.ezvsl"),
    ("extended", "vggss.json", {"negatives": "silent.csv"}, "extended_vggss.slavc_relative"),
    ("flickr", "flickr/Annotations", {}, "flickr.ezvsl"),
    ("flickr", "flickr/Annotations", {"negatives": "silent.csv"}, "extended_flickr.slavc_relative"),
    ("avsbench", "avsbench/s4_data", {"pairs": "avsbench/pairs.csv"}, "avsbench_s4.avsbench"),
    ("avsbench_s4", "avsbench/s4_box.json", {"pairs": "avsbench/pairs.csv"}, "avsbench_s4.avsbench"),
    ("avsbench", "avsbench/ms3_data", {"pairs": "avsbench/pairs.csv"}, "avsbench_ms3.avsbench"),
    ("avsbench_ms3", "avsbench/ms3_box.json", {"pairs": "avsbench/pairs.csv"}, "avsbench_ms3.avsbench"),
    ("music", "music/solotest.json", {"pairs": "music/pairs.csv"}, "music_solo.dsol"),
    ("music", "music/duettest.json", {"pairs": "music/pairs.csv", "protocols": "music_duet"}, "music_duet.music_duet"),
    ("music", "music/box", {"pairs": "music/pairs.csv", "protocols": "music_synthetic"},
     "music_synthetic.music_synthetic"),
    ("is3", "is3/synthetic_bbox.json", {"pairs": "is3/pairs.csv"}, "is3.kaist"),
    ("vpo", "is3/synthetic_bbox.json", {"pairs": "is3/pairs.csv"}, "vpo.kaist"),
    ("ave", "ave/Annotations.txt", {}, "ave.retrieval"),
    ("parquet", "table/boxes.parquet", {}, "boxes.ezvsl"),
]  # fmt: skip


def without_hash(name: str) -> str:
    """A drawn set is not the released one, so its content's hash is part of its name."""
    return re.sub("-[0-9a-f]{8}(?=[.-]|$)", "", name)


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
    clips = [lists.clip_of(rows) for rows in truth]
    (out / "vggss.json").write_text(lists.vggss_json(clips))
    silent = chain.from_iterable(lists.negatives(clips, SEED).values())
    (out / "silent.csv").write_bytes(lists.extended_csv(list(silent)).encode())
    return out, write_formats(out, truth)


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return train_tiny(tmp_path_factory.mktemp("run"), shards, data={"exclude_test": []})


@pytest.mark.parametrize(("format", "truth", "asked", "name"), CASES, ids=[f"{c[0]}-{c[3]}" for c in CASES])
def test_every_format_is_evaluated(corpus, run, shards, format, truth, asked, name) -> None:
    folder, counts = corpus
    assert all(count > 0 for count in counts.values()), counts
    files = {what: folder / asked[what] for what in ("pairs", "negatives") if what in asked}
    several = tuple(asked[what] for what in ("protocols",) if what in asked)
    references = folder / "music/references.csv" if several else None
    request = EvaluationRequest(truth=folder / truth, format=format, protocols=several, references=references, **files)
    results = evaluate(run, request)
    found = {f"{each.summary['test_set']}.{each.summary['protocol']['name']}": each.summary for each in results}
    assert all((run.folder / "evaluation" / f"{each}.json").is_file() for each in found)
    facts = {without_hash(each): summary for each, summary in found.items()}[name]
    read = read_truth(folder / truth, format, negatives=files.get("negatives"))
    held = found_pairings(ShardStore.open(shards), read, read_pairs(files["pairs"]) if "pairs" in files else None)
    scored = [pairing for pairing in held if pairing.name in set(read.test_set.keys)]
    assert facts["n_scored"] == len(scored) > 0
    assert facts["n_scored"] + len(facts["missing"]) == facts["n_expected"]
    assert facts["floors"]
    assert facts["ceiling"]
    if "negatives" in files:
        negatives = facts["negatives"]
        assert negatives["n_scored"] == len(held) - len(scored) > 0
        assert set(negatives["kinds"]) == ({"real", "unknown"} if format == "flickr" else {"real", "hard", "easy"})
        assert facts["extended"]["audio_visual"]["ap"]["textbook"] > 0
    if several:
        assert facts["scores"]["audio_visual"]["nsa"]["textbook"] is not None
        assert facts["lists"]["references"]["name"] == "references.csv"


CLASSES_OF_PIXELS = {
    "avss",
    "ade20k_sound",
    "ade20k_speech",
}  # not drawn; see test_class_frames


def test_no_format_is_left_out() -> None:
    assert {case[0] for case in CASES} == set(format_names()) - CLASSES_OF_PIXELS


def test_heard_and_unheard_are_scored_apart(corpus, run) -> None:
    folder, _ = corpus
    paths = tuple(folder / "lists" / f"{name}.txt" for name in ("heard", "unheard"))
    heard, unheard = (set(path.read_text().split()) for path in paths)
    assert heard
    assert unheard
    assert not heard & unheard
    results = evaluate(run, EvaluationRequest(truth=folder / "vggss.json", clips=paths, protocols=("ezvsl",)))
    assert [without_hash(result.summary["test_set"]) for result in results] == ["vggss-heard", "vggss-unheard"]
    for result, part in zip(results, (heard, unheard), strict=True):
        assert {*result.table["key"].to_pylist(), *result.summary["missing"]} == part


def test_masks_can_be_narrowed_by_a_list(corpus, run, tmp_path) -> None:
    folder, _ = corpus
    keys = read_truth(folder / "avsbench/s4_data", "avsbench").test_set.keys[:40]
    (tmp_path / "part.json").write_text(json.dumps(dict.fromkeys(keys, "kept")))
    clips = (tmp_path / "part.json",)
    pairs = folder / "avsbench/pairs.csv"
    (part,) = evaluate(
        run, EvaluationRequest(truth=folder / "avsbench/s4_data", format="avsbench", pairs=pairs, clips=clips)
    )
    assert (without_hash(part.summary["test_set"]), part.summary["n_expected"]) == ("avsbench_s4-part", 40)
    assert part.summary["truth_from"] == "masks"
