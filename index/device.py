"""The one reading of `--device`, for every command that has it. Names only: nothing heavy is imported."""

import re

from manifests.errors import InputError

AUTO = "auto"


def device_number(given: str) -> int | None:
    """N of `cuda:N`, 0 for `cuda`, None for `auto` and `cpu`. InputError for anything else."""
    found = re.fullmatch(r"auto|cpu|cuda(?::(0|[1-9][0-9]*))?", given)
    if found is None:
        raise InputError(f"--device {given!r} is no device. Give auto, cpu, cuda or cuda:N with the number of a GPU.")
    return int(found[1] or 0) if given.startswith("cuda") else None


def chosen_device(given: str, gpus: int, library: str) -> str:
    """`cpu` or `cuda:N` where a library sees so many GPUs; `auto` is the first GPU there is.

    InputError for what is no device, and for a GPU that is not there.
    """
    number = device_number(given)
    if given == AUTO:
        return "cuda:0" if gpus else "cpu"
    if number is not None and number >= gpus:
        seen = f"{gpus} GPUs" if gpus else "no GPU"
        raise InputError(f"--device {given} was asked for, but {library} sees {seen} here. Use --device cpu or auto.")
    return "cpu" if number is None else f"cuda:{number}"
