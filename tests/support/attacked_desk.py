"""A desk with one small, sound file of every kind that a command reads, and commands run at it as a user runs them.

desk = lay_out(folder)            # made once, copied for whoever breaks something
ended = run("training", "score", "--maps", desk / "maps.npz", ..., at=desk)
held_against(ended)               # exit code 0, 1 or 2, one paragraph, no traceback, nothing outside changed
"""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import torch
from attacked_corpora import write_release, write_solos, write_video
from PIL import Image
from places import PYTHONPATH
from safetensors.torch import save_file
from scipy.io import wavfile
from shard_maker import MadeClip, write_shards

from index import arrays
from manifests.readers.annotation_table import write_table
from manifests.readers.vggss import read_vggss

KEYS = [f"clip{number:07d}_{number:06d}" for number in range(16)]
TESTED = KEYS[12:]
CONFIG = """
name: tiny
method: {name: ezvsl, dimension: 8}
data: {shards: shards, neighbours: knn, lists: lists, exclude_test: [], image_size: 32}
encoders:
  image: {blocks: [1, 1], width: 4, weights: none}
  audio: {blocks: [1, 1], width: 4, input_pool: [8, 6]}
optim: {epochs: 1, batch_size: 4}
evaluation: {test_set: boxes, truth: vggss.json}
"""
XML = "<annotation><annotator><bbox><n/>{}</bbox></annotator></annotation>"


def lay_out(desk: Path) -> Path:
    """Make everything in a new folder."""
    desk.mkdir()
    clips = [made_clip(number, key) for number, key in enumerate(KEYS)]
    shards = write_shards(desk / "shards", clips, [8, 8], short_side=48)
    manifest = json.loads((shards / "index.json").read_text())["manifest_sha256"]
    _neighbours(desk / "knn", manifest)
    _truths(desk)
    (desk / "tiny.yaml").write_text(CONFIG)
    (desk / "vggsound.csv").write_text("".join(f"{key[:11]},{int(key[-6:])},dog,train\n" for key in KEYS))
    rng = np.random.default_rng(0)
    np.savez(desk / "maps.npz", names=np.array(TESTED), maps=rng.random((4, 7, 7), np.float32))
    save_file({"conv1.weight": torch.zeros(4, 3, 7, 7)}, desk / "weights.safetensors", {"blocks": "[1, 1]"})
    (desk / "pairs.csv").write_text("video,audio,label\n" + f"{KEYS[0]},{KEYS[1]},non-sounding\n")
    return desk


def made_clip(number: int, key: str) -> MadeClip:
    rng = np.random.default_rng(number)
    frame = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    audio = rng.normal(-12, 1, (257, 300)).astype(np.float16)
    return MadeClip(key, frame, audio, f"class{number % 2}", "test" if key in TESTED else "train")


def _neighbours(folder: Path, manifest: str) -> None:
    folder.mkdir()
    rows = np.array([[(row + step) % 12 for step in (1, 2, 3)] for row in range(12)], np.int32)
    for modality in arrays.MODALITIES:
        np.save(folder / f"{modality}.npy", rows)
    keys = pa.table({"key": KEYS[:12], "source_id": KEYS[:12], "label": ["a"] * 12, "split": ["train"] * 12})
    meta = {"encoder": "made up", "k": 3, "metric": "cosine", "index": "flat", "recall_against_exact": 1.0}
    meta |= {"manifest_sha256": manifest, "count": 12, "split": "train"}
    arrays.write_keys_and_meta(folder, keys.cast(arrays.KEYS_SCHEMA), meta)


