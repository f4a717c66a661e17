"""`training import-checkpoint`: the authors' released weights as a finished run that evaluates at once.

A release is described by four things: under which key its tensors lie, how its names become this project's, which of
its tensors nothing uses, and the packaged config with method, trunks and protocol of its own. Files are read as plain
tensors (no code in them can run); one whose names do not fit is refused with what is missing and what is unexpected.
SSPL's release is a folder with a file for each part of the network.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from index.encoders.weight_file import Layout, fitted, read_tensors, renamed
from manifests.commands.counting import counted
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.outputs import check_no_other_kind
from manifests.files.whole import write_text
from pipeline.media.front_ends import find_front_end
from pipeline.media.spectra import FrontEnd
from training.config import RunConfig, load_config
from training.run_folders.files import DONE, FACTS, WEIGHTS
from training.run_folders.identity import IMPORTED, carried, content_of
from training.runs import build_empty, find_run, prepare, write_weights
from training.settings.files import PACKAGED

FRONT_END = "log-power-16000-512-238-v1"  # scipy spectrogram, 512 samples, hop 238, at 16 kHz: the LVS family's code
ADVICE = "Name its release by --from, or its architecture, for example encoders.image.width=64."
LVS_FRONT_END = "log-power-16000-512-238-10s-v1"  # its code hears ten seconds
ALIGNMENT_FRONT_END = "log-power-16000-512-159-v1"
SSLTIE_FRONT_END = "mel-decibel-16000-512-239-v1"
SSPL_FRONT_END = "log-power-16000-512-159-v1"  # steps of 10 ms up to 8 kHz, as VGGish's bands are made of


@dataclass(frozen=True)
class Release:
    """`names`: (their prefix, ours), first match wins. `unused`: patterns of tensors without a role here.

    `parts`: the beginnings of the names of the files that make it up, each of which is its tensors' first prefix.
    """

    config: str
    inside: str | None
    names: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()
    front_end: str = FRONT_END
    overrides: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


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


_SSPL = (
    ("frame.feat_extractor.", "image_trunk.features."),
    ("sound.fc.", "audio_mlp."),
    ("sound.", "audio_trunk."),
    *((f"ssl_head.projector.layer{at // 3 + 1}.{at % 3}.", f"projector.{at}.") for at in (0, 1, 3, 4, 6, 7)),
    *((f"ssl_head.predictor.layer1.{at}.", f"predictor.{at}.") for at in (0, 1)),
    ("ssl_head.predictor.layer2.", "predictor.3."),
)


def _coding_names() -> tuple[tuple[str, str], ...]:
    """SSPL's module of predictive coding, whose lists count through levels within sweeps."""
    cycles, levels = 4, 3
    pairs = [
        ("PredProcess.0.", "to_audio."),
        *((f"PredProcess.{level + 1}.conv2d.", f"down.{level}.") for level in range(levels - 1)),
        ("ErrorProcess.0.", "up.0."),
        ("ErrorProcess.1.", "up.1."),
        ("ErrorProcess.2.convtrans2d.", "up.2."),
        ("ErrorProcess.3.", "out."),
        ("b0.", "feedback_rate."),
        ("a0.", "error_rate."),
        ("BNPred.", "feedback_norm.0."),
        ("BNError.", "error_norm.0."),
    ]
    for theirs, ours, count in (("BNPred_step", "feedback_norm", levels - 1), ("BNError_step", "error_norm", levels)):
        for at in range(cycles * count):
            pairs.append((f"{theirs}.{at}.", f"{ours}.{at // count + 1}.{at % count}."))
    return tuple((f"pcm.{theirs}", f"coding.{ours}") for theirs, ours in pairs)


RELEASES = {
    "ezvsl": Release("ezvsl", "model", _ONE_HEAD),
    "slavc": Release("slavc", "model", _slavc_names()),
    "lvs": Release("lvs", "model_state_dict", _STRIDE16, _SPARE, LVS_FRONT_END),
    "fnac": Release("fnac", "model", _ONE_HEAD),
    "sslalignment": Release(
        "alignment", "model_state_dict", _STRIDE16, (*_SPARE, r".*(proj|head|align).*"), ALIGNMENT_FRONT_END,
        ("method.feature_alignment=false", "method.localization=softmask"),
    ),
    "ssltie": Release(
        "ssltie", "state_dict", _STRIDE16, (*_SPARE, r"vision_fc1\.", r"conv3\.", r"norm3\."), SSLTIE_FRONT_END
    ),
    "sspl": Release(
        "sspl", None, (*_SSPL, *_coding_names()), (r"sound\.pproc\.",), SSPL_FRONT_END,
        parts=("frame", "sound", "pcm", "ssl_head"),
    ),
    "sspl_without_pcm": Release(
        "sspl_without_pcm", None, _SSPL, (r"sound\.pproc\.",), SSPL_FRONT_END, parts=("frame", "sound", "ssl_head")
    ),
}  # fmt: skip


