"""The pages of the project, and a folder in which a reader of them would sit: small files under the names they use."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from material import write_material
from places import ROOT

from pipeline.media.encode import encode_video

FENCED = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^>]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
LOOKS, TESTED = 4, 12  # different videos, the rest are links to them; clips of split test
CONFIG = """
extends: ezvsl.yaml
name: ezvsl_semantic
method: {positives: [own, image, audio, both], dimension: 16}
data: {train_list: null, image_size: 32, workers: 0}
encoders:
  image: {blocks: [1, 1], width: 8, weights: none}
  audio: {blocks: [1, 1], width: 8, input_pool: [4, 3]}
optim: {epochs: 1, batch_size: 64}
evaluation: {object_prior: null}
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `reason` says why its commands are not run, None when they are."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """Its lines as a shell would split them, without comments."""
        return [words for line in self.text.splitlines() if (words := shlex.split(line, comments=True))]


def read_blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["text"], found["reason"])
        for found in FENCED.finditer(text)
    ]


@cache
def own_processes(network: bool) -> tuple[str, ...]:
    """What goes before a command so that all it starts ends with it, and so that it dies with this process.

    network: give it a network of its own too, in which every port is free. Empty where the machine does not allow it.
    """
    spaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *(["--net"] if network else [])]
    begin = ("setpriv", "--pdeathsig", "KILL", *spaces, *([] if os.geteuid() == 0 else ["--map-root-user"]))
    missing = [tool for tool in ("setpriv", "unshare", "ip") if shutil.which(tool) is None]
    allowed = not missing and subprocess.run([*begin, "true"], capture_output=True, check=False).returncode == 0
    return begin if allowed else ()


def write_commands(folder: Path) -> Path:
    """`pipeline`, `index` and `training` of this tree in a folder, whatever is installed; returns it."""
    for name in ("pipeline", "index", "training"):
        script = folder / name
        script.write_text(
            f"#!{sys.executable}\nfrom {name}.cli import main\n\nif __name__ == '__main__':\n    main()\n"
        )
        script.chmod(0o755)
    return folder


class Desk:
    """A folder with what the pages speak of, and a shell in it where the three commands are those of this tree."""

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder = folder
        path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._shells: list[subprocess.Popen[str]] = []

    def run(self, text: str, *, network: bool = False) -> str:
        """Run lines as typed, each of which must succeed; returns what they printed. What `&` left running ends with
        them. network: as in `own_processes`."""
        said = self.folder / "said.txt"
        begin = own_processes(network)
        lines = f"ip link set lo up; {text}" if network and begin else text
        with said.open("w") as output:
            shell = subprocess.Popen([*begin, "bash", "-euxc", lines], cwd=self.folder, env=self.environment, text=True,
                                     stdout=output, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        self._shells.append(shell)
        assert shell.wait() == 0, f"{text}\n{said.read_text()}"
        return said.read_text()

    def close(self) -> None:
        """End what still runs: a shell that was waited for in vain, and on machines without `own_processes` what it
        left in the background."""
        for shell in self._shells:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def lay_out(folder: Path, clips: int) -> None:
    """Stand-ins for what the pages name: `clips` videos under VGGSound's names, lists, truth, a small config."""
    looks = [write_look(folder / f"look{number}.mp4", number) for number in range(LOOKS)]
    keys = [f"clip{number:07d}_000030" for number in range(clips)]
    _vggsound(folder / "vggsound", keys, looks)
    _holiday(folder / "holiday", looks)
    os.link(looks[0], folder / "holiday.mp4")
    (folder / "ezvsl_semantic.yaml").write_text(CONFIG)
    _truth(folder, keys)
    write_material(folder / "material")
    write_material(folder / "instruments", ("flute", "guitar", "trumpet", "violin"), files=3)


def write_look(path: Path, look: int) -> Path:
    """Six seconds of a bright square at a place of its own, with a tone of its own."""
    frames = np.full((30, 96, 96, 3), 40, np.uint8)
    frames[:, 30:60, 10 + 15 * look : 40 + 15 * look, look % 3] = 220
    tone = 0.3 * np.sin(2 * np.pi * (300 + 400 * look) * np.arange(6 * 11025) / 11025)
    encode_video(path, frames, 5, tone.astype(np.float32), 11025)
    return path


def _vggsound(folder: Path, keys: list[str], looks: list[Path]) -> None:
    (folder / "video").mkdir(parents=True)
    rows = []
    for number, key in enumerate(keys):
        os.link(looks[number % LOOKS], folder / "video" / f"{key}.mp4")
        rows.append(f"{key[:11]},30,class{number % LOOKS},{'test' if number < TESTED else 'train'}\n")
    (folder / "vggsound.csv").write_text("".join(rows))


def _holiday(folder: Path, looks: list[Path]) -> None:
    folder.mkdir()
    for number, look in enumerate(looks):
        os.link(look, folder / f"beach {number}.mp4")
    rows = "".join(f"beach {number}.mp4,waves\n" for number in range(LOOKS))
    folder.with_suffix(".csv").write_text(f"file,label\n{rows}")


def _truth(folder: Path, keys: list[str]) -> None:
    """Boxes of the test clips, maps that some program could have written for them, and a training list."""
    entries = [
        {"file": key, "class": f"class{number % LOOKS}", "bbox": [[0.1 * number % 0.5, 0.3, 0.5 + 0.03 * number, 0.7]]}
        for number, key in enumerate(keys[:TESTED])
    ]
    (folder / "vggss.json").write_text(json.dumps(entries))
    maps = np.random.default_rng(0).random((TESTED, 7, 7), dtype=np.float32)
    np.savez(folder / "maps.npz", names=np.array(keys[:TESTED]), maps=maps)
    (folder / "lists").mkdir()
    (folder / "lists" / "vggss_10k.txt").write_text("".join(f"{key}\n" for key in keys[TESTED - 2 :]))
    (folder / "lists" / "vggss.json").write_text(json.dumps(entries))
