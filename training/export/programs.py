"""A localizer's map as a program of its own: ONNX, or torch.export's. Image and audio in, raw map out, any batch.

Each is written, read again by the runtime it is for, and compared with the model on batches of other sizes; what it
differs by is told. Names of this machine's files, which both forms would keep beside every operation, are taken out.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manifests.commands.extras import needed
from manifests.errors import InputError, WorkFailed
from manifests.files.given import reason, shortened
from pipeline.media.front_ends import find_front_end
from training.data.beside import KINDS
from training.methods.contract import BaseMethod
from training.runs import LoadedRun

INPUTS, OUTPUT, BATCH = ("image", "audio"), "map", "batch"
TRACED, COMPARED = 2, (1, 3)  # batch sizes
TOLERANCE = 1e-4  # of the largest value of the maps, or of 1 where they are smaller
Pair = tuple[Tensor, Tensor]
Maps = Callable[[Pair], np.ndarray]


class MapOf(nn.Module):
    """(B, 3, S, S) and (B, 1, F, T), both normalised -> (B, h, w)."""

    def __init__(self, method: BaseMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, image: Tensor, audio: Tensor) -> Tensor:
        return self.method.predict({"image": image, "audio": audio}).map


@dataclass(frozen=True)
class Form:
    """A form of program: its file, what writes one, and what reads one to compute maps with it."""

    file: str
    write: Callable[[torch.export.ExportedProgram, Path], None]
    read: Callable[[Path], Maps]
    check: Callable[[], object] = lambda: None


def write_program(run: LoadedRun, form: str, folder: Path) -> dict[str, Any]:
    """Write a run's program into a folder; its file, inputs and greatest difference, for config.json.

    InputError when its map is no function of image and audio that can be written down, WorkFailed when what was written
    computes something else.
    """
    _check_method(run, form)
    chosen = FORMS[form]
    chosen.check()
    model = MapOf(run.method).eval()
    with _quiet(), torch.no_grad():
        model(*_pair(run, 1))  # what is computed once and kept must be numbers, not what tracing has in their place
        program = _traced(run, model, form)
        chosen.write(program, folder / chosen.file)
        difference = _greatest_difference(run, model, chosen.read(folder / chosen.file))
    return {
        "file": chosen.file,
        "inputs": {name: [BATCH, *each.shape[1:]] for name, each in zip(INPUTS, _pair(run, 1), strict=True)},
        "output": OUTPUT,
        "greatest_difference": difference,
    }


def check_form(form: str) -> None:
    """InputError for a form that is not known, or whose libraries are not installed."""
    if form not in FORMS:
        raise InputError(f"--format {form!r} is not known; there are: {', '.join(FORMS)}.")
    FORMS[form].check()


def _check_method(run: LoadedRun, form: str) -> None:
    """InputError for a method that answers by more than image and audio."""
    if more := sorted(run.method.needs & KINDS):
        raise InputError(
            f"{run.config.method.name} cannot be exported as {form}: it answers by {' and '.join(more)} beside image "
            "and audio. A program takes these two alone. Export it without --format: Localizer.load opens it all the "
            "same."
        )


def _pair(run: LoadedRun, size: int) -> Pair:
    """A batch of noise in the shapes that the run takes, the same every time."""
    draw = torch.Generator().manual_seed(size)
    side = run.config.data.image_size
    image = torch.randn(size, 3, side, side, generator=draw)
    return image, torch.randn(size, 1, *find_front_end(run.front_end).shape, generator=draw)


def _traced(run: LoadedRun, model: nn.Module, form: str) -> torch.export.ExportedProgram:
    batch = {0: torch.export.Dim(BATCH, min=1)}
    try:
        program = torch.export.export(model, _pair(run, TRACED), dynamic_shapes=dict.fromkeys(INPUTS, batch))
    except Exception as error:  # torch raises any kind over code that it cannot follow
        raise InputError(
            f"{run.config.method.name} cannot be exported as {form}: its map is no function of image and audio that "
            f"torch can write down ({shortened(reason(error), 160)}). Export it without --format; Localizer.load opens "
            "it all the same."
        ) from error
    _without_places(program.graph_module)
    return program


def _without_places(module: nn.Module) -> None:
    """Take the lines of source out of a traced program, its parts included: they name files of this machine."""
    for part in module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)


def _greatest_difference(run: LoadedRun, model: nn.Module, maps: Maps) -> float:
    """Between the model's maps and the program's; WorkFailed when they are not the same."""
    greatest = 0.0
    for size in COMPARED:
        pair = _pair(run, size)
        own = model(*pair).numpy()
        found = maps(pair)
        if found.shape != own.shape:
            raise WorkFailed(f"the program that was written gives maps of {found.shape}, the model {own.shape}.")
        difference = float(np.abs(found - own).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(own).max())):
            raise WorkFailed(
                f"the program that was written differs from the model by {difference:.2g} in a batch of {size}, where "
                f"{TOLERANCE:g} is allowed. Nothing was exported; export the model without --format, and report this."
            )
        greatest = max(greatest, difference)
    return greatest


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that the exporters address to their own developers."""
    with warnings.catch_warnings(action="ignore"):
        yield


# --- the two forms ---------------------------------------------------------------------------------------------------


def _check_onnx() -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        needed(library, "export", "--format onnx")


def _distances(one: Any, other: Any, norm: float, mode: int | None = None) -> Any:
    """torch.cdist of Euclidean distances in ONNX, which lacks it: (..., N, C), (..., M, C) -> (..., N, M)."""
    if norm != 2:
        raise InputError(f"distances of the norm {norm} cannot be written as ONNX.")
    opset: Any = needed("onnxscript", "export", "--format onnx").opset20
    axes = [opset.Constant(value_ints=[axis]) for axis in (-2, -3, -1)]
    apart = opset.Sub(opset.Unsqueeze(one, axes[0]), opset.Unsqueeze(other, axes[1]))
    return opset.Sqrt(opset.ReduceSum(opset.Mul(apart, apart), axes[2], keepdims=0))


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    made: Any = torch.onnx.export(
        program,
        (),
        input_names=INPUTS,
        output_names=(OUTPUT,),
        dynamo=True,
        verbose=False,
        opset_version=20,
        custom_translation_table={torch.ops.aten._cdist_forward.default: _distances},
    )
    for graph in (made.model.graph, *(each.graph for each in made.model.functions.values())):
        graph.metadata_props.clear()
        for node in graph:
            node.metadata_props.clear()
            node.doc_string = None
    for value in (*made.model.graph.inputs, *made.model.graph.outputs):
        value.shape = type(value.shape)([BATCH, *list(value.shape)[1:]])
    made.save(path, external_data=False)


def _read_onnx(path: Path) -> Maps:
    runtime = needed("onnxruntime", "export", "--format onnx")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def maps(pair: Pair) -> np.ndarray:
        return session.run([OUTPUT], {name: each.numpy() for name, each in zip(INPUTS, pair, strict=True)})[0]

    return maps


def _write_torch(program: torch.export.ExportedProgram, path: Path) -> None:
    torch.export.save(program, path)


def _read_torch(path: Path) -> Maps:
    module = torch.export.load(path).module()
    return lambda pair: module(*pair).numpy()


FORMS: Mapping[str, Form] = {
    "onnx": Form("model.onnx", _write_onnx, _read_onnx, _check_onnx),
    "torch-export": Form("model.pt2", _write_torch, _read_torch),
}
