"""What is there and is no file (a folder, a pipe, a dangling link) is never said to be missing, nor passed over.

`manifests.files.given.has_file` is the gate. Whatever else asks by itself whether a file is there says here why.
"""

import ast
import os
from pathlib import Path

import pytest
from every import for_every
from places import ROOT

from manifests.catalogue import catalogue, known_tests, resolve
from manifests.errors import InputError
from manifests.files.given import has_file, is_there

PACKAGES = ("manifests", "index", "training")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
OUTPUT = "an output, which `check_output` has looked at"
UPLOADS = "uploads and their folder, which the server alone writes"
USERS = "what a user names, a file or a pattern, whose reader refuses what is none"
ALLOWED = {
    "manifests/catalogue.py": "a name may be a folder's as well; one of several files of a name",
    "manifests/files/given.py": "the gate",
    "manifests/files/outputs.py": "says itself what may not be written over",
    "manifests/files/temporary.py": "a lock of ours, in our own temporary folder",
    "manifests/files/whole.py": OUTPUT,
    "index/cli.py": "folders that need not be there",
    "index/exchange.py": OUTPUT,
    "training/cli.py": OUTPUT,
    "training/export/folder.py": "an object prior that is not there is left out, which is said",
    "training/import_checkpoint.py": "says how many files of a part there are",
    "training/localize/command.py": OUTPUT,
    "training/localize/documents.py": OUTPUT,
    "training/localize/options.py": USERS,
    "training/localize/videos.py": USERS,
    "training/localizer/localization.py": OUTPUT,
    "training/localizer/media.py": "says itself what is no file",
    "training/loop/free_memory.py": "what the kernel tells",
    "training/loop/inputs.py": "words of a refusal; weights that their reader has opened",
    "training/loop/repeated.py": "says that what a finished run was made from is not there any more",
    "training/model_names.py": "a folder, where a name of the Hub would be none",
    "training/pretrain.py": OUTPUT,
    "training/report/sources.py": "the source of a clip, without which a page is made",
    "training/run_folders/asked_config.py": "words of a refusal",
    "training/score_file.py": OUTPUT,
    "training/serve/visits.py": UPLOADS,
    "training/serve/workplace.py": UPLOADS,
    "training/settings/files.py": "a packaged config",
}
ASKING = {"is_file", "exists", "isfile"}


def asks(source: str) -> bool:
    """Whether a module asks by itself whether a file is there."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr in ASKING for call in calls)


@for_every(FILES, lambda path: str(path.relative_to(ROOT)))
def test_files_are_looked_for_through_the_gate(path: Path) -> None:
    assert not asks(path.read_text()) or str(path.relative_to(ROOT)) in ALLOWED


def test_what_is_allowed_is_still_there() -> None:
    asking = {str(path.relative_to(ROOT)) for path in FILES if asks(path.read_text())}
    assert ALLOWED.keys() - asking == set()


def pipe(path: Path) -> None:
    os.mkfifo(path)


SPECIAL = {
    "a named pipe": pipe,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link that leads nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to itself, that leads nowhere": lambda path: path.symlink_to(path.name),
}


def in_words(kind: str) -> str:
    return "a link that leads nowhere" if kind.startswith("a link") else kind


@pytest.mark.parametrize("kind", SPECIAL)
def test_the_gate_says_what_is_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    assert not has_file(path)
    assert not is_there(path)
    SPECIAL[kind](path)
    with pytest.raises(InputError, match=f"x is {in_words(kind)}, not a file. Put the file there, or take"):
        has_file(path)
    if kind == "a folder":
        assert is_there(path)
    else:
        with pytest.raises(InputError, match=in_words(kind)):
            is_there(path)


def test_the_gate_follows_links_to_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    (tmp_path / "link").symlink_to("x")
    assert has_file(tmp_path / "link")
    assert is_there(str(tmp_path / "link"))
    assert not has_file(tmp_path / "x" / "below a file")
    assert not has_file("a\0b")


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["vggss.json", "vggss.json.gz", "below/vggss.json"])
def test_a_list_that_is_no_file_is_not_said_to_be_missing(tmp_path: Path, kind: str, name: str) -> None:
    assert resolve("vggss", (tmp_path,)) is None
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    SPECIAL[kind](path)
    for look in (lambda: resolve("vggss", (tmp_path,)), lambda: known_tests((tmp_path,))):
        with pytest.raises(InputError, match=rf"{name} is {in_words(kind)}, not a file"):
            look()
    with pytest.raises(InputError, match=rf"{name} is {in_words(kind)}, not a file"):
        resolve(str(path), ())


def test_a_folder_that_is_called_as_the_file_in_it_hides_nothing(tmp_path: Path) -> None:
    """As some programs unpack an archive of one file."""
    (tmp_path / "vggss.json").mkdir()
    (tmp_path / "vggss.json" / "vggss.json").write_text('[{"file": "a", "class": "b", "bbox": [[0, 0, 1, 1]]}]')
    assert catalogue()["vggss"].files == ("vggss.json",)
    found = resolve("vggss", (tmp_path,))
    assert found is not None
    assert found.ids == ("a",)
