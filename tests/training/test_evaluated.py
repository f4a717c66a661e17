"""What results in a run's folder stand for: these weights, this set, and maps of their own beside them."""

import json
from pathlib import Path

import pytest
from scored_files import maps_in
from tiny_run import train_tiny

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.printing import table
from training.report.results import read_run
from training.run_folders.identity import carried
from training.runs import LoadedRun, load_run, write_weights
from training.score_file import score_file

ELSEWHERE = "elsewhere00_000001"  # of no video of the set


@pytest.fixture
def run(shards: Path, tmp_path: Path) -> LoadedRun:
    return train_tiny(tmp_path, shards)


@pytest.fixture
def keys(store: ShardStore) -> list[str]:
    columns = zip(store.keys, store.table["split"].to_pylist(), strict=True)
    return [key for key, split in columns if split == "test"]


@pytest.fixture
def boxes(keys: list[str], tmp_path: Path) -> Path:
    entries = [{"file": key, "class": "c", "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key in keys]
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    return tmp_path / "boxes.json"


def test_results_of_other_weights_are_made_again(run: LoadedRun, boxes: Path) -> None:
    request = EvaluationRequest(truth=boxes, protocols=("textbook",))
    (first,) = evaluate(run, request)
    for parameter in run.method.parameters():
        parameter.data.mul_(-1)
    write_weights(run.weights_file, run.method, carried(run.config, {}))  # as a run that was trained again leaves them
    with pytest.raises(InputError, match="was scored with other weights"):
        read_run(run.folder)
    (again,) = evaluate(load_run(run.folder), request)
    assert again.summary["lists"]["weights"] != first.summary["lists"]["weights"]
    assert read_run(run.folder).every_evaluation[0].facts["scores"] == again.summary["scores"]


def test_a_set_whose_name_begins_like_another_s_is_another(run: LoadedRun, boxes: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(boxes.read_text())[:5]))
    mine = EvaluationRequest(truth=boxes, test_set="mine", protocols=("textbook",))
    for request in (mine, EvaluationRequest(truth=other, test_set="mine.v2", protocols=("textbook",)), mine):
        evaluate(run, request)
    names = sorted(path.name for path in (run.folder / "evaluation").glob("*.json"))
    assert names == ["mine.textbook.json", "mine.v2.textbook.json"]


def test_parts_of_one_name_keep_their_own_maps(run: LoadedRun, boxes: Path, keys: list[str], tmp_path: Path) -> None:
    lists = tmp_path / "heard" / "test.txt", tmp_path / "unheard" / "test.txt"
    for path, part in zip(lists, (keys[:5], keys[5:]), strict=True):
        path.parent.mkdir()
        path.write_text("\n".join(part))
    results = evaluate(run, EvaluationRequest(truth=boxes, clips=lists, protocols=("textbook", "ezvsl")))
    assert [one.summary["n_scored"] for one in results] == [5, 5, len(keys) - 5, len(keys) - 5]
    for one in read_run(run.folder).every_evaluation:
        assert len(maps_in(one.arrays("maps")).names) == one.facts["n_scored"]


def test_a_result_without_silent_pairs_has_maps_beside_one_with_them(
    run: LoadedRun, boxes: Path, keys: list[str], tmp_path: Path
) -> None:
    silent = tmp_path / "silent.csv"
    silent.write_text(f"video,audio,label\n{keys[0]},{keys[1]},non-sounding\n")
    request = EvaluationRequest(truth=boxes, negatives=silent, protocols=("retrieval", "slavc_relative"))
    evaluate(run, request)
    assert [one.absent_arrays for one in read_run(run.folder).every_evaluation] == [[], []]


def test_a_part_has_the_silent_pairs_of_its_images(
    run: LoadedRun, boxes: Path, keys: list[str], tmp_path: Path
) -> None:
    """Whose kinds the classes of the whole set say. `training score` reads the same."""
    listed, others, silent = (tmp_path / name for name in ("some.txt", "others.txt", "silent.csv"))
    listed.write_text("\n".join(keys[:5]))
    others.write_text("\n".join(keys[5:]))
    silent.write_text(f"video,audio,label\n{keys[0]},{keys[9]},non-sounding\n{ELSEWHERE},{ELSEWHERE},non-sounding\n")
    given = {"truth": boxes, "negatives": silent, "protocols": ("slavc_relative",)}
    (result,) = evaluate(run, EvaluationRequest(**given, clips=(listed,)))
    counts = {"n_expected": 1, "n_scored": 1, "missing": [], "kinds": {"hard": 1}, "left_out": {"real": 1}}
    assert result.summary["negatives"] == counts
    (maps,) = (run.folder / "evaluation").glob("extended_*some*.maps.npz")
    more = {"clips": listed, "negatives": silent}
    found = score_file(maps, boxes, "vggss", "slavc_relative", tmp_path / "scored.json", **more)
    assert (found["negatives"], found["extended"]) == (counts, result.summary["extended"])
    assert "1 negative pair left out, of no video of the list: 1 real" in table(found)
    with pytest.raises(InputError, match=r"silent\.csv holds no pair whose image is in .* Leave --negatives out"):
        evaluate(run, EvaluationRequest(**given, clips=(others,)))


def test_on_screen_or_off_is_asked_of_the_pairs_of_a_part_alone(
    run: LoadedRun, boxes: Path, keys: list[str], tmp_path: Path
) -> None:
    """A real pair of a clip that a list leaves out was off screen in every part."""
    (tmp_path / "some.txt").write_text("\n".join(keys[:5]))
    pairs = [(keys[0], keys[9]), (keys[9], keys[9])]
    (tmp_path / "silent.csv").write_text(
        "\n".join(["video,audio,label", *(f"{one},{two},non-sounding" for one, two in pairs)])
    )
    given = {"truth": boxes, "negatives": tmp_path / "silent.csv", "protocols": ("onscreen",)}
    (whole,), (part,) = (
        evaluate(run, EvaluationRequest(**given, **more)) for more in ({}, {"clips": (tmp_path / "some.txt",)})
    )
    assert (whole.summary["n_mismatched"], part.summary["n_mismatched"]) == (2, 1)
    assert part.summary["negatives"]["left_out"] == {"real": 1}
