"""Released checkpoints: an independently written forward of the authors' tensors gives the imported run's map."""

import argparse
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from training.import_checkpoint import RELEASES, import_checkpoint
from training.runs import load_run

WIDTHS, DIMENSION = (64, 128, 256, 512), 24
OF_STRIDE_16 = {"lvs", "sslalignment", "ssltie"}
ONE_FILE = [kind for kind in RELEASES if not RELEASES[kind].parts]


def trunk(prefix: str, stride16: bool, random: torch.Generator) -> dict[str, Tensor]:
    """A ResNet-18's tensors by torchvision name, with batch norm statistics that matter."""
    state: dict[str, Tensor] = {}

    def conv(name: str, out: int, channels: int, size: int) -> None:
        state[f"{prefix}{name}.weight"] = torch.randn(out, channels, size, size, generator=random) / (
            size * channels**0.5
        )

    def norm(name: str, channels: int) -> None:
        for part, low in (("weight", 0.5), ("bias", -0.2), ("running_mean", -0.2), ("running_var", 0.5)):
            state[f"{prefix}{name}.{part}"] = low + torch.rand(channels, generator=random)
        state[f"{prefix}{name}.num_batches_tracked"] = torch.tensor(7)

    firsts = {"conv1": 3, "conv1_a": 1, "conv1_flow": 6} if stride16 else {"conv1": 1 if "aud" in prefix else 3}
    for name, channels in firsts.items():
        conv(name, 64, channels, 7)
    norm("bn1", 64)
    before = 64
    for stage, width in enumerate(WIDTHS, start=1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", width, before if block == 0 else width, 3)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn1", width)
            norm(f"{name}.bn2", width)
        if before != width:
            conv(f"layer{stage}.0.downsample.0", width, before, 1)
            norm(f"layer{stage}.0.downsample.1", width)
        before = width
    if stride16:
        state |= {f"{prefix}fc.weight": torch.zeros(10, 512), f"{prefix}fc.bias": torch.zeros(10)}
    return state


def released(kind: str) -> dict[str, Tensor]:
    """A checkpoint's tensors as the authors name them, without `module.`; drawn once, and not to be changed."""
    return dict(drawn(kind))


@cache
def drawn(kind: str) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    stride16 = kind in OF_STRIDE_16
    state = {}
    for copy in ("", "momentum_") if kind == "slavc" else ("",):
        state |= trunk(f"{copy}imgnet.", stride16, random) | trunk(f"{copy}audnet.", stride16, random)
        for number in {"slavc": ("1", "2"), "ezvsl": ("",), "fnac": ("",)}.get(kind, ()):
            for side, shape in (("img", (DIMENSION, 512, 1, 1)), ("aud", (DIMENSION, 512))):
                state[f"{copy}{side}_proj{number}.weight"] = torch.randn(shape, generator=random) / 20
                state[f"{copy}{side}_proj{number}.bias"] = torch.randn(DIMENSION, generator=random) / 20
    return state | (unused_of_ssltie() if kind == "ssltie" else {})


def unused_of_ssltie() -> dict[str, Tensor]:
    layers = {"vision_fc1": torch.nn.Conv2d(1024, 512, 1), "conv3": torch.nn.Conv2d(1, 1, 1)}
    layers["norm3"] = torch.nn.BatchNorm2d(1)
    return {f"{name}.{part}": value for name, layer in layers.items() for part, value in layer.state_dict().items()}


def features(state: dict[str, Tensor], prefix: str, first: str, x: Tensor, last_stride: int) -> Tensor:
    """A ResNet-18 without its head, from functions alone."""

    def norm(name: str, x: Tensor) -> Tensor:
        parts = (state[f"{prefix}{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    def conv(name: str, x: Tensor, stride: int, padding: int) -> Tensor:
        return F.conv2d(x, state[f"{prefix}{name}.weight"], stride=stride, padding=padding)

    x = F.max_pool2d(F.relu(norm("bn1", conv(first, x, 2, 3))), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            stride = {1: 1, 4: last_stride}.get(stage, 2) if block == 0 else 1
            inner = norm(
                f"{name}.bn2",
                conv(f"{name}.conv2", F.relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x, stride, 1))), 1, 1),
            )
            if f"{prefix}{name}.downsample.0.weight" in state:
                x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, stride, 0))
            x = F.relu(inner + x)
    return x


def expected(kind: str, state: dict[str, Tensor], image: Tensor, audio: Tensor) -> Tensor:
    """The map as the sheet on released checkpoints describes it: cosine of each cell with the sound."""
    stride16 = kind in OF_STRIDE_16
    seen = features(state, "imgnet.", "conv1", image, 1 if stride16 else 2)
    heard = features(state, "audnet.", "conv1_a" if stride16 else "conv1", audio, 1 if stride16 else 2).amax((2, 3))
    maps = []
    for number in {"slavc": ("1", "2"), "ezvsl": ("",), "fnac": ("",)}.get(kind, (None,)):
        visual, auditory = seen, heard
        if number is not None:
            visual = F.conv2d(seen, state[f"img_proj{number}.weight"], state[f"img_proj{number}.bias"])
            auditory = F.linear(heard, state[f"aud_proj{number}.weight"], state[f"aud_proj{number}.bias"])
        maps.append((F.normalize(visual, dim=1) * F.normalize(auditory, dim=1)[:, :, None, None]).sum(1))
    return torch.stack(maps).mean(0)


