"""What counts as a number in a config: `true` is none, and published ones are fractions, or named."""

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from manifests.commands.near_names import did_you_mean
from training.published import entries
from training.settings.mistakes import carrying

SIGNED = ("correlation_", "ciou_drop_")  # scores from -1 to 1
Numbers = dict[str, dict[str, dict[str, dict[str, float]]]]


def refuse_switch(given: Any, annotation: Any) -> Any:
    """What is given for a field of this type; an error where it is, or holds, `true` in place of a number.

    Python takes that for 1, and YAML writes it `yes` and `on`, too.
    """
    kinds = _kinds(annotation)
    if bool not in kinds and kinds & {int, float} and _has_switch(given):
        raise PydanticCustomError("switch", "a number is expected, not true or false")
    return given


def _kinds(annotation: Any) -> set[Any]:
    """The plain types within an annotation."""
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    inner = get_args(annotation)
    return set().union(*map(_kinds, inner)) if inner else {annotation} if isinstance(annotation, type) else set()


def _has_switch(given: Any) -> bool:
    inner = given.values() if isinstance(given, dict) else given if isinstance(given, list | tuple) else ()
    return isinstance(given, bool) or any(map(_has_switch, inner))


def _fractions(paper: Numbers) -> Numbers:
    """Published numbers as they are; an error names each that is per cent, which would be shown times 100."""
    lines = [
        f"  paper.{'.'.join((test_set, protocol, map_name, score))}: a fraction from 0 to 1 is expected, as 0.4 for a "
        f"paper's 40 % (given: {value:g})"
        for test_set, protocols in paper.items()
        for protocol, maps in protocols.items()
        for map_name, scores in maps.items()
        for score, value in scores.items()
        if not (-1 if score.startswith(SIGNED) else 0) <= value <= 1
    ]
    if lines:
        raise carrying(lines)
    return paper


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of published entries as they are; an error names each that there is not."""
    known = entries()
    lines = [
        f"  published: there are no published numbers called {name!r}.{did_you_mean(name, known)}"
        for name in names
        if name not in known
    ]
    if lines:
        raise carrying(lines)
    return names


Paper = Annotated[Numbers, AfterValidator(_fractions)]
Published = Annotated[tuple[str, ...], AfterValidator(_known)]
