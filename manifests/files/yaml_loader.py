"""How plain YAML scalars are read: as YAML 1.2 and the readers of a config mean them, where the library's YAML 1.1 does
not.

For YAML 1.1 `010` is 8, as base 8, and `1:00` is 60, as minutes and seconds. Here `010` stays a text: where a number is
expected it is 10, as in YAML 1.2 and as job arrays count (`seed=08`, `seed=010`), and a name keeps its zeros. `1:00`
is a text as well, which no number can be.
"""

import re

import yaml

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_MEANT = {
    _INT: re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)$"),
    _FLOAT: re.compile(
        r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}


_OTHERWISE = re.compile(r"[-+]?0[0-9_]+$|.*:")  # what the library makes numbers to the bases 8 and 60 of


class Loader(yaml.SafeLoader):
    """The library's safe reader, with these numbers and no others."""


def _by_tag(loader: Loader, node: yaml.ScalarNode) -> object:
    """A number, also where its tag calls it one (`!!int 010`): that is the text that it is without the tag."""
    if _OTHERWISE.match(text := loader.construct_scalar(node)):
        return text
    return loader.construct_yaml_int(node) if node.tag == _INT else loader.construct_yaml_float(node)


Loader.yaml_implicit_resolvers = {
    first: [(tag, _MEANT.get(tag, pattern)) for tag, pattern in resolvers]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag in _MEANT:
    Loader.add_constructor(_tag, _by_tag)
