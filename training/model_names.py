"""What may be named as a model, told from the text and the files here alone: no weights are read, torch not loaded."""

import re
from pathlib import Path

from manifests.errors import InputError
from manifests.files.given import has_file, read_bytes
from manifests.files.plain_data import object_with
from training.run_folders.finished import weights_of

CONFIG, WEIGHTS = "config.json", "model.safetensors"  # of an exported model
FORMAT = "sound-source-localization model"
MOST_BYTES = 1 << 24  # of config.json; one with a hundred results has a hundred thousand
ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_name(text: str) -> bool:
    """Whether a text is ORG/NAME, and ORG no folder here: what lies in one is not asked for elsewhere."""
    return ON_HUB.fullmatch(text) is not None and not Path(text).parent.exists()


def check_named(source: Path | str) -> None:
    """InputError for what is neither a folder here nor a name on the Hub."""
    if not is_hub_name(str(source)) and not Path(source).is_dir():
        raise InputError(
            f"no finished run at {source}, and no exported model. Give the folder of a run (or runs/<name>), one of "
            "`training export`, or ORG/NAME on the Hugging Face Hub."
        )


def check_openable(source: Path | str) -> None:
    """InputError for what `open_model` would refuse by the files it finds, so that nothing is loaded before it is said.

    A name on the Hub is asked for when it is opened.
    """
    if is_hub_name(str(source)):
        return
    check_named(source)
    if not is_meant_as_exported(Path(source)):
        weights_of(Path(source))


def is_meant_as_exported(folder: Path) -> bool:
    """Whether a folder is an exported model, or a damaged one, which is told as what it is."""
    return is_exported(folder) or has_file(folder / WEIGHTS)


def is_exported(folder: Path) -> bool:
    """Whether a folder is an exported model, by what its config.json says of itself."""
    try:
        return object_with(read_bytes(folder / CONFIG, MOST_BYTES), "format")["format"] == FORMAT
    except (OSError, ValueError):
        return False
