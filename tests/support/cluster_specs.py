"""The specs of manifests/cluster, and what is in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from places import ROOT

CLUSTER = ROOT / "manifests" / "cluster"
KUBERNETES = sorted((CLUSTER / "kubernetes").glob("*.yaml"))
SLURM = sorted((CLUSTER / "slurm").iterdir())
COMPOSE = CLUSTER / "compose.yaml"


def read(path: Path) -> dict[str, Any]:
    """The one document of a file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def everything(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, at any depth."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from everything(child)


def with_defaults(words: list[str]) -> list[str]:
    """Words of a compose file in an environment where nothing is set."""
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in words]


def typed(document: dict[str, Any]) -> Iterator[list[str]]:
    """The command lines of a document's containers, services and trainers."""
    for mapping in everything(document):
        words = [*mapping.get("command", []), *mapping.get("args", [])] if _runs(mapping) else []
        if words[:2] == ["bash", "-c"]:
            words = shlex.split(words[2])
        if words:
            yield words


def _runs(mapping: dict[str, Any]) -> bool:
    return any(isinstance(mapping.get(name), list) for name in ("command", "args"))
