"""What a run can be at most or at least: beyond these a config is a mistake, or meant to harm, and would only fail
later."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from manifests.files.names import name_problem

SMALLEST_IMAGE, LARGEST_IMAGE = 32, 4096  # pixels of a side that a model sees; 32 are one cell of most trunks
LARGEST_CROP_SCALE = 4.0  # the model then sees a sixteenth of a frame
MOST_READERS = 1024  # processes
MOST_PARAMETERS = 2**31  # of a trunk; ResNet-152 has 6 * 10**7
LARGEST_SEED = 2**63 - 1  # that torch takes


def _name(given: str) -> str:
    """Of the run's folder below `--runs`: folders within one another at most."""
    for part in given.split("/"):
        if problem := name_problem(part):
            raise PydanticCustomError("name", "a name, or a part of one, {problem}", {"problem": problem})
    return given


Name = Annotated[str, AfterValidator(_name)]
Pool = Annotated[int, Field(gt=0, le=64)]  # cells of a spectrogram; each has more of them