def _truths(desk: Path) -> None:
    """Every format of annotations, of the same four clips where it can name them."""
    boxes = [{"file": key, "class": "dog", "bbox": [[0.1, 0.1, 0.6, 0.7]]} for key in TESTED]
    (desk / "vggss.json").write_text(json.dumps(boxes))
    write_table(read_vggss(desk / "vggss.json"), desk / "own.parquet")
    frames = [
        {"image": f"/x/test/dog/{key}/{key}_1.jpg", "audio": "a.wav", "gt_box": [10, 10, 90, 90]} for key in TESTED
    ]
    (desk / "s4_box.json").write_text(json.dumps(frames))
    solo = {f"{key}/frame_1/1.jpg": {"bbox": [{"normbox": [0.1, 0.1, 0.5, 0.5], "category_id": 1}]} for key in TESTED}
    (desk / "solotest.json").write_text(json.dumps(solo))
    (desk / "ave.txt").write_text("Category&VideoID&Quality&StartTime&EndTime\n" + f"Bark&{KEYS[0][:11]}&good&0&10\n")
    corners = "".join(f"<c{side}>{side * 40}</c{side}>" for side in range(1, 5))
    for name in TESTED:
        path = desk / "flickr" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(XML.format(corners))
        mask = desk / "s4_data" / "gt_masks" / "test" / "dog" / name / f"{name}_1.png"
        mask.parent.mkdir(parents=True)
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(mask)
    (desk / "synthetic").mkdir()
    np.save(desk / "synthetic" / "0.npy", np.array([[0.1, 0.1, 0.5, 0.5, 1]]))
    for label in ("a", "b"):
        (desk / "objects" / label).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.full((16, 16, 3), 9 * number, np.uint8)).save(desk / "objects" / label / f"{number}.jpg")
    _material(desk)
    write_solos(desk / "solos")
    (desk / "src").mkdir()
    write_video(desk / "src" / f"{TESTED[0]}.mp4")
    write_release(desk / "release.pth")


def _material(desk: Path) -> None:
    """Cut-outs and recordings of two classes, for scenes."""
    random = np.random.default_rng(1)
    for label in ("a", "b"):
        for kind in ("cutouts", "sounds"):
            (desk / kind / label).mkdir(parents=True)
        for number in range(4):
            cutout = random.integers(0, 255, (32, 32, 4), np.uint8)
            cutout[..., 3] = 255 * (np.hypot(*np.mgrid[-16:16, -16:16]) < 14)
            Image.fromarray(cutout).save(desk / "cutouts" / label / f"{number}.png")
            noise = (8000 * random.standard_normal(16000)).astype(np.int16)
            wavfile.write(desk / "sounds" / label / f"{number}.wav", 16000, noise)


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a command ended; `crash` is the traceback of what escaped it, None where nothing did."""

    code: int | str | None
    out: str
    err: str
    seconds: float
    crash: str | None = None


def run(package: str, *words: object, at: Path) -> Ended:
    """A command in this process, in the folder `at`, with its output caught: what `package words ...` would do."""
    main = importlib.import_module(f"{package}.cli").main
    out, err = io.StringIO(), io.StringIO()
    code, crash, started = 0, None, time.monotonic()
    line = [package, *(os.fsdecode(os.fspath(word)) if isinstance(word, os.PathLike) else str(word) for word in words)]
    caught = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with mock.patch.object(sys, "argv", line), contextlib.chdir(at), caught[0], caught[1]:
        try:
            main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            crash = traceback.format_exc()
    return Ended(code, out.getvalue(), err.getvalue(), time.monotonic() - started, crash)


def run_apart(package: str, *words: object, at: Path, seconds: float = 120.0) -> Ended:
    """The same in a process of its own, for what shares none: FAISS with torch, or starts others."""
    line = [sys.executable, "-c", f"from {package}.cli import main; main()", *map(str, words)]
    started, environment = time.monotonic(), os.environ | {"PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        line, cwd=at, env=environment, capture_output=True, text=True, errors="replace", check=False, timeout=seconds
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@contextlib.contextmanager
def another_user(desk: Path) -> Iterator[None]:
    """Of no rights: root may read and write everywhere. What a command imports must have been imported before."""
    if os.getuid() != 0:
        yield
        return
    for each in (desk, *desk.parents):
        if each.name.startswith(("pytest-", "popen-", "test_", "desk")):  # folders of pytest are for their owner alone
            each.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with its size and the time it was last written."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            facts = os.lstat(os.path.join(root, name))
            found[os.path.relpath(os.path.join(root, name), folder)] = facts.st_size, facts.st_mtime_ns
    return found


def complaint(ended: Ended, seconds: float = 60.0) -> str | None:
    """What is wrong with how a command ended; None where it kept what is promised."""
    if ended.crash is not None:
        return f"a traceback: {ended.crash[-1500:]}"
    if ended.code not in (0, 1, 2, None):
        return f"exit code {ended.code!r}"
    if ended.code and not ended.err.strip():
        return f"exit code {ended.code} without a word"
    if "Traceback" in ended.out + ended.err:
        return f"a traceback in the output: {ended.err[-800:]}"
    if ended.code and "\n\n" in ended.err.strip():
        return f"more than one paragraph: {ended.err[:800]}"
    return f"{ended.seconds:.0f} s" if ended.seconds > seconds else None
