"""Several things that may be refused, each tried, and all refusals said at once."""

from collections.abc import Callable
from typing import TypeVar, cast

from manifests.errors import InputError

Made = TypeVar("Made")


class Mistakes:
    """Attempts things that may be refused, and keeps every refusal until `refuse`."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}  # in order, each once

    def attempt(self, where: str, work: Callable[..., Made], *given: object) -> Made:
        """What the work makes of what is given.

        None where it is refused, or where some of what is given was: `refuse` ends the run before anybody uses it.
        """
        if any(one is None for one in given):
            return cast(Made, None)
        try:
            return work(*given)
        except InputError as error:
            said = str(error)
            self.found[said if said.startswith(where) else f"{where}: {said}"] = None
            return cast(Made, None)

    def refuse(self, name: str) -> None:
        """InputError with all of them, if there are any."""
        if self.found:
            several = f"{name} has {len(self.found)} mistakes:\n  " if len(self.found) > 1 else ""
            raise InputError(several + "\n  ".join(self.found))
