"""`training export`: a folder that opens anywhere as the run did, says what it is, names no place of this machine."""

import json
import platform
import shutil
import struct
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from made_run import make_run, small_config
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from index.encoders.tensor_file import write_tensors
from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.sound_draws import CONTROLS
from manifests.test_sets import Truth
from training.cli import app
from training.config import Encoder
from training.encoders.resnet import ImageTrunk
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.control_maps import ControlMaps
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.export.exported import CARD, CONFIG, PRIOR, WEIGHTS, open_exported
from training.model_names import is_exported
from training.predict import object_prior_of
from training.runs import load_run

HERE = "place_of_this_machine"


@pytest.fixture(scope="module")
def run(shards: Path, store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an object prior and two results, made in a folder whose name nothing may repeat."""
    here = tmp_path_factory.mktemp(HERE)
    torch.save(ImageTrunk(Encoder()).state_dict(), here / "prior.pth")
    entries = [{"file": key, "class": "c", "bbox": [[0.2, 0.2, 0.7, 0.8]]} for key in store.keys[4::5]]
    (here / "truth.json").write_text(json.dumps(entries))
    config = small_config(
        f"data.shards={shards}", f"evaluation.truth={here}/truth.json", "evaluation.test_set=mine",
        f"evaluation.object_prior={{weights: {here}/prior.pth}}", f"encoders.image.weights={here}/nothing.pth",
    )  # fmt: skip
    bare = config.encoders.image.model_copy(update={"weights": "none"})
    encoders = config.encoders.model_copy(update={"image": bare})
    folder = make_run(here / "runs" / "tiny" / "abcd-s0", config.model_copy(update={"encoders": encoders}),
                      store.manifest_sha256)  # fmt: skip
    (folder / "config.yaml").write_text(config.to_yaml())
    evaluate(load_run(folder), EvaluationRequest())
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "model"
    told("export", run, "--out", out)
    return out


def told(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.exception
    return result.output


def refused(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def head(folder: Path) -> dict:
    return yaml.safe_load((folder / CARD).read_text().split("---\n")[1])


def test_it_opens_elsewhere_as_the_run_does(run: Path, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "moved")
    with chdir(tmp_path):
        opened = open_exported("moved")
    own = load_run(run)
    image, audio = torch.randn(2, 3, 32, 32), torch.randn(2, 1, 257, 300)
    with torch.no_grad():
        assert torch.equal(opened.method(image, audio).map, own.method(image, audio).map)
    assert (opened.front_end, opened.manifest_sha256) == (own.front_end, own.manifest_sha256)
    assert not opened.method.training
    with chdir(tmp_path):
        prior, before = object_prior_of(opened.config, "cpu"), object_prior_of(own.config, "cpu")
        assert torch.equal(prior(image), before(image))


def test_nothing_in_it_names_a_place(run: Path, exported: Path) -> None:
    assert sorted(contents(exported)) == [CARD, CONFIG, WEIGHTS, PRIOR]
    for name, content in contents(exported).items():
        for place in (HERE, str(Path.home()), "/tmp", str(Path(__file__).parents[3]), platform.node()):
            assert len(place) < 4 or place.encode() not in content, (name, place)


def test_the_weights_say_what_they_are(exported: Path) -> None:
    with safe_open(exported / WEIGHTS, "pt") as file:
        told = file.metadata()
    assert json.loads(told["method"]) == "ezvsl"
    assert json.loads(told["front_end"])["name"] == "log-power-11025-512-110-v1"
    assert json.loads(told["training"]) == {"list": None, "split": "train", "clips": 3, "sha256": "1" * 64}
    assert [one["protocol"] for one in json.loads(told["evaluations"])] == ["adaptive", "ezvsl", "slavc_relative"]
    assert (exported / WEIGHTS).stat().st_mode & 0o777 == (exported / CONFIG).stat().st_mode & 0o777


def test_the_card_has_every_number_with_floor_and_ceiling(run: Path, exported: Path) -> None:
    text = (exported / CARD).read_text()
    result = json.loads((run / "evaluation" / "mine.ezvsl.json").read_text())
    for scores in (result["scores"]["audio_visual"], result["floors"]["centred_disc"], result["ceiling"]):
        assert f"| {100 * scores['ciou50']:.2f} |" in text
    assert "16 of 16 clips scored" in text
    assert "has not stated a licence" in text
    results = {one["dataset"]["args"]["protocol"]: one for one in head(exported)["model-index"][0]["results"]}
    assert set(results) == {"adaptive", "ezvsl", "slavc_relative"}
    values = {each["name"]: each["value"] for each in results["ezvsl"]["metrics"]}
    assert values["cIoU@0.5 (audio-visual, fraction)"] == pytest.approx(
        result["scores"]["audio_visual"]["ciou50"], abs=1e-6
    )


def test_the_card_says_which_numbers_are_not_known(run: Path, tmp_path: Path) -> None:
    """Under undefined=nan: nothing is true of a clip and nothing shown."""
    folder = shutil.copytree(run, tmp_path / "tiny" / "abcd-s0")
    clips = (Annotation("one", "a", ((0.5, 0.5, 0.5, 0.5),)), Annotation("two", "a", ((0.2, 0.2, 0.7, 0.8),)))
    maps = np.full((2, 7, 7), -1, np.float32)
    answers = ControlMaps(RawMaps(["one", "two"], maps), dict.fromkeys(CONTROLS, maps))
    truth = Truth("vggss", TestSet("two", clips, "two.json", "0" * 64))
    score(answers, truth, "vssl_ssltie_fixed+undefined=nan").write(folder / "evaluation")
    told("export", folder, "--out", tmp_path / "model")
    text = (tmp_path / "model" / CARD).read_text()
    assert "Audio visual has no mean cIoU, own threshold, AUC, own threshold, F_LOC, F_AUC" in text


def test_the_hub_reads_the_card(exported: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the hub extra is not installed")
    card = hub.ModelCard.load(exported / CARD)
    assert card.data.license == "unknown"
    assert card.data.library_name == "sound-source-localization"
    assert {each.dataset_name for each in card.data.eval_results} == {"mine"}
    assert {each.metric_type for each in card.data.eval_results} >= {"ciou50", "auc"}


def test_again_changes_nothing_and_another_wish_does(run: Path, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    before = contents(out)
    stamp = (out / CONFIG).stat().st_mtime_ns
    assert "already there" in told("export", run, "--out", out)
    assert (out / CONFIG).stat().st_mtime_ns == stamp
    (out / WEIGHTS).write_bytes(b"cut")
    told("export", run, "--out", out)
    assert contents(out) == before
    told("export", run, "--out", out, "--licence", "cc-by-4.0")
    assert head(out)["license"] == "cc-by-4.0"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_best_epoch_is_another_model(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    state = {name: value + 1 for name, value in load_run(run).method.state_dict().items()}
    write_tensors(copy / "weights.best.safetensors", state)
    told("export", copy, "--out", tmp_path / "model", "--weights", "best")
    opened = open_exported(tmp_path / "model")
    assert opened.weights == "best"
    assert all(torch.equal(value, state[name]) for name, value in opened.method.state_dict().items())
    assert "Nothing is known of how well it does" in (tmp_path / "model" / CARD).read_text()
    assert "weights.best.safetensors" in refused("export", run, "--out", tmp_path / "none", "--weights", "best")


def test_it_writes_over_nothing_else(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert "not written by `training export`" in refused("export", run, "--out", tmp_path / "mine")
    assert "would be overwritten" in refused("export", run, "--out", run)
    assert "would be overwritten" in refused("export", run, "--out", run.parent)
    assert "cannot be written" in refused("export", run, "--out", "/proc/model")


def test_a_licence_is_the_hub_s_word_or_a_name(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    said = told("export", run, "--out", out, "--licence", "My Lab's: no sale")
    assert (head(out)["license"], head(out)["license_name"]) == ("other", "My Lab's: no sale")
    assert "My Lab's: no sale, for which the Hub has no word" in said
    assert "My Lab's: no sale." in (out / CARD).read_text()
    told("export", run, "--out", out, "--licence", "CC-BY-4.0")
    assert head(out)["license"] == "cc-by-4.0"
    assert "license_name" not in head(out)
    for none in ("", " ", "other", "a\nb", "x" * 201):
        assert "names none" in refused("export", run, "--out", tmp_path / "none", "--licence", none)
    assert not (tmp_path / "none").exists()


def test_what_an_earlier_export_stated_stays(run: Path, tmp_path: Path) -> None:
    """The commands of docs/export.md in their order: a licence, then a program, then nothing but the folder."""
    out = tmp_path / "model"
    told("export", run, "--out", out, "--licence", "My Lab's: no sale---")
    said = told("export", run, "--out", out, "--format", "torch-export")
    assert "licence My Lab's: no sale---" in said
    before = contents(out)
    said = told("export", run, "--out", out)
    assert "already there" in said
    assert "licence My Lab's: no sale---, format torch-export" in said
    assert contents(out) == before
    told("export", run, "--out", out, "--licence", "cc-by-4.0")
    assert (head(out)["license"], (out / "model.pt2").is_file()) == ("cc-by-4.0", True)
    assert "not stated" in told("export", run, "--out", out, "--licence", "unknown")
    assert head(out)["license"] == "unknown"
    assert "has not stated a licence" in (out / CARD).read_text()
    (out / CARD).write_text("---\nlicense: [a]\n---\n")
    assert "Say --licence" in refused("export", run, "--out", out)


def test_weights_are_not_replaced_by_default(run: Path, tmp_path: Path) -> None:
    out, copy = tmp_path / "model", Path(shutil.copytree(run, tmp_path / "run"))
    shutil.copy(copy / "weights.safetensors", copy / "weights.best.safetensors")
    told("export", copy, "--out", out, "--weights", "best")
    before = contents(out)
    said = refused("export", copy, "--out", out, "--licence", "mit")
    assert "--weights best to go on with them, or --weights last" in said
    assert contents(out) == before
    told("export", copy, "--out", out, "--weights", "last")
    assert open_exported(out).weights == "last"


def test_another_run_s_export_is_not_written_over(run: Path, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    before = contents(out)

    def another(of: str, *pairs: tuple[str, str]) -> Path:
        copy = Path(shutil.copytree(run, tmp_path / "runs" / of))
        text = (copy / "config.yaml").read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (copy / "config.yaml").write_text(text)
        weights = copy / "weights.safetensors"
        save_file(load_file(weights), weights)  # which do not say of which run they are
        shutil.rmtree(copy / "evaluation")
        return copy

    for folder in (
        another("seed", ("seed: 0", "seed: 1")),
        another("name", ("name: ezvsl\nmethod", "name: other\nmethod")),
    ):
        assert "was exported from another run" in refused("export", folder, "--out", out)
    assert contents(out) == before
    document = json.loads((out / CONFIG).read_text())
    for section in ("colours", "colour_jitter"):  # an earlier program had fewer settings: then as their defaults
        del document["run"]["data"][section]
    (out / CONFIG).write_text(json.dumps(document))
    jittered = another("jitter", ("colour_jitter: 0.0", "colour_jitter: 0.3"))
    assert "was exported from another run" in refused("export", jittered, "--out", out)
    scored = another("scored", ("test_set: mine", "test_set: yours"))
    assert "exported" in told("export", scored, "--out", out)
    assert contents(out) != before


def test_a_prior_that_cannot_be_had_is_left_out_and_said(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "object_prior.pth").unlink()
    said = told("export", copy, "--out", tmp_path / "model")
    assert f"without {PRIOR}" in said
    assert str(tmp_path) not in (tmp_path / "model" / CONFIG).read_text()
    assert open_exported(tmp_path / "model").config.evaluation.object_prior is None


def test_damage_is_said(exported: Path, tmp_path: Path) -> None:
    def damaged(name: str, content: bytes) -> str:
        folder = tmp_path / f"{name}-{len(content)}"
        shutil.copytree(exported, folder)
        (folder / name).write_bytes(content)
        with pytest.raises(InputError) as error:
            open_exported(folder)
        return str(error.value)

    config, weights = (exported / CONFIG).read_bytes(), (exported / WEIGHTS).read_bytes()
    assert "damaged" in damaged(CONFIG, config.replace(b'"ezvsl"', b'"fnac"'))
    assert "damaged" in damaged(CONFIG, config[:-9])
    assert "damaged" in damaged(WEIGHTS, weights[:-4])
    assert "damaged" in damaged(WEIGHTS, struct.pack("<Q", 2**60) + weights[8:])
    assert "damaged" in damaged(PRIOR, b"\x80\x04K\x01.")
    later = json.loads(config) | {"version": 2}
    del later["sha256"]
    assert "version 2" in damaged(CONFIG, json.dumps(later).encode())
    bare = {name: value for name, value in json.loads(config).items() if name not in ("sha256", "weights")}
    assert "damaged" in damaged(CONFIG, json.dumps(bare).encode())


def test_a_folder_runs_no_code_that_it_names(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(exported, tmp_path / "model")
    document = json.loads((tmp_path / "model" / CONFIG).read_text())
    document["run"]["method"]["name"] = "evil.method"
    del document["sha256"]
    (tmp_path / "model" / CONFIG).write_text(json.dumps(document))
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "method.py").write_text(
        "from training.methods.ezvsl import Config, Method\nopen('ran', 'w')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"say `--method evil\.method`"):
        open_exported("model")
    assert not (tmp_path / "ran").exists()
    import evil.method  # noqa: F401

    assert open_exported("model").config.method.name == "evil.method"


def test_what_is_no_model_is_told_apart(run: Path, exported: Path, tmp_path: Path) -> None:
    assert is_exported(exported)
    assert not is_exported(run)
    assert not is_exported(tmp_path)
    with pytest.raises(InputError, match="not of an exported model"):
        open_exported(tmp_path)
