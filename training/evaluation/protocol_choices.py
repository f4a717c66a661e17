"""Choices within a protocol, given behind its name: `adaptive_masks+frames_per_batch=8`, `vssl+quantile=0.9`.

A record's class names in `choices` which of its fields may be chosen; those only that change what is measured. What is
chosen becomes a part of the name, so that numbers of two choices never share a column; a value that the record has
anyway does not.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from training.evaluation.protocol import Protocol

SPELLED = {">=": "ge", ">": "gt", True: "true", False: "false"}  # a shell would take `>` for a redirection


def with_choices(protocol: Protocol, written: Sequence[str]) -> Protocol:
    """The protocol with fields as written, `field=value` each, and a name that says so. InputError for what is not."""
    values: dict[str, Any] = {}
    for each in written:
        field, _, text = each.partition("=")
        if field not in protocol.choices:
            known = ", ".join(protocol.choices) or "nothing"
            meant = did_you_mean(field, protocol.choices)
            raise InputError(f"Under {protocol.name} there is no choice of {field!r}.{meant} It has {known} to choose.")
        if field in values:
            raise InputError(f"{field} of the protocol {protocol.name} is chosen twice. Choose it once.")
        values[field] = _read(protocol, field, text)
    chosen = {field: value for field, value in values.items() if value != getattr(protocol, field)}
    name = "+".join([protocol.name, *(f"{field}={spelled(chosen[field])}" for field in sorted(chosen))])
    try:
        found = replace(protocol, name=name, **chosen)
    except ValueError as error:
        raise InputError(f"There is no protocol {name!r}: {error}.") from error
    if idle := sorted(found.idle & chosen.keys()):
        raise InputError(f"There is no protocol {name!r}: {', '.join(idle)} would change nothing. Leave it out.")
    return found


def spelled(value: Any) -> str:
    """A value as it is written behind a name."""
    return SPELLED[value] if isinstance(value, str | bool) and value in SPELLED else str(value)


def choices_in_words(protocol: Protocol) -> list[str]:
    """Every choice that changes something with what it may be, `comparator=ge|gt`."""
    return [f"{field}={_allowed(protocol, field)}" for field in protocol.choices if field not in protocol.idle]


def _kind(protocol: Protocol, field: str) -> Any:
    return get_type_hints(type(protocol))[field]


def _allowed(protocol: Protocol, field: str) -> str:
    kind = _kind(protocol, field)
    if get_origin(kind) is Literal:
        return "|".join(spelled(value) for value in get_args(kind))
    return {bool: "true|false", int: "a whole number", float: "a number"}.get(kind, "a name")


def _read(protocol: Protocol, field: str, text: str) -> Any:
    """The value that a text stands for. InputError says what it may be."""
    kind = _kind(protocol, field)
    known = get_args(kind) if get_origin(kind) is Literal else (True, False) if kind is bool else None
    if known is not None:
        by_text = {spelled(value): value for value in known}
        if text in by_text:
            return by_text[text]
    elif (value := _number_or_name(kind, text)) is not None:
        return value
    allowed = _allowed(protocol, field)
    raise InputError(f"{field}={text} is nothing that the protocol {protocol.name} knows. Give {field}={allowed}.")


def _number_or_name(kind: type, text: str) -> int | float | str | None:
    try:
        value = kind(text)
    except ValueError:
        return None
    return None if isinstance(value, float) and not isfinite(value) else value
