"""A run's directory, `runs/<config name>/<overrides>-<digest>-s<seed>/`: found or made, renewed, and opened to predict.

Same run and seed, same folder: running again resumes, and a finished run is marked by `DONE`, written last. What can be
told of one without torch is in `training.run_folders`.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from index.encoders.imagenet import IMAGENET
from index.encoders.tensor_file import UNREADABLE, read_tensors, write_tensors
from manifests.clip_lists.written import keys_in
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.checksums import Damaged, file_sha256
from manifests.files.content import read_object
from manifests.files.given import has_file, opened, read_bytes, understood
from manifests.files.whole import whole_path, write_text
from manifests.machine import may_pass
from manifests.views import VIEWS
from pipeline.media.front_ends import front_end_names
from pipeline.shards.joined import Folders, folders_of, named, open_shards
from pipeline.shards.store import ShardStore
from pipeline.storage.remote import Place, place
from training.config import RunConfig, load_config
from training.leakage import TRAINING_CLIPS, training_list
from training.methods import method_module
from training.methods.contract import BaseMethod
from training.run_folders.environment import environment
from training.run_folders.files import BEST_WEIGHTS, CHECKPOINTS, COMMAND, CONFIG, ENVIRONMENT, FACTS, WEIGHTS
from training.run_folders.finished import WEIGHTS_AGAIN, weights_of
from training.run_folders.identity import IMPORTED, Contents, carried, content_of, differences, digest, of_another
from training.run_folders.names import folder_of
from training.settings.files import read_mapping

COPY_AGAIN = (
    "Copy the run again from where it was made; where it was made here, delete the file and start the run again."
)
CARRIED = "carried.json"
RUN = "run"  # in the metadata of weights: of which run they are


def find_run(
    root: Path, config: RunConfig, contents: Contents, overrides: Sequence[str] = ()
) -> tuple[Path, list[str]]:
    """The folder of the run a config describes, there or to be made, and what a person should know about it.

    It is named by what was overridden and by the run's digest. A run that another version named otherwise, or whose
    shards, lists or weights have moved since, is found by what is stored in it.
    """
    own = folder_of(root / config.name, overrides, digest(config, contents), config.seed)
    others = [] if own.is_dir() else sorted((root / config.name).glob(f"*-s{config.seed}/{CONFIG}"))
    differing = [(_differences(path.parent, config, contents), path.parent) for path in others]
    for found, folder in differing:
        if not found:
            return folder, [f"{folder} is this run, by its settings and data; an earlier version gave it this name"]
    if not differing:
        return own, []
    found, folder = min(differing, key=lambda one: len(one[0]))
    return own, [f"this is a new run: {folder} differs in {'; '.join(found)}"]


def stored_config(folder: Path) -> RunConfig:
    """The config in a run's folder. InputError as `load_config`."""
    path = folder / CONFIG
    has_file(path)
    config = load_config(path)
    given = read_mapping(path)["method"]
    missing = tuple(f"method.{key}={value}" for key, value in options_of_its_time(given).items() if key not in given)
    return load_config(path, missing) if missing else config


def options_of_its_time(given: Mapping[str, Any]) -> dict[str, Any]:
    """The stored `method:` section of a model; options younger than it mean what the method did then (`EARLIER`)."""
    return {**getattr(method_module(given["name"]), "EARLIER", {}), **given}


def _differences(folder: Path, config: RunConfig, contents: Contents) -> list[str]:
    """In what the run of a folder differs from the one a config describes."""
    try:
        return differences(stored_config(folder), known_contents(folder), config, contents)
    except InputError as error:
        return [f"a config that cannot be read: {error}"]


def known_contents(folder: Path) -> dict[str, str]:
    """What a run has stored of the contents it was made from; before they were stored, what follows from its files."""
    facts = read_facts(folder)
    known = {"shards": facts["manifest_sha256"]} if "manifest_sha256" in facts else {}
    if IMPORTED in facts:
        known[IMPORTED] = content_of(facts[IMPORTED])
    known |= facts.get("contents", {})
    if "training_clips" not in known and has_file(folder / TRAINING_CLIPS):
        known["training_clips"] = training_list([*training_clips(folder)]).sha256
    return known


def training_clips(folder: Path) -> tuple[str, ...]:
    """The keys that a run's list names. InputError when it is damaged."""
    with understood(folder / TRAINING_CLIPS, "is damaged", COPY_AGAIN):
        return keys_in(read_bytes(folder / TRAINING_CLIPS).decode())


def read_facts(folder: Path, *names: str) -> dict[str, Any]:
    """What a run has stored of its data, with these names; nothing before it is begun. InputError when damaged."""
    path = folder / FACTS
    return read_object(path, *names, remedy=COPY_AGAIN) if names or has_file(path) else {}


def renew(folder: Path, config: RunConfig) -> list[str]:
    """Let a finished run take over what may change: evaluation settings and places. Returns what to say of it."""
    stored = stored_config(folder)
    write_text(folder / CONFIG, config.model_copy(update={"validation": stored.validation}).to_yaml())
    carry(folder, config)
    lines = []
    if stored.evaluation != config.evaluation:
        lines.append(f"{folder} takes over the evaluation settings of this config")
    if stored.validation != config.validation:
        lines.append(f"{folder} keeps its validation section: its best epoch was chosen on those clips")
    return lines


def carry(folder: Path, config: RunConfig) -> None:
    """Copy into a run's folder the file that its evaluation needs beside its own weights: the object prior's."""
    prior = config.evaluation.object_prior
    if prior is None or prior.weights == IMAGENET:
        return
    source = Path(prior.weights)
    copy = folder / f"object_prior{source.suffix}"
    with whole_path(copy) as hidden:
        shutil.copyfile(source, hidden)
    facts = {"given": prior.weights, "file": copy.name, "sha256": file_sha256(copy)}
    write_text(folder / CARRIED, json.dumps(facts, indent=1))


