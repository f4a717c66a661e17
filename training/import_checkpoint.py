"""`training import-checkpoint`: the authors' released weights as a finished run that evaluates at once.

A release is described by four things: under which key its tensors lie, how its names become this project's, which of
its tensors nothing uses, and the packaged config with method, trunks and protocol of its own. Files are read as plain
tensors (no code in them can run); one whose names do not fit is refused with what is missing and what is unexpected.
"""

import hashlib
import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manifests.errors import InputError
from training.config import RunConfig, load_config
from training.runs import DONE, FACTS, WEIGHTS, build_empty, prepare, run_folder, write_text, write_weights

FRONT_END = "log-power-16000-512-238-v1"  # scipy spectrogram, 512 samples, hop 238, at 16 kHz: the LVS family's code
ALIGNMENT_FRONT_END = "log-power-16000-512-159-v1"
NAMED = 8  # names shown in a refusal
_COUNTER = "num_batches_tracked"
# EZ-VSL, SLAVC and FNAC save their best scores, which are numpy scalars, beside the weights: plain numbers, but not to
# torch unless said so. numpy 2 calls the function that makes them otherwise than the numpy that wrote the files.
_SCALAR = np._core.multiarray.scalar
_PLAIN = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "bool")),
]


@dataclass(frozen=True)
class Release:
    """`names`: (their prefix, ours), first match wins. `unused`: patterns of tensors without a role here."""

    config: str
    inside: str
    names: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()
    front_end: str = FRONT_END
    overrides: tuple[str, ...] = ()


_TRUNKS = (("imgnet.", "image_trunk."), ("audnet.", "audio_trunk."))
_ONE_HEAD = (*_TRUNKS, ("img_proj.", "image_head."), ("aud_proj.", "audio_head."))
# both trunks carry the first convolutions of three modalities; the sound's own is conv1_a
_STRIDE16 = (
    ("audnet.conv1_a.", "audio_trunk.conv1."),
    ("imgnet.", "image_trunk."),
    ("audnet.", "audio_trunk."),
)
_SPARE = (r"audnet\.conv1\.", r"imgnet\.conv1_a\.", r"(imgnet|audnet)\.conv1_flow\.", r"(imgnet|audnet)\.fc\.")


def _slavc_names() -> tuple[tuple[str, str], ...]:
    pairs = []
    for theirs, ours in (("momentum_", "teacher.copy."), ("", "student.")):
        pairs += [(f"{theirs}imgnet.", f"{ours}image_trunk."), (f"{theirs}audnet.", f"{ours}audio_trunk.")]
        for number in (0, 1):
            pairs += [
                (f"{theirs}img_proj{number + 1}.", f"{ours}image_heads.{number}."),
                (f"{theirs}aud_proj{number + 1}.", f"{ours}audio_heads.{number}."),
            ]
    return tuple(pairs)


RELEASES = {
    "ezvsl": Release("ezvsl", "model", _ONE_HEAD),
    "slavc": Release("slavc", "model", _slavc_names()),
    "lvs": Release("lvs", "model_state_dict", _STRIDE16, _SPARE),
    "fnac": Release("fnac", "model", _ONE_HEAD),
    "sslalignment": Release(
        "alignment", "model_state_dict", _STRIDE16, (*_SPARE, r".*(proj|head|align).*"), ALIGNMENT_FRONT_END,
        ("method.feature_alignment=false", "method.localization=softmask"),
    ),
}  # fmt: skip


def import_checkpoint(
    kind: str, file: Path, runs: Path, overrides: tuple[str, ...] = (), front_end: str | None = None
) -> Path:
    """Make `runs/<release>-<file>/<hash>-s0` of a released file; returns the folder.

    `front_end` names another spectrogram than the authors'. InputError when the file is not one of this release.
    """
    if kind not in RELEASES:
        raise InputError(f"There is no release {kind!r}. The known ones are {', '.join(RELEASES)}.")
    release, state = RELEASES[kind], _read(file, RELEASES[kind].inside)
    renamed = _renamed(state, release, file)
    config = _config(kind, release, file, renamed, overrides)
    method = build_empty(config)
    method.load_state_dict(_fitting(renamed, method.state_dict(), file))
    folder = run_folder(runs, config)
    prepare(folder, config)
    facts = {"front_end": front_end or release.front_end, "manifest_sha256": "", "imported": _origin(kind, file)}
    write_text(folder / FACTS, json.dumps(facts, indent=1))
    write_weights(folder / WEIGHTS, method)
    write_text(folder / DONE, f"imported from {file.name}\n")
    return folder


def _read(path: Path, inside: str) -> dict[str, Tensor]:
    """The state dict under `inside`, one leading `module.` removed from every name."""
    try:
        with torch.serialization.safe_globals(_PLAIN):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a file of plain torch tensors ({reason}). Download it again.") from error
    state = content.get(inside) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        held = ", ".join(map(str, list(content)[:NAMED])) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path} has no {inside!r} (it holds {held}). Name its release with --from.")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _renamed(state: dict[str, Tensor], release: Release, path: Path) -> dict[str, Tensor]:
    """Tensors under this project's names; InputError lists names that belong to nothing."""
    renamed, strangers = {}, []
    for name, value in state.items():
        if any(re.match(pattern, name) for pattern in release.unused):
            continue
        ours = next((new + name[len(old) :] for old, new in release.names if name.startswith(old)), None)
        if ours is None:
            strangers.append(name)
        else:
            renamed[ours] = value
    if strangers:
        raise _refusal(path, [], strangers)
    return renamed


def _fitting(found: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """`found` completed by batch norm's step counters; InputError for missing, unexpected or misshapen tensors."""
    missing = sorted(name for name in wanted if name not in found and not name.endswith(_COUNTER))
    unexpected = sorted(name for name in found if name not in wanted and not name.endswith(_COUNTER))
    if missing or unexpected:
        raise _refusal(path, missing, unexpected)
    for name, value in found.items():
        if name in wanted and value.shape != wanted[name].shape:
            raise InputError(
                f"{path} does not fit: {name} is {tuple(value.shape)} there and {tuple(wanted[name].shape)} here. "
                "Override the architecture, for example encoders.image.width=64."
            )
    return {name: found.get(name, value) for name, value in wanted.items()}


def _refusal(path: Path, missing: list[str], unexpected: list[str]) -> InputError:
    parts = [
        f"{len(names)} {what} ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    return InputError(f"{path} is not a checkpoint of this release: {' and '.join(parts)}. Name its release by --from.")


def _config(kind: str, release: Release, path: Path, state: dict[str, Tensor], overrides: tuple[str, ...]) -> RunConfig:
    """The packaged config under the file's own name, with the head's width as it is in the file."""
    heads = [value for name, value in state.items() if re.search(r"image_head(s\.0)?\.weight$", name)]
    width = (f"method.dimension={heads[0].shape[0]}",) if heads else ()
    bare = ("encoders.image.weights=none", "encoders.audio.weights=none", "data.train_list=null")  # nothing is trained
    named = (f"name={kind}-{path.name.partition('.')[0]}", *width, *bare, *release.overrides, *overrides)
    return load_config(release.config, named)


def _origin(kind: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"release": kind, "file": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
