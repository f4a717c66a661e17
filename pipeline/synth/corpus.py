"""`pipeline synth`: a folder of real video files with known answers, laid out like the real data sets.

    vggsound.csv, video/<id>_<start:06d>.mp4         VGGSound
    vggss.json, vggss_test_plus_silent.csv           VGG-SS and Extended VGG-SS, over the test clips
    flickr/, avsbench/, music/, is3/, lists/         the same test clips in other corpora's formats (`formats`)
    objects/<label>/<n>.jpg                          images of single objects, to pretrain an image trunk on
    truth.parquet                                    every object of every clip (`truth`)
    options.json, corpus.json                        what was asked for; what was made, written last

Every file depends on the seed and its own number alone: not on the number of workers, nor on what was there before.
"""

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from manifests.errors import InputError, WorkFailed
from pipeline.console import progress, summary
from pipeline.media.ffmpeg import FfmpegFailed, encode_video
from pipeline.storage.files import remove_leftovers, replacing, write_whole
from pipeline.synth import lists
from pipeline.synth.audio import SAMPLE_RATE, mix
from pipeline.synth.classes import LABELS
from pipeline.synth.formats import write_formats
from pipeline.synth.render import central_frame, frames
from pipeline.synth.scene import FPS, SECONDS, Scene, draw_image, draw_scene
from pipeline.synth.truth import Row, truth_rows, write_truth

VERSION = 1  # of the toy world: other clips under the same seed need another number
MOST_IMAGES_PER_CLASS, CLIPS_PER_IMAGE = 60, 10
IMAGE_SIDE = 128
ENCODING = {"preset": "superfast", "crf": 23, "audio_bitrate": "64k"}
Counts = dict[str, object]
Made = TypeVar("Made")


def write_corpus(out: Path | str, clips: int, seed: int, workers: int | None = None) -> Counts:
    """Make the corpus, or what is missing of it; shows and returns the counts that `corpus.json` holds.

    A finished corpus of the same options is left alone. Raises InputError for options that make no corpus or a folder
    that holds something else, WorkFailed when files cannot be made.
    """
    out = Path(out)
    options = _checked_options(clips, seed)
    _check_workers(workers)
    try:
        if finished := _claim(out, options):
            print(f"{out} already holds this corpus of {clips} clips; nothing to do")
            return finished
        counts = _fill(out, options, workers or os.cpu_count() or 1)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkFailed(f"{out} is full: {error.strerror}. Free some space; the same command goes on") from error
        raise InputError(f"--out {out} cannot be written: {error}. Choose a folder that you may write to") from error
    except (FfmpegFailed, BrokenProcessPool) as error:
        raise WorkFailed(f"making the clips of {out} stopped: {error}. The same command goes on from there") from error
    summary(f"synthetic corpus {out}", counts)
    return counts


def _checked_options(clips: int, seed: int) -> dict[str, int]:
    if clips < 1:
        raise InputError(f"--clips {clips}: a corpus needs at least one clip; a first try works well with 200")
    if seed < 0:
        raise InputError(f"--seed {seed}: seeds are whole numbers from 0 on")
    return {"version": VERSION, "clips": clips, "seed": seed}


def _check_workers(workers: int | None) -> None:
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: at least one process has to do the work")


def _claim(out: Path, options: dict[str, int]) -> Counts | None:
    """Make `out` the folder of this corpus. Returns the counts if it is finished; InputError if it is another's."""
    asked = out / "options.json"
    if not asked.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"--out {out} exists and is no synthetic corpus; give a new or an empty folder")
        out.mkdir(parents=True, exist_ok=True)
        write_whole(asked, json.dumps(options).encode())
        return None
    if _read_json(asked) != options:
        raise InputError(
            f"--out {out} holds a corpus of other options ({asked.read_text()}), asked for now: {json.dumps(options)}. "
            "Give another folder, or delete that one"
        )
    return _read_json(out / "corpus.json")["counts"] if (out / "corpus.json").exists() else None


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(
            f"{path} is not what this command writes: {error}. Delete its folder and start again"
        ) from error


