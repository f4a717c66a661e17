"""Files of runs, results and arrays in which something was changed: told when read, made again where that goes."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from damage import NO_FILE
from runs_in_processes import write_small
from safetensors.torch import load_file, save_file

from index.arrays import differences
from index.embeddings import Embeddings
from index.encoders.pretrained import read_weight_file
from index.encoders.tensor_file import read_tensors, write_tensors
from index.encoders.torch_file import read_content
from index.neighbours import Neighbours
from manifests.errors import InputError
from manifests.files.given import no_file
from pipeline.shards.store import ShardStore
from training.config import load_config
from training.evaluate import EvaluationRequest, evaluate
from training.loop.metrics_log import MetricsLog
from training.loop.start import start
from training.report.comparison import comparisons
from training.report.foreign_sounds import read_controls
from training.report.results import read_run, run_titles
from training.report.saved_maps import read_maps
from training.runs import load_run
from training.status import status


@pytest.fixture(scope="module")
def evaluated(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its results."""
    folder = tmp_path_factory.mktemp("evaluated")
    store = ShardStore.open(shards)
    keys = [key for key, split in zip(store.keys, store.table["split"].to_pylist(), strict=True) if split == "test"]
    entries = [{"file": key, "class": "a", "bbox": [[0.2, 0.2, 0.6, 0.6]]} for key in keys]
    (folder / "boxes.json").write_text(json.dumps(entries))
    config = load_config(
        write_small(folder / "small.yaml", shards, epochs=1),
        (f"evaluation.truth={folder / 'boxes.json'}", "evaluation.test_set=boxes", "evaluation.protocols=[ezvsl]"),
    )
    run, _ = start(config, folder / "runs", "cpu")
    evaluate(load_run(run), EvaluationRequest())
    return run


@pytest.fixture
def run(evaluated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(evaluated, tmp_path / "small" / evaluated.name)


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def edit(path: Path) -> None:
    """Another number in a result, as somebody might wish it."""
    content = json.loads(path.read_text())
    content["scores"]["audio_visual"]["ciou50"] = 0.99
    path.write_text(json.dumps(content))


DAMAGED_RESULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an edited number": ("boxes.ezvsl.json", edit),
    "cut off": ("boxes.ezvsl.json", lambda path: path.write_bytes(path.read_bytes()[:100])),
    "empty": ("boxes.ezvsl.json", lambda path: path.write_bytes(b"")),
    "a list": ("boxes.ezvsl.json", lambda path: path.write_text("[1]")),
    "without lists": ("boxes.ezvsl.json", lambda path: path.write_text("{}")),
    "a flipped byte in the table": ("boxes.ezvsl.parquet", flip),
    "an empty table": ("boxes.ezvsl.parquet", lambda path: path.write_bytes(b"")),
    "no table": ("boxes.ezvsl.parquet", Path.unlink),
}


@pytest.mark.parametrize("damage", DAMAGED_RESULTS)
def test_evaluate_makes_damaged_results_again_and_says_so(run: Path, capsys, damage: str) -> None:
    name, change = DAMAGED_RESULTS[damage]
    before = json.loads((run / "evaluation/boxes.ezvsl.json").read_text())
    change(run / "evaluation" / name)
    (result,) = evaluate(load_run(run), EvaluationRequest())
    said = capsys.readouterr().out
    assert "boxes.ezvsl" in said
    assert "is damaged" in said
    assert "It is made again." in said
    assert result.summary["scores"] == before["scores"]
    assert json.loads((run / "evaluation/boxes.ezvsl.json").read_text())["scores"] == before["scores"]
    evaluate(load_run(run), EvaluationRequest())
    assert "damaged" not in capsys.readouterr().out


def everything_read(folder: Path) -> None:
    """What report and compare read of a run."""
    runs = [read_run(folder)]
    comparisons(runs, run_titles(runs))
    for evaluation in runs[0].every_evaluation:
        assert evaluation.rows.num_rows
        assert runs[0].maps(evaluation) is not None


