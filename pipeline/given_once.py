"""An option that takes one value is given once: of two, the last would count, and nobody would know of the first."""

from collections import Counter
from typing import Any

from typer.core import TyperCommand

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError

SETTINGS = "overrides"  # the argument that takes them


class OnceEach(TyperCommand):
    """A command that refuses what it would not use. The rule of all commands (`pipeline.console.run_app`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the library's. InputError for an option of one value that stands there twice."""
        if "--help" not in args:
            self._check_settings(args)
            self._check(ctx, list(args))
        return super().parse_args(ctx, args)

    def _check_settings(self, args: list[str]) -> None:
        """Settings of a config are no options: other programs write `--epochs 3`."""
        known = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        option = next((arg for arg in args if arg.startswith("--") and arg.partition("=")[0] not in known), None)
        if option not in (None, "--") and any(each.name == SETTINGS for each in self.params):
            raise InputError(
                f"There is no option {option}.{did_you_mean(option, known)} Settings of a config are given as "
                "section.key=value, for example optim.epochs=3."
            )

    def _check(self, ctx: Any, args: list[str]) -> None:
        _, _, order = self.make_parser(ctx).parse_args(args)
        times = Counter(option.name for option in order if option.param_type_name == "option" and not option.multiple)
        for option in order:
            if times[option.name] > 1:
                name = max(option.opts, key=len)
                raise InputError(f"{name} is given {times[option.name]} times, and takes one value. Give it once.")
