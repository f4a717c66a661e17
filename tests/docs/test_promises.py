"""Every line of docs/promises.md names a test that is there."""

import ast
import re

from every import for_every
from places import ROOT

LINES = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]
PROMISES = [line for line in LINES if not line.endswith("| held by |")]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@for_every(PROMISES, lambda line: line[2:42])
def test_the_test_of_a_promise_is_there(line: str) -> None:
    named = NAMED.findall(line)
    assert named, "this promise names no test"
    for path, test in named:
        nodes = ast.walk(ast.parse((ROOT / path).read_text()))
        assert test in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
