"""Weights in files as people have them: beside other things, wrapped, cut short, or no weights at all."""

import argparse
import datetime
import gzip
import pickle
import re
import tarfile
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from index.encoders import open_encoder
from index.encoders.efficientnet_lite import Classifier
from index.encoders.pretrained import read_weight_file
from index.encoders.torch_file import NumpyType, read_content
from index.encoders.weight_file import Layout, read_renamed, read_tensors
from index.encoders.yamnet import Yamnet
from manifests.errors import InputError


class Settings(dict):
    """A command line in a dict of one's own kind, as EasyDict and its like."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)


def settings() -> Settings:
    made = Settings(lr=0.1, layers=[1, 2])
    made.frozen = True
    return made


def tensors() -> dict[str, torch.Tensor]:
    return {"conv.weight": torch.arange(18.0).reshape(2, 1, 3, 3), "conv.bias": torch.tensor([0.5, -0.5])}


def equal(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


STRANGERS = {
    "command line": (argparse.Namespace(lr=1e-4), "argparse.Namespace"),
    "path": ({"out": [Path("runs")]}, "pathlib.PosixPath"),
    "dict of its own kind": (settings(), "test_torch_file.Settings"),
    "defaultdict": (defaultdict(list, seen=[1]), "collections.defaultdict"),
    "time": (datetime.datetime(2021, 3, 4), "datetime.datetime"),
    "array": (np.arange(3), "numpy"),
    "module": (Net(), "test_torch_file.Net"),
    "class": (Net, "test_torch_file.Net"),
}


WITH_SOURCE = {"module", "class"}  # torch's old form keeps their source code beside them and is refused
FORMS = [(kind, legacy) for legacy in (False, True) for kind in STRANGERS if not (legacy and kind in WITH_SOURCE)]


@pytest.mark.parametrize(("kind", "legacy"), FORMS)
def test_tensors_beside_objects_of_unknown_types_are_read_and_the_entry_is_named(
    kind: str, legacy: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, name = STRANGERS[kind]
    content = {"epoch": 3, "args": other, "model": tensors()}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    assert equal(read_tensors(tmp_path / "a.pth", "model"), tensors())
    said = capsys.readouterr().out
    assert "args (" in said
    assert name in said
    assert "epoch" not in said


ARRAYS = {
    "numbers": [np.arange(3, dtype=kind) for kind in ("int32", "uint8", ">i4", "float16", "complex64")],
    "texts": np.array(["a", "bb"]),
    "objects": np.array([1, "a", None, {"k": [1]}], dtype=object),
    "records": np.zeros(2, [("a", "i4"), ("b", "f8", (2,))]),
    "masked": np.ma.masked_array([1, 2], [0, 1]),
    "times": np.array(["2021-03-04"], "M8[s]"),
    "state": np.random.get_state(),
    "generator": np.random.default_rng(0),
}
SCALARS = {
    "states": np.random.default_rng(0).bit_generator.state,
    "numbers": [np.dtype(kind).type(1) for kind in "bBhHiIlLqQefdgFD?"],
    "others": [np.str_("x"), np.bytes_(b"x"), np.datetime64("2021-03-04"), np.zeros(1, [("a", "i4"), ("b", "f8")])[0]],
    "types": [np.dtype("int32"), np.dtype([("a", "i4")])],
}


@pytest.mark.parametrize("legacy", [False, True])
def test_what_numpy_leaves_beside_tensors_does_no_harm(
    legacy: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arrays are named, as they may be the weights of something; of numbers nothing need be said."""
    for name, other in ARRAYS.items():
        torch.save({"rng": other, "model": tensors()}, tmp_path / "a", _use_new_zipfile_serialization=not legacy)
        assert equal(read_tensors(tmp_path / "a", "model"), tensors()), name
        assert "rng (numpy." in capsys.readouterr().out, name
    for name, other in SCALARS.items():
        torch.save({"best": other, "model": tensors()}, tmp_path / "a", _use_new_zipfile_serialization=not legacy)
        assert equal(read_tensors(tmp_path / "a", "model"), tensors()), name
        assert capsys.readouterr().out == "", name


def test_nothing_of_numpy_s_is_made_of_what_a_file_says(tmp_path: Path) -> None:
    """Not even types and numbers, whose parts may be anything."""
    trap = Trap(tmp_path / "sprung")
    torch.save({"types": [np.dtype("O"), np.array([trap], object)], "trap": trap, **tensors()}, tmp_path / "a.pth")
    assert equal(read_tensors(tmp_path / "a.pth"), tensors())
    assert not (tmp_path / "sprung").exists()
    assert isinstance(read_content(tmp_path / "a.pth").value["types"][0], NumpyType)


def test_many_kinds_of_objects_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({kind: other for kind, (other, _) in STRANGERS.items()} | tensors(), tmp_path / "a.pth")
    assert equal(read_tensors(tmp_path / "a.pth"), tensors())
    said = capsys.readouterr().out
    assert all(f"{kind} (" in said for kind in STRANGERS)


PREFIXES = ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module.module."]