def _fill(out: Path, options: dict[str, int], workers: int) -> Counts:
    seed, clips = options["seed"], options["clips"]
    copies = min(MOST_IMAGES_PER_CLASS, max(2, clips // CLIPS_PER_IMAGE))
    (out / "video").mkdir(exist_ok=True)
    _remove_unfinished(out)
    with ProcessPoolExecutor(min(workers, clips), multiprocessing.get_context("spawn")) as pool:
        try:
            truth = list(_shown(pool, "clips", partial(make_clip, out / "video", seed), clips, "clips"))
            images = partial(make_images, out / "objects", seed, copies)
            made = sum(_shown(pool, "single-object images", images, len(LABELS), "classes"))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return _write_lists(out, options, truth, made)


def _remove_unfinished(out: Path) -> None:
    """Clear away what a run that was killed left half written."""
    for folder in (out, out / "video", *(out / "objects").glob("*")):
        remove_leftovers(folder)
    for scratch in (out / "video").glob(".encode-*"):
        shutil.rmtree(scratch)


def _shown(pool: Executor, title: str, make: Callable[[int], Made], total: int, unit: str) -> Iterator[Made]:
    """Map `make` over 0 ... total - 1 in order, showing progress."""
    with progress(title, total, unit) as advance:
        for made in pool.map(make, range(total), chunksize=4 if total > 100 else 1):
            advance(1)
            yield made


def make_clip(folder: Path, seed: int, index: int) -> list[Row]:
    """Write one clip unless it is there, and return its truth rows."""
    scene = draw_scene(seed, index)
    path = folder / f"{scene.key}.mp4"
    if not path.exists():
        encode_video(path, frames(scene), FPS, waveform(scene), SAMPLE_RATE, **ENCODING)
    return truth_rows(scene)


def waveform(scene: Scene) -> np.ndarray:
    """The clip's sound, mono float32 at SAMPLE_RATE."""
    voices = [(thing.performance, thing.gain) for thing in scene.things if thing.sounding]
    return mix(voices, SECONDS, np.random.default_rng(scene.audio_seed), hiss=scene.hiss, level=scene.level)


def make_images(folder: Path, seed: int, copies: int, number: int) -> int:
    """Write `copies` images of single objects of class `number`, those that are missing; returns `copies`."""
    target = folder / LABELS[number]
    target.mkdir(parents=True, exist_ok=True)
    for copy in range(copies):
        path = target / f"{copy}.jpg"
        if not path.exists():
            image = central_frame(draw_image(seed, number, copy, IMAGE_SIDE, IMAGE_SIDE))
            with replacing(path) as handle:
                image.save(handle, "JPEG", quality=90)
    return copies


def _write_lists(out: Path, options: dict[str, int], truth: list[list[Row]], images: int) -> Counts:
    clips = [lists.clip_of(rows) for rows in truth]
    pairs = lists.negatives(clips, options["seed"])
    texts = {
        "vggsound.csv": lists.vggsound_csv(clips),
        "vggss.json": lists.vggss_json(clips),
        "vggss_test_plus_silent.csv": lists.extended_csv(list(chain.from_iterable(pairs.values()))),
    }
    for name, text in texts.items():
        write_whole(out / name, text.encode())
    write_truth(out / "truth.parquet", chain.from_iterable(truth))
    counts = _counts(truth, clips) | {f"{kind} negatives": len(rows) for kind, rows in pairs.items()}
    counts |= write_formats(out, truth)
    counts["single-object pictures"] = images
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    content = {"options": options, "counts": counts, "classes": LABELS, "sha256": digests}
    write_whole(out / "corpus.json", json.dumps(content, indent=2).encode())
    return counts


def _counts(truth: list[list[Row]], clips: list[lists.Clip]) -> Counts:
    silent = sum(any(row["on_screen"] and not row["sounding"] for row in rows) for rows in truth)
    several = sum(sum(row["sounding"] for row in rows) > 1 for rows in truth)
    return {
        "clips": len(clips),
        "classes": len(LABELS),
        "train": sum(clip.split == "train" for clip in clips),
        "test": sum(clip.split == "test" for clip in clips),
        "test with boxes": sum(clip.split == "test" and clip.positive for clip in clips),
        "off-screen sound": sum(rows[0]["kind"] == "off_screen" for rows in truth),
        "no sound": sum(rows[0]["kind"] == "silent" for rows in truth),
        "with silent objects": silent,
        "with several sources": several,
    }