@pytest.mark.parametrize("damage", DAMAGED_RESULTS)
def test_report_and_compare_say_which_result_is_damaged(run: Path, damage: str) -> None:
    name, change = DAMAGED_RESULTS[damage]
    everything_read(run)
    change(run / "evaluation" / name)
    with pytest.raises(InputError, match=r"boxes\.ezvsl\.(json|parquet) .*([Ee]valuate|expected an object)"):
        everything_read(run)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_saved_maps_with_a_flipped_byte_are_told(run: Path, place: float) -> None:
    flip(run / "evaluation/boxes.maps.npz", place)
    with pytest.raises(InputError, match=r"boxes\.maps\.npz"):
        everything_read(run)
    evaluate(load_run(run), EvaluationRequest())
    everything_read(run)


@pytest.mark.parametrize("kind", ["maps", "controls"])
def test_what_a_run_showed_is_made_again_when_it_is_gone(run: Path, capsys, kind: str) -> None:
    listen = EvaluationRequest(listen=True)
    evaluate(load_run(run), listen)
    path = run / f"evaluation/boxes.{kind}.npz"
    path.unlink()
    (absent,) = {name for one in read_run(run).every_evaluation for name in one.absent_arrays}
    assert absent == path.name
    evaluate(load_run(run), listen)
    assert f"boxes.{kind}.npz, what the run showed, is not there. They are made again." in capsys.readouterr().out
    read_maps(path)


def test_damaged_maps_under_controls_are_told_and_made_again(run: Path) -> None:
    listen = EvaluationRequest(listen=True)
    evaluate(load_run(run), listen)
    path = run / "evaluation/boxes.controls.npz"
    for content in (path.read_bytes()[:-100], b"PK\x03\x04damaged"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"boxes\.controls\.npz.*--listen again"):
            read_controls(path)
        evaluate(load_run(run), listen)
        read_controls(path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_weights_with_a_flipped_byte_are_not_believed_and_made_again(run: Path, place: float) -> None:
    """By the run itself: its last checkpoint has them."""
    flip(run / "weights.safetensors", place)
    with pytest.raises(InputError, match=r"weights\.safetensors is damaged.*delete its DONE file"):
        load_run(run)
    (run / "DONE").unlink()
    start(load_config(run / "config.yaml"), run.parents[1], "cpu")
    load_run(run)


def test_weights_of_other_shapes_are_a_sentence(run: Path) -> None:
    write_tensors(run / "weights.safetensors", {"image_trunk.conv1.weight": torch.zeros(3)})
    with pytest.raises(InputError, match="damaged, or not of this run"):
        load_run(run)


def test_weights_without_a_checksum_are_an_earlier_version_s(run: Path) -> None:
    tensors = load_file(run / "weights.safetensors")
    save_file(tensors, run / "weights.safetensors")
    load_run(run)


def test_first_weights_with_a_flipped_byte_are_not_believed(run: Path, tmp_path: Path) -> None:
    """As a run, and as an encoder of the index reads them."""
    for read in (read_weight_file, read_content):
        path = Path(shutil.copy(run / "weights.safetensors", tmp_path / "first.safetensors"))
        read(path)
        flip(path, 0.8)
        with pytest.raises(InputError, match=r"first\.safetensors is .*checksum"):
            read(path)


def test_tensors_of_every_kind_come_back(tmp_path: Path) -> None:
    tensors = {
        "half": torch.rand(3, 2).bfloat16(), "count": torch.tensor(7), "none": torch.zeros(0, 4),
        "turned": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last), "truth": torch.tensor([True]),
    }  # fmt: skip
    write_tensors(tmp_path / "x.safetensors", tensors, {"labels": "[]"})
    back, metadata = read_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert metadata == {"labels": "[]"}


@pytest.mark.parametrize("name", ["data.json", "config.yaml"])
@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe"])
def test_a_run_s_description_that_is_damaged_is_a_sentence(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_run(run)


def test_a_damaged_line_of_the_log_does_not_end_a_run(tmp_path: Path, capsys) -> None:
    lines = [json.dumps({"step": step, "loss": {"total": 1.0}}) for step in range(1, 6)]
    (tmp_path / "metrics.jsonl").write_bytes("\n".join([lines[0], lines[1][:9], *lines[2:]]).encode() + b"\n\xff\n")
    MetricsLog(tmp_path, 4, 10).close()
    assert "2 lines of" in capsys.readouterr().out
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 3, 4]