@pytest.mark.parametrize("inside", ["model", "state_dict", None])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_wrappers_prefixes_and_the_entrys_name_do_not_matter(prefix: str, inside: str | None, tmp_path: Path) -> None:
    state = OrderedDict((prefix + name, value) for name, value in tensors().items())
    torch.save({inside: state, "epoch": 1, "loss": torch.tensor(0.1)} if inside else state, tmp_path / "a.pth")
    assert equal(read_tensors(tmp_path / "a.pth", "model"), tensors())


def test_a_wrapped_part_of_a_model(tmp_path: Path) -> None:
    torch.save({f"imgnet._orig_mod.{name}": value for name, value in tensors().items()}, tmp_path / "a.pth")
    assert set(read_tensors(tmp_path / "a.pth")) == {"imgnet.conv.weight", "imgnet.conv.bias"}


HOLDERS = ["model.", "net.", "encoder.", "model.module.", "a.b.c."]


@pytest.mark.parametrize("prefix", HOLDERS)
def test_what_held_the_model_is_no_part_of_its_names(prefix: str, tmp_path: Path) -> None:
    layout = Layout("a net", "", None, (("conv.", "first."),), (r"fc\.",))
    wanted = {f"first.{name.removeprefix('conv.')}": value for name, value in tensors().items()}
    state = {prefix + name: value for name, value in (tensors() | {"fc.bias": torch.zeros(2)}).items()}
    for content in ({"state_dict": state, "epoch": 1}, {"checkpoint": {"model": state, "step": 3}, "epoch": 1}):
        torch.save(content, tmp_path / "a.pth")
        assert equal(read_renamed(tmp_path / "a.pth", layout), wanted)
    others = [f"{prefix}other.weight", f"{prefix}other.bias"], ["weight"], [f"{prefix}conv.weight", "loss.weight"]
    for names in others:
        torch.save(dict.fromkeys(names, torch.zeros(2)), tmp_path / "a.pth")
        with pytest.raises(InputError, match=re.escape(names[0].replace("module.", ""))):  # as the file names it
            read_renamed(tmp_path / "a.pth", layout)


@pytest.mark.parametrize("prefix", [*HOLDERS, "backbone.", "module.model.", "features."])
@pytest.mark.parametrize("first", ["conv1", "features.0", "convs.0"])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_trunk_under_its_authors_names_is_read_out_of_what_held_it(
    prefix: str, first: str, save: Callable[..., None], tmp_path: Path
) -> None:
    state = {f"{first}.weight": torch.ones(2), "layer1.0.weight": torch.zeros(2), "fc.bias": torch.zeros(1)}
    path = tmp_path / ("a.pth" if save is torch.save else "a.safetensors")
    save({prefix + name: value for name, value in state.items()}, path)
    assert equal(read_weight_file(path)[0], state)
    layout = Layout("a net", "", None, (("", ""),), (r"fc\.",))
    assert set(read_renamed(path, layout)) == set(state) - {"fc.bias"}
    save({prefix + name: value for name, value in state.items()} | {"loss.weight": torch.ones(1)}, path)
    assert f"{first}.weight" not in read_weight_file(path)[0]  # it was no holder of all


HELD: dict[str, tuple[Callable[[], nn.Module], Callable[[Path], object]]] = {
    "resnet18": (resnet18, lambda path: open_encoder("image", "resnet18", path, "cpu")),
    "efficientnet_lite0": (Classifier, lambda path: open_encoder("image", "efficientnet_lite0", path, "cpu")),
    "yamnet": (Yamnet, lambda path: open_encoder("audio", "yamnet", path, "cpu")),
}


@pytest.mark.parametrize("name", HELD)
def test_encoders_are_read_out_of_what_held_them(name: str, tmp_path: Path) -> None:
    build, opened = HELD[name]
    state = {f"model.backbone.{name}": value for name, value in build().state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pth")
    assert opened(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn], ids=str)
