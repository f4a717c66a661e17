"""JSON and YAML as plain data: dicts, lists, text and numbers, none of them such that it fails later on.

Both can say more than a program expects: a number of 400 digits, half of a character, brackets in brackets without end,
a key twice, ten lines that stand for billions of values. Whatever of it is met is said where it stands.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from manifests.files.given import printable, reason, shortened

if TYPE_CHECKING:
    from yaml import Node

DEEPEST = 64  # brackets within one another
MOST_VALUES = 100_000  # of a YAML file, each counted as often as it is meant
LARGEST_WHOLE = 2**63 - 1  # and its negative; no number of a corpus or a config comes near
HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
NO_NAME = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")  # the others are how python writes bytes of names
MERGE = "<<"  # YAML's key for "all of that mapping", which may stand twice
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class NotPlain(ValueError):
    """The text is no JSON or YAML, or stands for what no program can use."""


def parse_json(
    text: str | bytes, refused: re.Pattern[str] = HALF_CHARACTER, whole: Callable[[str], Any] | None = None
) -> Any:
    """The value that a JSON text stands for, if none of its texts holds what is `refused`. Raises NotPlain, as for a
    key given twice, and for numbers of more than 64 bits unless `whole` makes something of a whole number's digits."""
    try:
        value = json.loads(text, parse_int=whole or _whole, object_pairs_hook=_object)
    except NotPlain:
        raise
    except (ValueError, RecursionError) as error:
        raise NotPlain(f"is not valid JSON: {reason(error)}") from error
    written = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if _ESCAPED_HALF.search(written) and refused.search(json.dumps(value, ensure_ascii=False)):
        raise NotPlain("holds half of a character (a lone surrogate such as \\ud800)")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        _check_once((key,) for key, _ in pairs)
    return value


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """The same of an object that this project wrote: names of files in it may hold any byte."""
    value = parse_json(text, NO_NAME)
    if not isinstance(value, dict):
        raise NotPlain(f"holds {type(value).__name__}, not an object of named values")
    return value


def object_with(text: str | bytes, *names: str) -> dict[str, Any]:
    """The same of an object that must have these names. Raises NotPlain."""
    value = parse_json_object(text)
    if absent := [name for name in names if name not in value]:
        raise NotPlain(f"lacks {', '.join(absent)}")
    return value


def parse_yaml(text: str) -> Any:
    """The value that a YAML text stands for, None for an empty one. Raises NotPlain."""
    from manifests.files.yaml_loader import Loader

    loader = None
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {}, ())
        return _checked(loader.construct_document(node))
    except NotPlain:
        raise
    except Exception as error:  # of the library over what it did not expect: any kind
        raise NotPlain(f"is not a YAML file: {_told(reason(error))}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _told(complaint: str) -> str:
    """The library's complaint without what it calls the text, and with what to do about a tab."""
    remedy = ". YAML is indented with blanks, never with tabs" if "'\\t' that cannot start" in complaint else ""
    return complaint.replace('in "<unicode string>", ', "at ") + remedy


def whole_or_nan(digits: str) -> int | float:
    """A whole number of at most 64 bits, else NaN: for files of many entries, of which one may be bad. It is equal to
    nothing, so that no number of an entry is taken for another's."""
    try:
        return _whole(digits)
    except ValueError:
        return float("nan")


def _whole(digits: str) -> int:
    """A whole number of at most 64 bits."""
    value = int(digits) if len(digits) < len(str(LARGEST_WHOLE)) + 2 else LARGEST_WHOLE + 1
    if abs(value) > LARGEST_WHOLE:
        raise ValueError(f"the number {shortened(digits, 24)} has {len(digits)} digits")
    return value


def _measure(node: "Node", known: dict[int, tuple[int, int]], above: tuple[int, ...]) -> tuple[int, int]:
    """How many values a node stands for, repeated ones counted each time, and how deep they lie."""
    if id(node) in above:
        raise NotPlain("contains itself (an alias `*name` within its own `&name`)")
    if id(node) not in known:
        inner = [_measure(child, known, (*above, id(node))) for child in _children(node)]
        count, depth = 1 + sum(count for count, _ in inner), 1 + max((depth for _, depth in inner), default=0)
        if depth > DEEPEST:
            raise NotPlain(f"is nested more than {DEEPEST} deep")
        if count > MOST_VALUES:
            raise NotPlain(f"stands for more than {MOST_VALUES:,} values")
        known[id(node)] = count, depth
    return known[id(node)]


def _children(node: "Node") -> "list[Node]":
    from yaml import ScalarNode, SequenceNode

    if isinstance(node, ScalarNode):
        return []
    if isinstance(node, SequenceNode):
        return node.value
    keys = [(key.value, key.tag) for key, _ in node.value if isinstance(key, ScalarNode) and key.value != MERGE]
    _check_once(keys)
    return [part for pair in node.value for part in pair]


def _check_once(keys: Iterable[tuple[str, ...]]) -> None:
    """NotPlain for a mapping's keys (a key's text, and in YAML its tag) of which one comes twice."""
    seen = set[tuple[str, ...]]()
    for key in keys:
        if key in seen:
            raise NotPlain(f"has the key {shortened(key[0], 80)!r} twice in one mapping")
        seen.add(key)


def _checked(value: Any) -> Any:
    """The value, when every text and number in it can be used."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _checked(key), _checked(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            _checked(inner)
    elif isinstance(value, str) and (HALF_CHARACTER.search(value) or "\0" in value):
        raise NotPlain(f"holds a text that no file or name can have: {printable(shortened(value, 80))}")
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise NotPlain(f"holds a whole number above {LARGEST_WHOLE}")
    return value
