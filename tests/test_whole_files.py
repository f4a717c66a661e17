"""One helper renames files into place, one reads Parquet, one makes temporary folders: no other module does it."""

import ast
from pathlib import Path

import pytest
from every import for_every
from places import ROOT

PACKAGES = ("manifests", "pipeline", "index", "training")
HELPERS = {"manifests/files/whole.py", "manifests/files/parquet.py", "manifests/files/temporary.py"}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
RENAMING = {"os.replace", "os.rename", "os.renames", "shutil.move", "os.link"}
READING_PARQUET = {"read_table", "ParquetFile", "ParquetDataset", "read_parquet", "read_pandas", "dataset"}
TEMPORARY = {"mkdtemp", "mkstemp", "TemporaryDirectory", "NamedTemporaryFile"}  # a kill would leave it for good
SAVING = {"np.save", "np.savez", "np.savez_compressed", "torch.save", "save_file", "pq.write_table", "pq.ParquetWriter"}
WRITING_MODES = ("w", "x", "a", "+")
OPENERS = ("", "io", "av", "tarfile", "gzip", "wave")  # whose `open` takes the file first, then the mode
GIVEN = {"handle", "hidden", "buffer"}  # by a helper, or in memory
# Files that need not appear whole, and why.
ALLOWED = {
    ("index/encoders/tensor_file.py", "_order_metadata"): "still the hidden file of a helper, before it has its name",
    ("manifests/commands/endings.py", "_tell_launcher"): "torchrun's own file for what failed, in its own folder",
    ("training/serve/examples.py", "_example"): "scratch of one server",
    ("training/serve/workplace.py", "_shown"): "scratch of one server",
    ("index/arrays.py", "write_array"): "a folder that is published when all of it is there",
    ("index/arrays.py", "write_keys_and_meta"): "a folder that is published when all of it is there",
    ("pipeline/compose/material.py", "_keep"): "scratch of one command, which reads it when all of it is there",
    ("pipeline/jobs/attempt_log.py", "__init__"): "a journal, appended to",
    ("pipeline/jobs/attempt_log.py", "add"): "a journal on object storage",
    ("pipeline/jobs/clip_reader.py", "_local"): "in the decoder's temporary folder, which goes with it",
    ("pipeline/media/ffmpeg_decoder.py", "decode_clip_ffmpeg"): "in the decoder's temporary folder, which goes with it",
    ("pipeline/storage/cache.py", "keep"): "a number that is changed in place, under a lock",
    ("training/loop/metrics_log.py", "__init__"): "a log, appended to",
    ("training/loop/not_finite.py", "note"): "a log, appended to",
}


def bypasses(source: str) -> list[tuple[str, str]]:
    """(function, call as written) of all that renames a file, writes one under its own name, makes a temporary one, or
    reads Parquet."""
    found = []

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.Call) and _is_bypass(node):
            found.append((function, ast.unparse(node)))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(source), "")
    return found


def _is_bypass(node: ast.Call) -> bool:
    owner, _, method = ast.unparse(node.func).rpartition(".")
    name = f"{owner}.{method}"
    if name == "shutil.copyfile":
        return not (isinstance(node.args[1], ast.Name) and node.args[1].id in GIVEN)
    if (
        name in RENAMING
        or method in TEMPORARY
        or (owner in ("pq", "pyarrow.parquet", "ds", "pd") and method in READING_PARQUET)
    ):
        return True
    if name in SAVING or method in SAVING:
        return not any(isinstance(value, ast.Name) and value.id in GIVEN for value in node.args)
    if method == "open":
        return _writes(node, 1 if owner in OPENERS else 0)
    if owner and method in ("rename", "replace"):  # of a path: str.replace takes two, dataclasses' names its fields
        return len(node.args) == 1 and not node.keywords
    return bool(owner) and method in ("write_text", "write_bytes")


def _writes(node: ast.Call, position: int) -> bool:
    """Whether an `open` is one for writing; into what a helper gave, or into memory, it is none."""
    first = node.args[0] if node.args else node
    names = {each.id for each in ast.walk(first) if isinstance(each, ast.Name)}
    if position and (names & GIVEN or ast.unparse(first) == "io.BytesIO()"):
        return False
    given = [*node.args[position : position + 1], *(each.value for each in node.keywords if each.arg == "mode")]
    modes = [value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return any(mode[:1] in WRITING_MODES or "+" in mode for mode in modes)


@for_every(FILES, lambda path: str(path.relative_to(ROOT)))
def test_every_writer_and_reader_uses_the_helpers(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = [] if name in HELPERS else bypasses(path.read_text())
    assert [call for function, call in found if (name, function) not in ALLOWED] == []


def test_what_is_allowed_is_still_there() -> None:
    found = {(str(path.relative_to(ROOT)), function) for path in FILES for function, _ in bypasses(path.read_text())}
    assert ALLOWED.keys() - found == set()


@pytest.mark.parametrize(
    "call",
    [
        "os.replace(partial, path)",
        "os.rename(partial, path)",
        "partial.replace(path)",
        "path.with_name('x').rename(path)",
        "shutil.move(partial, path)",
        "shutil.copyfile(source, path)",
        "path.write_text('x')",
        "(folder / 'x').write_bytes(b'x')",
        "open(path, 'w')",
        "open(path, mode='wb')",
        "path.open('wb')",
        "torch.save(content, path)",
        "save_file(tensors, out)",
        "np.savez(path, maps=maps)",
        "pq.write_table(table, path)",
        "pq.read_table(path)",
        "pq.ParquetFile(path)",
        "tempfile.mkdtemp()",
        "TemporaryDirectory(dir=folder)",
    ],
)
def test_the_check_sees(call: str) -> None:
    assert len(bypasses(call)) == 1


@pytest.mark.parametrize(
    "call",
    [
        "text.replace('a', 'b')",
        "dataclasses.replace(record, name=1)",
        "replace(record, name=1)",
        "open(path, 'rb')",
        "temporary_folder('upload')",
        "tempfile.TemporaryFile()",
        "path.open()",
        "torch.save(content, handle)",
        "write_text(path, 'x')",
        "pq.write_table(table, handle)",
        "shutil.copyfile(source, hidden)",
        "av.open(io.BytesIO(), 'w', format='mp4')",
    ],
)
def test_the_check_lets_pass(call: str) -> None:
    assert bypasses(call) == []