READERS: dict[str, Callable[[Path], object]] = {
    "opened": load_run,
    "evaluated": lambda run: evaluate(load_run(run), EvaluationRequest()),
    "evaluated anew": lambda run: evaluate(load_run(run), EvaluationRequest(protocols=("textbook",))),
    "told of": status,
    "reported": read_run,
    "started again": lambda run: start(load_config(run / "config.yaml"), run.parents[1], "cpu"),
}
LOOKED_FOR = {
    "config.yaml": ("opened", "told of", "reported", "started again"),
    "data.json": ("opened", "told of"),
    "weights.safetensors": ("opened", "reported"),
    "DONE": ("opened", "told of", "reported", "started again"),
    "metrics.jsonl": ("told of", "reported"),
    "training_clips.txt": ("evaluated anew",),
    "overlaps.json": ("evaluated anew",),
    "environment.json": ("reported",),
    "evaluation/boxes.ezvsl.json": ("evaluated", "reported"),
    "evaluation/boxes.ezvsl.parquet": ("reported",),
}


@pytest.mark.parametrize("kind", NO_FILE)
@pytest.mark.parametrize("name", LOOKED_FOR)
def test_what_is_no_file_is_not_said_to_be_missing(run: Path, name: str, kind: str) -> None:
    """Nor is it passed over, waited for, or written over."""
    NO_FILE[kind](run / name)
    for reader in LOOKED_FOR[name]:
        with pytest.raises(InputError, match=rf"{Path(name).name} .*({kind}|No such file)") as caught:
            READERS[reader](run)
        assert not re.search("has no |is not there|not finished|is not beside|no run", str(caught.value)), reader
    assert no_file(run / name) == kind


@pytest.mark.parametrize("kind", NO_FILE)
def test_a_checkpoint_that_is_no_file_is_not_taken_for_none(run: Path, capsys, kind: str) -> None:
    shutil.copyfile(run / "checkpoints/last.pt", run / "checkpoints/previous.pt")
    NO_FILE[kind](run / "checkpoints/last.pt")
    (run / "DONE").unlink()
    start(load_config(run / "config.yaml"), run.parents[1], "cpu")
    said = capsys.readouterr().out
    assert f"last.pt cannot be used: it is {kind}, not a file" in said
    assert "the run goes on from the checkpoint before" in said
    (run / "DONE").unlink()
    (run / "checkpoints/previous.pt").unlink()
    with pytest.raises(InputError, match=f"last.pt cannot be used: it is {kind}, not a file"):
        start(load_config(run / "config.yaml"), run.parents[1], "cpu")


@pytest.mark.parametrize("name", ["image.npy", "audio.npy", "keys.parquet", "meta.json"])
def test_arrays_with_a_flipped_byte_are_not_believed(knn: Path, store: ShardStore, tmp_path: Path, name: str) -> None:
    for kind, place in (("knn", knn), ("embeddings", knn.parent / "embeddings")):
        folder = shutil.copytree(place, tmp_path / kind)

        def opened(folder: Path = folder, kind: str = kind) -> object:
            return Embeddings.open(folder) if kind == "embeddings" else Neighbours.open(folder, store.manifest_sha256)

        opened()
        assert differences(folder, {}) == []
        if name == "meta.json":
            content = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(content | {"split": "test"}))
        else:
            flip(folder / name, 0.9)
        with pytest.raises(InputError, match=f"{name} is damaged.*again"):
            opened()
        assert differences(folder, {}) == [f"{name} is damaged"]


def test_arrays_of_an_earlier_version_open(knn: Path, store: ShardStore, tmp_path: Path) -> None:
    folder = shutil.copytree(knn, tmp_path / "knn")
    content = json.loads((folder / "meta.json").read_text())
    del content["sha256"]
    (folder / "meta.json").write_text(json.dumps(content))
    Neighbours.open(folder, store.manifest_sha256)
