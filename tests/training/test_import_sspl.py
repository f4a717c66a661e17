"""SSPL's release, a file for each part of its network: the map of the imported run against a forward from the sheet."""

from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from manifests.errors import InputError
from training.import_checkpoint import import_checkpoint
from training.runs import load_run

State = dict[str, Tensor]
VGG16 = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256),
         17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}  # fmt: skip
VGG16_POOLS = {4, 9, 16, 23}
VGGISH = {0: (1, 64), 3: (64, 128), 6: (128, 256), 8: (256, 256), 11: (256, 512), 13: (512, 512)}
VGGISH_POOLS = {2, 5, 10, 15}
CYCLES = 4


class Maker:
    """Random layers by name, at a scale that keeps signals alive."""

    def __init__(self) -> None:
        self.random = torch.Generator().manual_seed(0)
        self.state: State = {}

    def layer(self, name: str, *shape: int, bias: int = 0, inputs: int | None = None) -> None:
        fan_in = inputs or torch.Size(shape[1:]).numel()
        self.state[f"{name}.weight"] = torch.randn(shape, generator=self.random) * (2 / fan_in) ** 0.5
        if bias:
            self.state[f"{name}.bias"] = torch.randn(bias, generator=self.random) / 10

    def norm(self, name: str, channels: int, affine: bool = True) -> None:
        parts = {"running_mean": -0.2, "running_var": 0.5} | ({"weight": 0.5, "bias": -0.2} if affine else {})
        for part, low in parts.items():
            self.state[f"{name}.{part}"] = low + torch.rand(channels, generator=self.random)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(5)


@cache
def frame_net() -> State:
    maker = Maker()
    for at, (channels, width) in VGG16.items():
        maker.layer(f"feat_extractor.{at}", width, channels, 3, 3, bias=width)
    return maker.state


@cache
def sound_net() -> State:
    maker = Maker()
    for at, (channels, width) in VGGISH.items():
        maker.layer(f"features.{at}", width, channels, 3, 3, bias=width)
    for at, (channels, width) in {0: (512 * 24, 4096), 2: (4096, 4096), 4: (4096, 128)}.items():
        maker.layer(f"embeddings.{at}", width, channels, bias=width)
    for at, channels in {0: 128, 2: 512}.items():
        maker.layer(f"fc.{at}", 512, channels, bias=512)
    return maker.state


@cache
def pcm() -> State:
    maker = Maker()
    maker.layer("PredProcess.0", 128, 512, 1, 1, bias=128)
    maker.layer("ErrorProcess.0", 128, 512, 1, 1, inputs=128)
    maker.layer("ErrorProcess.1", 512, 512, 3, 3)
    maker.layer("ErrorProcess.2.convtrans2d", 512, 512, 3, 3)
    maker.layer("ErrorProcess.3", 512, 512, 1, 1, bias=512)
    for at in (1, 2):
        maker.layer(f"PredProcess.{at}.conv2d", 512, 512, 3, 3)
    for sweeps, suffix in ((1, ""), (CYCLES, "_step")):
        for name, levels in (("BNPred", 2), ("BNError", 3)):
            for at in range(sweeps * levels):
                maker.norm(f"{name}{suffix}.{at}", 512)
    for name in ("b0", "a0"):
        for at in range(3):
            maker.state[f"{name}.{at}"] = torch.rand(1, 512, 1, 1, generator=maker.random) - 0.1
    return maker.state


def ssl_head() -> State:
    maker = Maker()
    for layer, channels in ((1, 512), (2, 2048), (3, 2048)):
        maker.layer(f"projector.layer{layer}.0", 2048, channels)
        maker.norm(f"projector.layer{layer}.1", 2048, affine=layer < 3)
    maker.layer("predictor.layer1.0", 512, 2048)
    maker.norm("predictor.layer1.1", 512)
    maker.layer("predictor.layer2", 2048, 512, bias=2048)
    return maker.state


PARTS = {"frame": frame_net, "sound": sound_net, "pcm": pcm, "ssl_head": ssl_head}


def saved(folder: Path, without: str = "") -> Path:
    """The files that the authors' training writes; all but the frozen one from under DistributedDataParallel."""
    folder.mkdir()
    for part, make in PARTS.items():
        prefix = "" if part == "frame" else "module."
        if part != without:
            torch.save({prefix + name: value for name, value in make().items()}, folder / f"{part}_best.pth")
    return folder


def convolved(state: State, name: str, pools: set[int], x: Tensor, relu_last: bool) -> Tensor:
    """A VGG's convolutions in order, each but perhaps the last one with its ReLU."""
    layers = sorted(int(key.split(".")[1]) for key in state if key.startswith(f"{name}.") and key.endswith("weight"))
    for at in layers:
        x = F.conv2d(x, state[f"{name}.{at}.weight"], state[f"{name}.{at}.bias"], padding=1)
        x = F.relu(x) if relu_last or at != layers[-1] else x
        x = F.max_pool2d(x, 2) if at + 2 in pools else x
    return x