def test_weights_of_another_kind_of_number_are_refused_by_name(kind: torch.dtype, tmp_path: Path) -> None:
    layout = Layout("a net", "", None, (("", ""),))
    count = {"conv.num_batches_tracked": torch.tensor(3)}
    torch.save(tensors() | count | {"conv.bias": torch.ones(2).to(kind)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=rf"1 of its 3 tensors are no real .* \(conv\.bias: {str(kind)[6:]}\)"):
        read_renamed(tmp_path / "a.pth", layout)
    for good in (torch.float16, torch.bfloat16, torch.float64):
        torch.save(tensors() | count | {"conv.bias": torch.ones(2).to(good)}, tmp_path / "a.pth")
        assert len(read_renamed(tmp_path / "a.pth", layout)) == 3


def test_safetensors_under_another_name(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "a.pth")
    assert equal(read_tensors(tmp_path / "a.pth"), tensors())


def test_what_is_ambiguous_or_no_tensor_is_refused_by_name(tmp_path: Path) -> None:
    def refusal(content: object) -> str:
        torch.save(content, tmp_path / "a.pth")
        with pytest.raises(InputError) as refused:
            read_tensors(tmp_path / "a.pth", "model", "Name it.")
        assert "ownload" not in str(refused.value)
        assert "\x1b" not in str(refused.value)
        return str(refused.value)

    assert "conv.bias is a pathlib.PosixPath" in refusal({"model": tensors() | {"module.conv.bias": Path("x")}})
    assert "conv.bias is a numpy" in refusal(tensors() | {"conv.bias": np.zeros(2)})
    assert "conv.bias is a Tensor" in refusal(tensors() | {"conv.bias": torch.zeros(2, device="meta")})
    assert "more than once, under student, teacher" in refusal({"student": tensors(), "teacher": tensors()})
    assert "twice" in refusal(tensors() | {"module.conv.bias": torch.zeros(2)})
    assert "test_torch_file.Net)" in refusal(Net())
    assert "test_torch_file.Net, epoch: int" in refusal({"net": Net(), "epoch": 3})
    assert "holds nothing" in refusal({})
    assert "\x07" not in refusal({"\x1b[1mbold\x07": 1})


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_tensors_that_are_not_finite_are_named_as_the_file_names_them(value: float, tmp_path: Path) -> None:
    state = tensors()
    state["conv.bias"][1] = value
    torch.save({f"module.{name}": one for name, one in state.items()}, tmp_path / "a.pth")
    layout = Layout("a net", "", None, (("conv.", "first."),), ())
    with pytest.raises(InputError, match=r"whole, but 1 of its 2 tensors hold NaN or infinite values \(conv\.bias\)"):
        read_renamed(tmp_path / "a.pth", layout)
    unused = Layout("a net", "", None, (("conv.", "first."),), (r"conv\.bias",))
    assert set(read_renamed(tmp_path / "a.pth", unused)) == {"first.weight"}


class Trap:
    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple:
        return eval, (f"open({str(self.made)!r}, 'w')",)


class Command:
    def __reduce__(self) -> tuple:
        import os

        return os.system, ("true",)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"args": Trap(tmp_path / "sprung"), "model": tensors()}, tmp_path / "a.pth")
    assert equal(read_tensors(tmp_path / "a.pth", "model"), tensors())
    assert not (tmp_path / "sprung").exists()
    torch.save({"args": Command(), "model": tensors()}, tmp_path / "b.pth")
    with pytest.raises(InputError, match=r"is refused: it wants to run posix\.system"):
        read_tensors(tmp_path / "b.pth", "model")


def unreadable(tmp_path: Path) -> dict[str, tuple[bytes, str]]:
    """Name -> content, what must be said of it."""
    whole = {}
    for name, new in (("zip", True), ("legacy", False)):
        torch.save(
            {"model": {"conv.weight": torch.rand(300, 300)}}, tmp_path / name, _use_new_zipfile_serialization=new
        )
        whole[name] = (tmp_path / name).read_bytes()
    save_file({"conv.weight": torch.rand(300, 300)}, tmp_path / "safe")
    torch.jit.script(Net().conv).save(tmp_path / "script")
    with zipfile.ZipFile(tmp_path / "others", "w") as archive:
        archive.writestr("model/best.pth", whole["zip"])
    np.savez(tmp_path / "arrays.npz", **{"conv.weight": np.zeros((2, 3))})
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(tmp_path / "zip", "best.pth")
    return {
        "empty": (b"", "is empty. Download it again"),
        "page": (b"<!DOCTYPE html><html>quota exceeded</html>", "is a web page"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        "zip cut": (whole["zip"][:-2000], "cut short or damaged. Download it again"),
        "zip begun": (whole["zip"][:700], "cut short or damaged. Download it again"),
        "legacy cut": (whole["legacy"][:-2000], "cut short or damaged. Download it again"),
        "legacy begun": (whole["legacy"][:100], "cut short or damaged. Download it again"),
        "safetensors cut": ((tmp_path / "safe").read_bytes()[:-2000], "cut short or damaged. Download it again"),
        "script": ((tmp_path / "script").read_bytes(), "is a TorchScript program"),
        "archive": ((tmp_path / "others").read_bytes(), "is an archive of other files"),
        "numpy": ((tmp_path / "arrays.npz").read_bytes(), "is numpy's archive. Save its arrays as tensors"),
        "tar": ((tmp_path / "tar").read_bytes(), "is a packed archive"),
        "gz": (gzip.compress(whole["zip"]), "is a packed archive"),
        "protocol 4": (
            pickle.dumps(tensors(), protocol=4),
            "is a pickle that torch did not write, so loading it",
        ),
        "zeros": (bytes(4000), "cut short or damaged. Download it again"),
        "text": (b"just some words\n" * 40, "is not a file of plain torch tensors"),
    }


def test_what_is_no_file_of_weights_is_named_for_what_it_is(tmp_path: Path) -> None:
    for name, (content, said) in unreadable(tmp_path).items():
        path = tmp_path / "given.pth"
        path.write_bytes(content)
        with pytest.raises(InputError) as refused:
            read_tensors(path)
        assert said in str(refused.value), name
        assert "\x1b" not in str(refused.value), name
        assert "weights_only" not in str(refused.value), name
        assert "again" in said or "again" not in str(refused.value) or name in ("page", "pointer"), name
