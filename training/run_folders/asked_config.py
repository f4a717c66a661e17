"""The config that `training run` and `training configs` are asked for; a run's own folder is answered with its file."""

from pathlib import Path

from manifests.commands.counting import counted
from manifests.errors import InputError
from training.run_folders.files import CONFIG
from training.run_folders.finished import how_to_continue
from training.settings.files import find_config


def asked_config(source: str) -> Path:
    """The file as `find_config` has it. InputError for what is none; it says how to go on with a run whose folder, or
    the folder above it, was named."""
    path = Path(source)
    own = [file.parent for file in (path / CONFIG, *sorted(path.glob(f"*/{CONFIG}"))) if file.is_file()]
    try:
        return find_config(source)
    except InputError as error:
        if not own:
            raise
        what = "is a run's folder" if own[0] == path else f"holds {counted(len(own), 'run')}"
        which = "" if own[0] == path else f" of {own[0]}" if len(own) == 1 else f", {own[0]} for example"
        raise InputError(f"{source} {what}, and no config{which}: {how_to_continue(own[0])}.") from error
