"""Of every command: an option of one value is given once; of a name near a known one, that is said."""

import pytest
from commands import Commands

from index.device import device_number
from index.encoders import open_encoder
from manifests.catalogue import resolve
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.truth import find_format
from pipeline.media.front_ends import find_front_end
from training.config import load_config
from training.evaluation.protocols import find_protocol
from training.import_checkpoint import import_checkpoint
from training.methods import method_module
from training.settings.files import once_each

TWICE = [
    ("pipeline ingest --src a --out b --out c", "--out"),
    ("pipeline ingest --src a --moment 1 --out b --moment=2", "--moment"),
    ("pipeline annotate --truth a --truth b", "--truth"),
    ("pipeline splits a --out b --out b", "--out"),
    ("pipeline synth --clips 3 --clips 4", "--clips"),
    ("index embed --device cpu --device cpu", "--device"),
    ("index build-knn --k 10 --k 100", "--k"),
    ("training run ezvsl --device cpu --device auto", "--device"),
    ("training evaluate x --truth a --truth b", "--truth"),
    ("training score --maps a --truth b --truth c", "--truth"),
    ("training localize x y --view squash --view squash", "--view"),
    ("training report x --out a --out b", "--out"),
]


@pytest.mark.parametrize(("line", "option"), TWICE)
def test_an_option_of_one_value_is_given_once(line: str, option: str, tmp_path, monkeypatch, capsys) -> None:
    package, *arguments = line.split()
    ended = Commands(monkeypatch, capsys)(package, *arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"bad input: {option} is given 2 times, and takes one value. Give it once.\n"


def test_options_of_several_values_are_repeatable(tmp_path, monkeypatch, capsys) -> None:
    line = ["splits", "x", "--test", "a", "--test", "b", "--shards", "c", "--shards", "d", "--lists", "e"]
    ended = Commands(monkeypatch, capsys)("pipeline", *line, cwd=tmp_path)
    assert "given 2 times" not in ended.stderr


@pytest.mark.parametrize("given", [("seed=1", "seed=1"), ("optim.lr=1", "a=2", "optim.lr=2"), ("data.k=1", "data={}")])
def test_no_override_undoes_another(given: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="of which only the last would count"):
        once_each(given)
    assert once_each(("data={}", "data.k=1", "data.kk=2")) == ("data={}", "data.k=1", "data.kk=2")


NEAR = [
    ("ezvsl", lambda: find_protocol("EZ-VSL")),
    ("ezvsl", lambda: find_protocol("ezvls")),
    ("slavc_relative", lambda: find_protocol("slavk")),
    ("exact", lambda: find_protocol("ezvsl+exakt")),
    ("vggss", lambda: find_format("VGG-SS")),
    ("avsbench_s4", lambda: find_format("avsbench-s4")),
    ("hardpos", lambda: method_module("HardPos")),
    ("ezvsl_semantic.yaml", lambda: load_config("ez_vsl_semantic")),
    ("vggss_144k", lambda: resolve("VGGSS_144K", ())),
    ("descriptor", lambda: open_encoder("image", "descripter", None, "cpu")),
    ("log-power-11025-512-110-v1", lambda: find_front_end("log_power_11025_512_110_v1")),
    ("sslalignment", lambda: import_checkpoint("ssl-alignment", None, None)),
    ("optim", lambda: load_config("ezvsl", ("optm.epochs=1",))),
    ("epochs", lambda: load_config("ezvsl", ("optim.epoch=1",))),
    ("cosine", lambda: load_config("ezvsl", ("optim.schedule=cosin",))),
    ("temperature", lambda: load_config("ezvsl", ("method.temprature=1",))),
]


@pytest.mark.parametrize(("meant", "ask"), NEAR, ids=[f"{meant}-{place}" for place, (meant, _) in enumerate(NEAR)])
def test_a_name_near_a_known_one_is_said(meant: str, ask) -> None:
    with pytest.raises(InputError, match=rf"Did you mean {meant}\?"):
        ask()


def test_what_is_near_to_nothing_has_no_suggestion() -> None:
    assert did_you_mean("qqq", ["ezvsl", "slavc"]) == ""
    with pytest.raises(InputError, match="no device"):
        device_number("cuda:007")
