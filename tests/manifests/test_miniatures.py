"""The miniature lists are what their scripts make."""

import gzip
import subprocess
import sys
from pathlib import Path

from places import MINIATURES


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by its path, unpacked: what packs them may differ between machines."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
        for path in files
    }


def test_the_scripts_make_the_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(MINIATURES.parent / "make.py"), str(tmp_path)], check=True)
    assert contents(tmp_path) == contents(MINIATURES)
