"""What may be named as a model, told from the text and the folders here alone: none is opened, torch not loaded."""

import re
from pathlib import Path

from manifests.errors import InputError

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
