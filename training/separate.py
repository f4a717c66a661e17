"""`training separate`: the sounds of clips taken out of their mixture, as WAV files, by a method for mixtures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.outputs import check_output, json_with, names_in
from manifests.files.suffixes import is_of_system
from manifests.files.whole import write_text
from manifests.files.whole_folders import whole_folder
from pipeline.media.decode import SILENCE_PEAK
from pipeline.shards.codecs import FULL_SCALE
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.data.beside import WAVEFORM_RATE, Beside, collated, on_device
from training.data.views import decode_image, normalise_image, shown
from training.parts.separation import distortion_ratio
from training.runs import LoadedRun

REPORT, MIXTURE = "separation.json", "mixture.wav"


@runtime_checkable
class Separates(Protocol):
    """A method that takes out of a mixture what belongs to an image, or to several of a clip."""

    def separated(self, image: Tensor, waveform: Tensor) -> Tensor:
        """(B, 3, S, S), or (B, N, 3, S, S) where the method needs a burst, and mixtures (B, T) -> (B, T)."""
        ...


@torch.no_grad()
def separate(run: LoadedRun, store: ShardStore, keys: Sequence[str], out: Path) -> dict[str, float]:
    """Mix the sounds of these clips, and write the mixture and what each clip's image takes out of it, all or nothing.

    Returns by how many decibels each is nearer to the clip's own sound than the mixture was. InputError for a method
    that separates nothing, for fewer clips than two, for a clip whose name is the mixture's or leads out of a folder,
    for a silent one, of which no share is nearer, and for a clip or a waveform that is not there.
    """
    method: object = run.method
    if not isinstance(method, Separates):
        raise InputError(f"{run.config.method.name} separates no sounds; pixelplayer does.")
    rows = _rows(store, keys)
    keys = [store.keys[row] for row in rows]  # as the shards spell them
    check_output(out, {"RUN": run.folder}, _is_own, "training separate")
    own = torch.stack([_waveform(run, store, row) for row in rows]).to(run.device) / len(rows)
    if silent := [key for key, sound in zip(keys, own, strict=True) if sound.abs().max() * len(rows) < SILENCE_PEAK]:
        raise InputError(f"The clip {silent[0]} is silent, so nothing of it can be found in a mixture. Name another.")
    mixture = own.sum(dim=0, keepdim=True).clamp(-1, 1)
    found = method.separated(_images(run, store, rows), mixture.expand(len(rows), -1))
    before, after = distortion_ratio(mixture.expand_as(own), own), distortion_ratio(found, own)
    gained = dict(zip(keys, (after - before).tolist(), strict=True))
    _write(out, {MIXTURE: mixture[0], **{_file(key): each for key, each in zip(keys, found, strict=True)}}, gained)
    return gained


def _rows(store: ShardStore, keys: Sequence[str]) -> list[int]:
    """Where clips lie, each once however it is spelled. InputError for what cannot be separated or written."""
    if out_of := next((key for key in keys if Path(key).is_absolute() or ".." in Path(key).parts), None):
        raise InputError(f"The clip {out_of} has a name that leads out of a folder, so no file is written for it.")
    rows = [store.row_of(key) for key in keys]
    if len(set(rows)) < 2 or len(set(rows)) < len(rows):
        raise InputError("Name two clips or more, each once: with --clip KEY --clip KEY.")
    if MIXTURE in [_file(store.keys[row]) for row in rows]:
        raise InputError(
            f"The clip {Path(MIXTURE).stem} would be written to {MIXTURE}, which is the mixture's. Leave it out, or "
            "ingest it under another name."
        )
    return rows


def _is_own(out: Path) -> bool:
    """Whether a folder is empty, or one that this command wrote with nothing beside it: it is replaced whole."""
    if not out.is_dir() or not names_in(out):
        return out.is_dir()
    files = (path for path in out.rglob("*") if not path.is_dir() and not is_of_system(path.name))
    held = {path.relative_to(out).as_posix() for path in files}
    if REPORT not in held or not json_with("decibels_gained")(out / REPORT):
        return False
    gained = read_content(out / REPORT).json()["decibels_gained"]
    return isinstance(gained, dict) and held <= {REPORT, MIXTURE, *map(_file, gained)}


def _file(key: str) -> str:
    """Where a clip's sound lies; a key may name folders."""
    return f"{key}.wav"


def _waveform(run: LoadedRun, store: ShardStore, row: int) -> Tensor:
    view, size = run.config.evaluation.view, run.config.data.image_size
    return Beside(store, frozenset({"waveform"})).shown(row, view, size)["waveform"]


def _images(run: LoadedRun, store: ShardStore, rows: Sequence[int]) -> Tensor:
    """What the method sees of clips, normalised: an image each, or those around it as well."""
    view, size = run.config.evaluation.view, run.config.data.image_size
    if "burst" in run.method.needs:
        beside = Beside(store, frozenset({"burst"}), run.method.burst)
        return on_device(collated([beside.shown(row, view, size) for row in rows]), run.device, size)["burst"]
    images = torch.stack([shown(store.decoded(row, FRAME, decode_image), size, view) for row in rows])
    return normalise_image(images.to(run.device))


def _write(out: Path, sounds: dict[str, Tensor], gained: dict[str, float]) -> None:
    from scipy.io import wavfile

    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(out) as partial:
        for name, samples in sounds.items():
            whole = np.rint(samples.clamp(-1, 1).cpu().numpy() * FULL_SCALE).astype(np.int16)
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            wavfile.write(partial / name, WAVEFORM_RATE, whole)
        write_text(partial / REPORT, json.dumps({"decibels_gained": gained}, indent=1) + "\n")
