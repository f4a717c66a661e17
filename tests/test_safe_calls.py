"""No call in the packages runs what it reads: no pickle, no shell, no unsafe YAML."""

import ast
from pathlib import Path

import pytest
from every import for_every
from places import ROOT

PACKAGES = ("manifests", "pipeline", "index", "training")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Matched by the last parts of the dotted name, so that `import yaml as y` or `from pickle import load` hide nothing:
# the modules' loading functions may neither be called nor imported by name.
FORBIDDEN = {
    "pickle": {"load", "loads", "Unpickler"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "yaml": {"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"},
    "os": {"system", "popen"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "builtins": {"eval", "exec"},
}


def unsafe(source: str) -> list[str]:
    """Every expression that could run code out of data, as written."""
    tree = ast.parse(source)
    names = _imported(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(node) for node in calls if _is_unsafe(node, names)]


def _imported(tree: ast.Module) -> dict[str, str]:
    """Full names by the names a file gives them."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _is_unsafe(node: ast.Call, names: dict[str, str]) -> bool:
    first, dot, rest = ast.unparse(node.func).partition(".")
    module, _, function = f"{names.get(first, first)}{dot}{rest}".rpartition(".")
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    return (
        function in FORBIDDEN.get(module or "builtins", ())
        or given.get("shell", "False") != "False"
        or given.get("allow_pickle", "False") != "False"
        or ((module, function) == ("torch", "load") and given.get("weights_only") != "True")
    )


@for_every(FILES, lambda path: ".".join(path.relative_to(ROOT).with_suffix("").parts))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    assert unsafe(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(handle)",
        "from pickle import loads as read\nread(content)",
        "import yaml as y\ny.load(text, Loader=y.Loader)",
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "from torch import load\nload(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(line, shell=True)",
        "os.system(line)",
        "eval(text)",
    ],
)
def test_the_check_sees_what_is_forbidden(source: str) -> None:
    assert len(unsafe(source)) == 1


def test_the_check_lets_safe_calls_pass() -> None:
    source = "torch.load(p, weights_only=True)\nnp.load(p, allow_pickle=False)\nyaml.safe_load(t)\nmodel.eval()"
    assert unsafe(source) == []


# Whole files read by pathlib itself, which waits at a pipe and never ends at a device: what nobody gives.
OWN_FILES = {
    "manifests/files/whole.py": "a file compared with what would be written in its place",
    "pipeline/jobs/code_version.py": "the code's own files",
    "pipeline/jobs/clip_reader.py": "of object storage",
    "pipeline/jobs/totals.py": "a table written a moment before",
    "pipeline/console.py": "the checkout's own pyproject.toml",
    "pipeline/media/ffmpeg_decoder.py": "scratch of one call",
    "pipeline/storage/files.py": "of object storage",
    "training/loop/free_memory.py": "of the system",
    "training/serve/page.py": "the page's own style and script",
}


def test_given_files_are_read_through_the_one_opener() -> None:
    """`manifests.files.given`, which refuses what is no regular file and reads no more than it says."""
    found = {
        str(path.relative_to(ROOT))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _reads_whole(node)
    }
    assert found == set(OWN_FILES)


def _reads_whole(node: ast.Call) -> bool:
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    return method == "read_text" or (method == "read_bytes" and not node.args)