def heard(state: State, bands: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 64, T) log-mel bands -> the 128 values of VGGish, unit, and the 512 of the MLP; means over patches."""
    originals, changed = [], []
    for patch in bands.split(96, dim=2):
        x = convolved(state, "features", VGGISH_POOLS, patch.transpose(1, 2).unsqueeze(1), relu_last=True)
        x = x.permute(0, 2, 3, 1).flatten(1)
        for at in (0, 2, 4):
            x = F.relu(F.linear(x, state[f"embeddings.{at}.weight"], state[f"embeddings.{at}.bias"]))
        originals.append(x)
        hidden = F.relu(F.linear(x, state["fc.0.weight"], state["fc.0.bias"]))
        changed.append(F.linear(hidden, state["fc.2.weight"], state["fc.2.bias"]))
    return F.normalize(torch.stack(originals).mean(0), dim=1), torch.stack(changed).mean(0)


def coded(state: State, visual: Tensor, audio: Tensor) -> Tensor:
    """The predictive coding module as the sheet prints its recursion, with the authors' names."""

    def norm(name: str, x: Tensor) -> Tensor:
        return F.batch_norm(x, *(state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))

    def down(level: int, x: Tensor) -> Tensor:
        return F.max_pool2d(F.conv2d(x, state[f"PredProcess.{level}.conv2d.weight"], padding=1), 2)

    def up(level: int, x: Tensor) -> Tensor:
        if level == 0:
            return F.conv_transpose2d(x, state["ErrorProcess.0.weight"])
        if level == 1:
            return F.conv_transpose2d(x, state["ErrorProcess.1.weight"], stride=2)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return F.conv_transpose2d(x, state["ErrorProcess.2.convtrans2d.weight"], padding=1)

    def raised(level: int, error: Tensor) -> Tensor:
        return F.relu(state[f"a0.{level}"]) * up(level, error)

    def error_of(lowest: Tensor) -> Tensor:
        guess = F.gelu(F.conv2d(lowest, state["PredProcess.0.weight"], state["PredProcess.0.bias"])).mean((2, 3))
        return (audio - guess)[:, :, None, None].expand(-1, -1, 3, 3)

    p2 = visual
    p1 = F.gelu(norm("BNPred.1", down(2, p2)))
    p0 = F.gelu(norm("BNPred.0", down(1, p1)))
    r0 = F.gelu(norm("BNError.0", p0 + raised(0, error_of(p0))))
    r1 = F.gelu(norm("BNError.1", p1 + raised(1, r0 - p0)))
    r2 = F.gelu(norm("BNError.2", p2 + raised(2, r1 - p1)))
    b0, b1, b2 = (F.relu(state[f"b0.{level}"]) for level in range(3))
    for t in range(CYCLES):
        r2 = F.gelu((1 - b2) * r2 + b2 * p2)
        p1 = down(2, r2)
        r1 = F.gelu(norm(f"BNPred_step.{2 * t + 1}", (1 - b1) * r1 + b1 * p1))
        p0 = down(1, r1)
        r0 = F.gelu(norm(f"BNPred_step.{2 * t}", (1 - b0) * r0 + b0 * p0))
        r0 = F.gelu(norm(f"BNError_step.{3 * t}", r0 + raised(0, error_of(r0))))
        r1 = F.gelu(norm(f"BNError_step.{3 * t + 1}", r1 + raised(1, r0 - p0)))
        r2 = F.gelu(norm(f"BNError_step.{3 * t + 2}", r2 + raised(2, r1 - p1)))
    return F.conv_transpose2d(r2, state["ErrorProcess.3.weight"], state["ErrorProcess.3.bias"])


def expected(kind: str, image: Tensor, bands: Tensor) -> Tensor:
    visual = convolved(frame_net(), "feat_extractor", VGG16_POOLS, image, relu_last=False)
    original, changed = heard(sound_net(), bands)
    if kind == "sspl":
        visual = coded(pcm(), visual, original)
    return (F.normalize(visual, dim=1) * F.normalize(changed, dim=1)[:, :, None, None]).sum(1)


@pytest.mark.parametrize("kind", ["sspl", pytest.param("sspl_without_pcm", marks=pytest.mark.slow)])
def test_the_imported_run_gives_the_authors_map(kind: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "weights", without="" if kind == "sspl" else "pcm")
    run = load_run(import_checkpoint(kind, folder, tmp_path / "runs"))
    random = torch.Generator().manual_seed(1)
    image, bands = torch.randn(2, 3, 224, 224, generator=random), torch.randn(2, 64, 192, generator=random)
    with torch.no_grad():
        found = run.method(image, bands.unsqueeze(1) / 12).map
        wanted = expected(kind, image, bands)
    assert found.shape == (2, 14, 14)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert found.std() > 1e-3
    assert run.config.name == f"{kind}-weights"
    assert run.config.evaluation.protocols[0] == "sspl"
    assert run.front_end == "log-power-16000-512-159-v1"


def test_a_folder_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no file frame\*.*frame\*\.pth, sound\*\.pth, pcm\*\.pth, ssl_head\*"):
        import_checkpoint("sspl", tmp_path, tmp_path / "runs")
    for name in ("frame_1.pth", "frame_2.pth"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"holds 2 files frame\*"):
        import_checkpoint("sspl", tmp_path, tmp_path / "runs")