def _with_carried(folder: Path, config: RunConfig) -> RunConfig:
    """The config with the run's own copy of its object prior's weights in place of the file it was given."""
    prior = config.evaluation.object_prior
    facts = read_object(folder / CARRIED, remedy=COPY_AGAIN) if has_file(folder / CARRIED) else {}
    if prior is None or facts.get("given") != prior.weights:
        return config
    copied = prior.model_copy(update={"weights": str(folder / facts["file"])})
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"object_prior": copied})})


def prepare(folder: Path, config: RunConfig) -> None:
    """Make the run's folder and write what describes it: config, environment, command."""
    try:
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if may_pass(error):
            raise
        raise InputError(
            f"cannot write the run folder {folder}: {error.strerror}. Choose another with --runs."
        ) from error
    write_text(folder / CONFIG, config.to_yaml())
    write_text(folder / ENVIRONMENT, json.dumps(environment(), indent=1))
    write_text(folder / COMMAND, shlex.join(sys.argv) + "\n")


@dataclass(frozen=True)
class LoadedRun:
    """A finished run, ready to predict: the method is in eval mode, on `device`."""

    folder: Path
    config: RunConfig
    method: BaseMethod
    front_end: str
    manifest_sha256: str
    device: torch.device
    weights: str = "last"

    @property
    def weights_file(self) -> Path:
        """Where its weights lie."""
        return self.folder / (WEIGHTS if self.weights == "last" else BEST_WEIGHTS)

    def viewing(self, view: str | None) -> "LoadedRun":
        """The same run, shown frames in another way than its config says; None leaves it as it is.

        InputError for a view that is not known.
        """
        if view is None:
            return self
        if view not in VIEWS:
            raise InputError(f"There is no view {view!r}.{did_you_mean(view, VIEWS)} Give --view {' or '.join(VIEWS)}.")
        evaluation = self.config.evaluation.model_copy(update={"view": view})
        return replace(self, config=self.config.model_copy(update={"evaluation": evaluation}))


def build_method(config: RunConfig) -> BaseMethod:
    """The method a config names, with freshly initialised (or pretrained) weights."""
    return method_module(config.method.name).Method(config.method.options, config.encoders)


def load_run(folder: Path | str, device: str | torch.device = "cpu", weights: str = "last") -> LoadedRun:
    """Open a finished run with its last epoch's weights, or those that were best on its validation clips.

    Raises InputError when it is missing, unfinished or damaged, or kept no best ones.
    """
    file = weights_of(Path(folder), weights)
    folder = file.parent
    config = _with_carried(folder, stored_config(folder))
    facts = read_facts(folder, "front_end", "manifest_sha256")
    if facts["front_end"] not in front_end_names():
        raise InputError(f"{folder / FACTS} names {facts['front_end']!r}, which is no front end here. {COPY_AGAIN}")
    with understood(folder / FACTS, "is damaged", COPY_AGAIN):
        own = carried(config, known_contents(folder))
    method = build_empty(config)
    with understood(file, "is damaged, or not of this run", WEIGHTS_AGAIN), opened(file):
        tensors, metadata = read_tensors(file)
        if foreign := of_another(json.loads(metadata.get(RUN, "null")), own):
            raise Damaged(foreign)
        method.load_state_dict(tensors)
    device = torch.device(device)
    return LoadedRun(
        folder, config, method.to(device).eval(), facts["front_end"], facts["manifest_sha256"], device, weights
    )


def open_run_shards(run: LoadedRun, given: Folders | None) -> ShardStore:
    """The shards given, else those the run was trained on. InputError says where they were if they are not there."""
    own = run.config.data.shards
    if not given and (absent := absent_folders(own)):
        more = "" if isinstance(own, Path) else " once for each of its folders"
        raise InputError(
            f"run {run.folder} was trained on the shards in {named(own)}, seen from the folder it was started in. "
            f"{named(absent)} {'is' if len(absent) == 1 else 'are'} not there. Say where they are now with --shards "
            f"FOLDER{more}."
        )
    return open_shards(given or own)


def absent_folders(given: Folders) -> list[Place]:
    """Those of a config's shard folders that are not there."""
    return [folder for folder in map(place, folders_of(given)) if not folder.is_dir()]


def build_empty(config: RunConfig) -> BaseMethod:
    """The architecture alone: the run's own weights replace whatever it started from."""
    encoders = config.encoders
    bare = encoders.model_copy(
        update={
            "image": encoders.image.model_copy(update={"weights": "none"}),
            "audio": encoders.audio.model_copy(update={"weights": "none"}),
        }
    )
    return build_method(config.model_copy(update={"encoders": bare}))


def write_weights(path: Path, method: nn.Module, run: Mapping[str, Any]) -> None:
    """Every tensor of a method as one safetensors file that carries its run (`carried`), whole or not at all.

    A file that holds the very same is left alone: results know weights by the bytes of their file, and one of an
    earlier version carries no run.
    """
    state = method.state_dict()
    if not _is_held(path, state, run):
        write_tensors(path, state, {RUN: json.dumps(run, sort_keys=True)})


def _is_held(path: Path, state: Mapping[str, Tensor], run: Mapping[str, Any]) -> bool:
    """Whether a whole file of these weights, and of no other run, is there."""
    try:
        if not has_file(path):
            return False
        tensors, metadata = read_tensors(path)
        foreign = of_another(json.loads(metadata.get(RUN, "null")), run)
    except (*UNREADABLE, InputError, ValueError):  # it is replaced
        return False
    return not foreign and tensors.keys() == state.keys() and all(_equal(tensors[name], state[name]) for name in state)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other.cpu())
