"""An option that takes one value is given once: of two, the last would count, and nobody would know of the first."""

from collections import Counter
from typing import Any

from typer.core import TyperCommand

from manifests.errors import InputError


class OnceEach(TyperCommand):
    """A command that refuses what it would not use. The rule of all commands (`pipeline.console.run_app`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the library's. InputError for an option of one value that stands there twice."""
        if "--help" not in args:
            self._check(ctx, list(args))
        return super().parse_args(ctx, args)

    def _check(self, ctx: Any, args: list[str]) -> None:
        _, _, order = self.make_parser(ctx).parse_args(args)
        times = Counter(option.name for option in order if option.param_type_name == "option" and not option.multiple)
        for option in order:
            if times[option.name] > 1:
                name = max(option.opts, key=len)
                raise InputError(f"{name} is given {times[option.name]} times, and takes one value. Give it once.")
