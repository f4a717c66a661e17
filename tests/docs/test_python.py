"""The Python that README shows and the notebook run as they stand, on a small model and small videos."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from made_run import make_run, small_config
from pages import read_blocks, write_look
from places import ROOT

NOTEBOOK = ROOT / "docs" / "first-steps.ipynb"


@pytest.fixture(scope="module")
def after_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make demo` leaves, as far as these pages speak of it, and a video."""
    folder = tmp_path_factory.mktemp("after-demo")
    make_run(folder / "demo" / "runs" / "demo" / "0123abcd-s0", small_config())
    videos = folder / "demo" / "synth" / "video"
    videos.mkdir(parents=True)
    for look in range(2):
        write_look(videos / f"clip{look}.mp4", look)
    os.link(videos / "clip0.mp4", folder / "holiday.mp4")
    return folder


def test_the_lines_of_readme_run(after_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lines,) = (block.text for block in read_blocks(ROOT / "README.md") if block.language == "python")
    assert len([line for line in lines.splitlines() if line]) <= 5
    monkeypatch.chdir(after_demo)
    names: dict[str, object] = {}
    exec(compile(lines, "README.md", "exec"), names)
    assert isinstance(names["result"].maps, np.ndarray)
    assert (after_demo / "overlay.mp4").stat().st_size > 1000


def test_the_cells_of_the_notebook_run_and_are_kept_without_output(
    after_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, in this process."""
    import matplotlib.pyplot as plt

    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    monkeypatch.chdir(after_demo)
    (after_demo / "overlay.mp4").unlink(missing_ok=True)
    plt.switch_backend("agg")
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), "notebook", "exec"), names)
    drawn = len(plt.get_fignums())
    plt.close("all")
    assert drawn == 2
    assert (after_demo / "overlay.mp4").is_file()


@pytest.mark.slow
def test_the_notebook_runs_in_a_kernel(after_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel", reason="the notebook needs a kernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    inside = {"metadata": {"path": str(after_demo)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=inside).execute()
    drawn = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(drawn) == 2
    assert (after_demo / "overlay.mp4").is_file()