def import_checkpoint(
    kind: str, file: Path, runs: Path, overrides: tuple[str, ...] = (), front_end: str | None = None
) -> Path:
    """Make `runs/<release>-<file>/<hash>-s0` of a released file (of SSPL: its folder); returns the run's folder.

    `front_end` names another spectrogram than the authors'; it decides the scaling of the sound. InputError when the
    file is not one of this release.
    """
    if kind not in RELEASES:
        meant = did_you_mean(kind, RELEASES)
        raise InputError(f"There is no release {kind!r}.{meant} The known ones are {', '.join(RELEASES)}.")
    check_no_other_kind(runs, "training import-checkpoint", "--runs")
    release = RELEASES[kind]
    layout = Layout(f"a checkpoint of {kind}", ADVICE, release.inside, release.names, release.unused)
    state = renamed(_tensors(kind, file), file, layout)
    chosen = find_front_end(front_end or release.front_end)
    config = _config(kind, release, file, state, (*_scaling(chosen), *overrides))
    method = build_empty(config)
    method.load_state_dict(fitted(state, method.state_dict(), file, layout))
    origin = _origin(kind, file)
    contents = {IMPORTED: content_of(origin)}
    folder, _ = find_run(runs, config, contents)
    prepare(folder, config)
    facts = {"front_end": chosen.name, "manifest_sha256": "", IMPORTED: origin}
    write_text(folder / FACTS, json.dumps(facts, indent=1))
    write_weights(folder / WEIGHTS, method, carried(config, contents))
    write_text(folder / DONE, f"imported from {file.name}\n")
    return folder


def _tensors(kind: str, path: Path) -> dict[str, Tensor]:
    """The release's tensors by its authors' names; those of a part begin with the part's name."""
    release = RELEASES[kind]
    if not release.parts:
        return read_tensors(path, release.inside, ADVICE)
    state = {}
    for part in release.parts:
        state |= {f"{part}.{name}": value for name, value in read_tensors(_part(kind, path, part)).items()}
    return state


def _part(kind: str, folder: Path, part: str) -> Path:
    """The only file of a folder whose name begins with the part's."""
    files = [path for path in sorted(folder.glob(f"{part}*")) if path.is_file()] if folder.is_dir() else []
    if len(files) == 1:
        return files[0]
    found = counted(len(files), "file") if files else "no file"
    parts = ", ".join(f"{name}*.pth" for name in RELEASES[kind].parts)
    raise InputError(
        f"{folder} holds {found} {part}*. A checkpoint of {kind} is a folder with one file for each part of the "
        f"network: {parts}. Give such a folder."
    )


def _scaling(front_end: FrontEnd) -> tuple[str, str]:
    mean, deviation = front_end.scaling
    return f"data.audio_mean={mean}", f"data.audio_deviation={deviation}"


def _config(kind: str, release: Release, path: Path, state: dict[str, Tensor], overrides: tuple[str, ...]) -> RunConfig:
    """The packaged config under the file's own name, with the head's width as it is in the file."""
    heads = [value for name, value in state.items() if re.search(r"image_head(s\.0)?\.weight$", name)]
    width = (f"method.dimension={heads[0].shape[0]}",) if heads else ()
    bare = ("encoders.image.weights=none", "encoders.audio.weights=none", "data.train_list=null")  # nothing is trained
    named = (f"name={kind}-{path.resolve().name.partition('.')[0]}", *width, *bare, *release.overrides, *overrides)
    return load_config(PACKAGED / f"{release.config}.yaml", named)


def _origin(kind: str, path: Path) -> dict[str, Any]:
    files = [_part(kind, path, part) for part in RELEASES[kind].parts]
    if not files:
        return {"release": kind, "file": path.name, "sha256": file_sha256(path)}
    return {"release": kind, "folder": path.resolve().name, "files": {file.name: file_sha256(file) for file in files}}
