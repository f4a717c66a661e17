"""`training run` repeated when the run is finished and some of what it was made from is not there any more.

Which run a config describes is a matter of content, and content that is gone cannot be compared. Then the only finished
run of the same settings and the same places is the one that is meant.
"""

from pathlib import Path

from index.encoders.imagenet import IMAGENET
from manifests.errors import InputError
from manifests.files.given import has_file
from training.config import RunConfig
from training.data.selection import train_list
from training.loop.inputs import check_evaluation
from training.run_folders.files import CONFIG, DONE
from training.run_folders.identity import PLACES, differences
from training.runs import absent_folders, known_contents, renew, stored_config


def finished_without_inputs(root: Path, config: RunConfig) -> Path | None:
    """The finished run that a config describes, when it is the only one and not all of its inputs are there."""
    fitting = [folder for folder in sorted((root / config.name).glob(f"*-s{config.seed}")) if has_file(folder / DONE)]
    fitting = [folder for folder in fitting if _same_settings_and_places(folder, config)]
    return fitting[0] if len(fitting) == 1 and absent_inputs(fitting[0], config) else None


def absent_inputs(folder: Path, config: RunConfig) -> list[str]:
    """What the run of a folder was made from, of the places that a config names, and is not there."""
    data, encoders = config.data, config.encoders
    prior = config.evaluation.object_prior
    weights = [encoders.image.weights, encoders.audio.weights, *([prior.weights] if prior else [])]
    files = [source for source in dict.fromkeys(weights) if source not in (IMAGENET, "none")]
    absent = [*map(str, absent_folders(data.shards)), *(source for source in files if not Path(source).is_file())]
    if config.init_from is not None and not config.init_from.is_dir():
        absent.append(str(config.init_from))
    if "neighbours" in known_contents(folder) and not data.neighbours.is_dir():
        absent.append(str(data.neighbours))
    return absent + ([] if _has_list(config) else [str(data.train_list)])


def take_over(folder: Path, config: RunConfig) -> list[str]:
    """Let the run have the config's evaluation settings, where they are others; returns what to say.

    InputError for settings that cannot be used.
    """
    absent = ", ".join(absent_inputs(folder, config))
    said = [f"{folder} is this run, by its settings: what it was made from is not all there any more ({absent})"]
    if stored_config(folder).evaluation == config.evaluation:
        return said
    check_evaluation(config)
    return said + renew(folder, config)


def _same_settings_and_places(folder: Path, config: RunConfig) -> bool:
    try:
        return has_file(folder / CONFIG) and not differences(
            stored_config(folder), {}, config, dict.fromkeys(PLACES, "")
        )
    except InputError:
        return False


def _has_list(config: RunConfig) -> bool:
    try:
        train_list(config.data)
    except InputError:
        return False
    return True
