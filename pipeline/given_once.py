"""An option that takes one value is given once: of two, the last would count, and nobody would know of the first."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError

SETTINGS = "overrides"  # the argument that takes them


class OnceEach(TyperCommand):
    """A command that refuses what it would not use. The rule of all commands (`pipeline.console.run_app`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the library's. InputError for an option of one value that stands there twice."""
        typed: Mapping[str, Any] = {}
        if "--help" not in args:
            self._check_settings(args)
            typed = self._typed(ctx, list(args))
        rest = super().parse_args(ctx, args)
        self.check_typed(typed, ctx.params)
        return rest

    def check_typed(self, typed: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """For what else is refused: the words of each parameter as they were typed, and what was made of them."""

    def _check_settings(self, args: list[str]) -> None:
        """Settings of a config are no options: other programs write `--epochs 3`."""
        known = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        named = (arg.partition("=")[0] for arg in args if arg.startswith("--"))
        option = next((name for name in named if name not in known), None)
        if option not in (None, "--") and any(each.name == SETTINGS for each in self.params):
            raise InputError(
                f"There is no option {option}.{did_you_mean(option, known)} Settings of a config are given as "
                "section.key=value, for example optim.epochs=3."
            )

    def _typed(self, ctx: Any, args: list[str]) -> Mapping[str, Any]:
        typed, _, order = self.make_parser(ctx).parse_args(args)
        times = Counter(option.name for option in order if option.param_type_name == "option" and not option.multiple)
        for option in order:
            if times[option.name] > 1:
                name = max(option.opts, key=len)
                raise InputError(f"{name} is given {times[option.name]} times, and takes one value. Give it once.")
        return typed
