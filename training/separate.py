"""`training separate`: the sounds of clips taken out of their mixture, as WAV files, by a method for mixtures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from manifests.errors import InputError
from manifests.outputs import check_output
from manifests.whole_files import write_text
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from pipeline.storage.files import replacing
from training.data.beside import WAVEFORM_RATE, Beside
from training.data.views import decode_image, normalise_image, shown
from training.runs import LoadedRun
from training.separation import distortion_ratio

FULL_SCALE = 32767
REPORT, MIXTURE = "separation.json", "mixture.wav"


@runtime_checkable
class Separates(Protocol):
    """A method that takes out of a mixture what belongs to an image."""

    def separated(self, image: Tensor, waveform: Tensor) -> Tensor:
        """(B, 3, S, S) and mixtures (B, N) -> (B, N)."""
        ...


@torch.no_grad()
def separate(run: LoadedRun, store: ShardStore, keys: Sequence[str], out: Path) -> dict[str, float]:
    """Mix the sounds of these clips, and write the mixture and what each clip's image takes out of it.

    Returns by how many decibels each is nearer to the clip's own sound than the mixture was. InputError for a method
    that separates nothing, for fewer clips than two, and for a clip or a waveform that is not there.
    """
    method: object = run.method
    if not isinstance(method, Separates):
        raise InputError(f"{run.config.method.name} separates no sounds; pixelplayer does.")
    if len(set(keys)) < 2 or len(set(keys)) < len(keys):
        raise InputError("Name two clips or more, each once: with --clip KEY --clip KEY.")
    check_output(out, {"RUN": run.folder}, _is_own, "training separate")
    rows = [store.row_of(key) for key in keys]
    own = torch.stack([_waveform(run, store, row) for row in rows]).to(run.device) / len(rows)
    mixture = own.sum(dim=0, keepdim=True).clamp(-1, 1)
    images = torch.stack([_image(run, store, row) for row in rows])
    found = method.separated(normalise_image(images.to(run.device)), mixture.expand(len(rows), -1))
    before, after = distortion_ratio(mixture.expand_as(own), own), distortion_ratio(found, own)
    gained = dict(zip(keys, (after - before).tolist(), strict=True))
    _write(out, {MIXTURE: mixture[0], **{f"{key}.wav": each for key, each in zip(keys, found, strict=True)}}, gained)
    return gained


def _is_own(out: Path) -> bool:
    """Whether a folder is empty, or one that this command wrote."""
    return out.is_dir() and ((out / REPORT).is_file() or not any(out.iterdir()))


def _waveform(run: LoadedRun, store: ShardStore, row: int) -> Tensor:
    view, size = run.config.evaluation.view, run.config.data.image_size
    return Beside(store, frozenset({"waveform"})).shown(row, view, size)["waveform"]


def _image(run: LoadedRun, store: ShardStore, row: int) -> Tensor:
    return shown(store.decoded(row, FRAME, decode_image), run.config.data.image_size, run.config.evaluation.view)


def _write(out: Path, sounds: dict[str, Tensor], gained: dict[str, float]) -> None:
    from scipy.io import wavfile

    out.mkdir(parents=True, exist_ok=True)
    for name, samples in sounds.items():
        whole = np.rint(samples.clamp(-1, 1).cpu().numpy() * FULL_SCALE).astype(np.int16)
        with replacing(out / name) as handle:
            wavfile.write(handle, WAVEFORM_RATE, whole)
    write_text(out / REPORT, json.dumps({"decibels_gained": gained}, indent=1) + "\n")
