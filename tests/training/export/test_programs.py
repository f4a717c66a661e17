"""The map as a program: what ONNX's runtime and torch.export's compute is what the method does, for every method."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import make_run, small_config

from manifests.errors import InputError, WorkFailed
from training.config import load_config
from training.data.beside import KINDS
from training.export import programs
from training.export.exported import CONFIG
from training.export.folder import Wanted, export
from training.export.programs import FORMS, Form, check_form, write_program
from training.methods import method_module, method_names
from training.runs import LoadedRun, load_run


def is_function(name: str) -> bool:
    """Whether a method's map is one of image and audio: one draws by their bytes, some answer by more."""
    return name != "random_map" and not method_module(name).Method.needs & KINDS


SMALL = {"avel": ("method.cells=16",)}  # maps of the tiny trunks
TINY = (
    "data.image_size=32", "data.train_list=null", "evaluation.object_prior=null",
    "encoders.image={blocks: [1, 1], width: 8, weights: none}",
    "encoders.audio={blocks: [1, 1], width: 8, input_pool: [4, 3]}",
)  # fmt: skip


@pytest.fixture(autouse=True)
def libraries() -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="the export extra is not installed")


def run_of(method: str, folder: Path, *options: str) -> LoadedRun:
    """A method with tiny trunks and small images."""
    return load_run(make_run(folder, load_config(method, (*TINY, *SMALL.get(method, ()), *options))))


@pytest.mark.slow
@pytest.mark.parametrize("method", [*filter(is_function, method_names())])
def test_every_method_becomes_a_program(method: str, tmp_path: Path) -> None:
    run = run_of(method, tmp_path / "run")
    for form in FORMS:
        facts = write_program(run, form, tmp_path)
        assert facts["greatest_difference"] < 1e-5, form
        places = (str(Path(programs.__file__).parents[2]).encode(), b"site-packages", b".py\x00")
        content = (tmp_path / facts["file"]).read_bytes()
        assert not [place for place in places if place in content]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("image", "audio", "front_end"),
    [
        ("vgg16", "vggish", "log-power-16000-512-159-v1"),
        ("efficientnet_lite0", "yamnet", "log-mel-16000-400-160-v1"),
    ],
)
def test_every_trunk_becomes_a_program(image: str, audio: str, front_end: str, tmp_path: Path) -> None:
    trunks = (
        f"encoders.image={{layout: {image}, weights: none}}",
        f"encoders.audio={{layout: {audio}, weights: none}}",
    )
    config = load_config("ezvsl", (*TINY[:3], *trunks, "data.image_size=64", "method.dimension=8"))
    run = load_run(make_run(tmp_path / "run", config, front_end=front_end))
    assert write_program(run, "onnx", tmp_path)["greatest_difference"] < 1e-5


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedRun, Path]:
    folder = tmp_path_factory.mktemp("programs")
    run = load_run(make_run(folder / "run", small_config()))
    export(run, Wanted(folder / "model", ("onnx", "torch-export")))
    return run, folder / "model"


@pytest.mark.parametrize("size", [1, 5])
def test_another_runtime_computes_the_same_map(exported: tuple[LoadedRun, Path], size: int) -> None:
    import onnxruntime

    run, folder = exported
    image, audio = torch.randn(size, 3, 32, 32), torch.randn(size, 1, 257, 300)
    with torch.no_grad():
        own = run.method(image, audio).map.numpy()
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["map"], {"image": image.numpy(), "audio": audio.numpy()})
    assert np.abs(found - own).max() < 1e-5
    program = torch.export.load(folder / "model.pt2").module()
    assert np.abs(program(image, audio).detach().numpy() - own).max() < 1e-5


def test_config_says_what_goes_in_and_how_far_it_is_off(exported: tuple[LoadedRun, Path]) -> None:
    told = json.loads((exported[1] / CONFIG).read_text())["programs"]
    assert told["onnx"]["inputs"] == {"image": ["batch", 3, 32, 32], "audio": ["batch", 1, 257, 300]}
    assert 0 <= told["onnx"]["greatest_difference"] < 1e-5
    assert told["torch-export"]["file"] == "model.pt2"


@pytest.mark.parametrize(
    ("method", "options", "why"),
    [
        ("random_map", (), "its map is no function of image and audio"),
        ("proposal", (), "it answers by proposals beside"),
        ("heartheflow", (), "it answers by flow beside"),
        ("avobject", (), "it answers by burst beside"),
        ("pixelplayer", (), "it answers by waveform beside"),
        ("pixelplayer", ("method.images=3",), "it answers by burst and waveform beside"),
        ("avel", ("method.segments=3",), "it answers by burst beside"),
        ("lcbm", ("method.frames=3",), "it answers by burst beside"),
    ],
)
def test_a_map_that_is_no_function_is_refused(method: str, options: tuple[str, ...], why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{method} cannot be exported as torch-export: {why}"):
        export(run_of(method, tmp_path / "run", *options), Wanted(tmp_path / "model", ("torch-export",)))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_program_that_computes_something_else_is_not_kept(
    exported: tuple[LoadedRun, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(program: object, path: Path) -> None:
        shutil.copy(__file__, path)

    wrong = Form("model.pt2", write, lambda path: lambda pair: np.zeros((len(pair[0]), 4, 4)))
    monkeypatch.setitem(programs.FORMS, "torch-export", wrong)
    with pytest.raises(WorkFailed, match="differs from the model by"):
        export(exported[0], Wanted(tmp_path / "model", ("torch-export",)))
    assert not list(tmp_path.iterdir())


def test_an_unknown_form_and_a_missing_library_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"'tflite' is not known; there are: onnx, torch-export"):
        check_form("tflite")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'sound-source-localization\[export\]'"):
        check_form("onnx")
