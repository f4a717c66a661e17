"""The Python of docs/python.md runs as it stands, in a folder with what it names."""

import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from bright_localizer import square_video, tone
from PIL import Image
from places import ROOT
from untrained_run import write_run

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, shards: Path, knn: Path) -> Path:
    """What the page names: a run, a video, an image, a sound, shards with neighbours, annotations, maps."""
    folder = tmp_path_factory.mktemp("desk")
    write_run(folder / "runs" / "demo" / "0123abcd-s0")
    (folder / "shards").symlink_to(shards)
    (folder / "knn").symlink_to(knn)
    square_video(folder / "clip.mp4")
    Image.fromarray(np.full((90, 120, 3), 200, np.uint8)).save(folder / "frame.jpg")
    with wave.open(str(folder / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 22050, 0, "NONE", ""))
        sound.writeframes(np.round(tone(6.0) * 2**15).astype("<i2").tobytes())
    entries = [
        {"file": f"clip{number:07d}_000030", "class": "dog", "bbox": [[0.1, 0.2, 0.6, 0.7]]} for number in range(2)
    ]
    (folder / "vggss.json").write_text(json.dumps(entries))
    (folder / "maps").mkdir()
    for entry in entries:
        ramp = np.arange(196, dtype=np.uint8).reshape(14, 14)
        Image.fromarray(ramp).save(folder / "maps" / f"{entry['file']}.png")
    return folder


def test_the_page_runs_from_top_to_bottom(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    names: dict[str, object] = {}
    for block in blocks("docs/python.md"):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert (desk / "overlay.mp4").stat().st_size > 1000
    assert names["image"].shape[2] == 3  # type: ignore[attr-defined]
    assert len(names["clips"]) == 3  # type: ignore[arg-type]
    assert 0 <= names["result"]["ciou50"] <= 1  # type: ignore[index]
    assert names["result"]["n_scored"] == len(names["maps"]) == 2  # type: ignore[index, arg-type]
    assert names["nearest"]