def saved(kind: str, path: Path, prefix: str = "", legacy: bool = False, drop: str = "", extra: str = "") -> Path:
    state = OrderedDict((f"{prefix}{name}", value) for name, value in released(kind).items() if name != drop)
    if extra:
        state[extra] = torch.zeros(3)
    content = {RELEASES[kind].inside: state, "epoch": 3, "best_cIoU": 0.3}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("kind", ONE_FILE)
def test_the_imported_run_gives_the_authors_map(kind: str, tmp_path: Path) -> None:
    prefix = "module." if kind in ("lvs", "fnac") else ""
    folder = import_checkpoint(kind, saved(kind, tmp_path / "best.pth", prefix, kind == "slavc"), tmp_path / "runs")
    run = load_run(folder)
    random = torch.Generator().manual_seed(1)
    image, audio = torch.randn(2, 3, 96, 96, generator=random), torch.randn(2, 1, 257, 200, generator=random)
    with torch.no_grad():
        found = run.method(image, audio).map
        wanted = expected(kind, released(kind), image, audio)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert found.std() > 1e-3
    assert run.front_end == RELEASES[kind].front_end
    heard = run.config.data.audio_mean, run.config.data.audio_deviation
    assert heard == find_front_end(run.front_end).scaling
    assert folder.parent.name == f"{kind}-best"
    own = {"ezvsl": "ezvsl", "slavc": "slavc_relative", "lvs": "lvs", "fnac": "ezvsl", "sslalignment": "kaist_lvs",
           "ssltie": "lvs"}  # fmt: skip
    assert run.config.evaluation.protocols[0] == own[kind]


@pytest.mark.parametrize("spelling", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_scores_kept_as_numpy_scalars_are_plain_numbers(tmp_path: Path, spelling: bytes) -> None:
    """EZ-VSL's train.py saves best_cIoU as np.mean gave it; files of the time name numpy's module without `_`."""
    content = {"model": released("ezvsl"), "epoch": 20, "best_cIoU": np.float64(0.34), "best_Auc": np.float64(0.36)}
    path = tmp_path / "best.pth"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    raw = path.read_bytes()
    assert b"numpy._core.multiarray" in raw
    path.write_bytes(raw.replace(b"numpy._core.multiarray", spelling))
    assert import_checkpoint("ezvsl", path, tmp_path / "runs").is_dir()


def test_files_of_one_name_are_runs_of_their_own(tmp_path: Path) -> None:
    """Releases call their files best.pth; the same one imported again is the same run."""
    first, second = (tmp_path / name / "best.pth" for name in ("vggss_144k", "flickr_144k"))
    for number, path in enumerate((first, second)):
        path.parent.mkdir()
        torch.save({"model": released("ezvsl"), "epoch": number}, path)
    made = [import_checkpoint("ezvsl", path, tmp_path / "runs") for path in (first, second, first)]
    assert made[0] == made[2] != made[1]


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    lacking = saved("ezvsl", tmp_path / "lacking.pth", drop="img_proj.bias")
    with pytest.raises(InputError, match=r"1 missing \(image_head\.bias\)"):
        import_checkpoint("ezvsl", lacking, tmp_path / "runs")
    more = saved("ezvsl", tmp_path / "more.pth", extra="decoder.weight")
    with pytest.raises(InputError, match=r"1 unexpected \(decoder\.weight\)"):
        import_checkpoint("ezvsl", more, tmp_path / "runs")
    with pytest.raises(InputError, match=r"not a checkpoint of lvs: 5 unexpected \(img_proj\.weight"):
        import_checkpoint("lvs", more, tmp_path / "runs")
    with pytest.raises(InputError, match="no release 'avs'"):
        import_checkpoint("avs", more, tmp_path / "runs")
    (tmp_path / "page.pth").write_text("<html>quota exceeded</html>")
    with pytest.raises(InputError, match="is a web page, not a file of weights"):
        import_checkpoint("ezvsl", tmp_path / "page.pth", tmp_path / "runs")
    torch.save({"model": {"imgnet.conv1.weight": Path("x")}}, tmp_path / "object.pth")
    with pytest.raises(InputError, match=r"entry imgnet\.conv1\.weight is a pathlib\.PosixPath, no plain"):
        import_checkpoint("ezvsl", tmp_path / "object.pth", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_command_line_beside_the_weights_and_the_prefix_of_compile_do_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {f"_orig_mod.module.{name}": value for name, value in released("ezvsl").items()}
    torch.save({"model": state, "args": argparse.Namespace(lr=1e-4)}, tmp_path / "wrapped.pth")
    torch.save(released("ezvsl"), tmp_path / "bare.pth")
    runs = [
        load_run(import_checkpoint("ezvsl", tmp_path / name, tmp_path / "runs")) for name in ("wrapped.pth", "bare.pth")
    ]
    states = [run.method.state_dict() for run in runs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    assert "wrapped.pth: args (argparse.Namespace) hold no tensors and were left alone" in capsys.readouterr().out


def test_weights_of_a_diverged_training_are_refused_by_name(tmp_path: Path) -> None:
    state = released("fnac")
    broken = state["imgnet.layer2.0.bn1.running_var"] = state["imgnet.layer2.0.bn1.running_var"].clone()
    broken[3] = torch.nan
    torch.save({"model": state}, tmp_path / "diverged.pth")
    with pytest.raises(InputError, match=r"is whole, but 1 of its .* \(imgnet\.layer2\.0\.bn1\.running_var\)"):
        import_checkpoint("fnac", tmp_path / "diverged.pth", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
