"""Options that say how something is done, which another option asks for."""

import typer

from manifests.errors import InputError


def check_together(context: typer.Context, **asked_for_by: str) -> None:
    """InputError for an option that was typed without the one that makes it count: it would be dropped in silence.

    `asked_for_by` names them as parameters: `burst_rate="burst"`.
    """
    for name, other in asked_for_by.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and not context.params[other]:
            raise InputError(
                f"{_option(name)} says how {_option(other)} is done, which was not given. Give both, or neither."
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
