"""`pipeline synth`: a folder of real video files with known answers, laid out like the real data sets.

    vggsound.csv, video/<id>_<start:06d>.mp4         VGGSound
    vggss.json, vggss_test_plus_silent.csv           VGG-SS and Extended VGG-SS, over the test clips
    flickr/, avsbench/, music/, is3/, lists/         the same test clips in other corpora's formats (`formats`)
    objects/<label>/<n>.jpg                          images of single objects, to pretrain an image trunk on
    truth.parquet                                    every object of every clip (`truth`)
    options.json, corpus.json                        what was asked for; what was made, written last

Every file depends on the seed and its own number alone: not on the number of workers, nor on what was there before.
"""

import io
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import InputError
from manifests.files.whole import write_if_other
from pipeline.console import summary
from pipeline.media.encode import encode_video, is_whole
from pipeline.synth.annotations import write_annotations
from pipeline.synth.audio import SAMPLE_RATE, mix
from pipeline.synth.classes import LABELS
from pipeline.synth.descriptors import audio_descriptor, image_descriptor
from pipeline.synth.folder import (
    Counts,
    check_workers,
    claim,
    processes,
    remove_unfinished,
    write_description,
    writing,
)
from pipeline.synth.formats import DRAWN
from pipeline.synth.render import central_frame, frames
from pipeline.synth.scene import FPS, HOMES, MOMENT_FRAME, SECONDS, Scene, draw_image, draw_scene
from pipeline.synth.settings import HARD, Settings
from pipeline.synth.statistics import Impression, measure
from pipeline.synth.truth import Row, truth_rows

VERSION = 1  # of the toy world: other clips under the same seed need another number
MOST_IMAGES_PER_CLASS, CLIPS_PER_IMAGE = 60, 10
IMAGE_SIDE = 128
Options = dict[str, Any]
UNNAMED: Options = asdict(HARD)  # what folders have whose options name no settings
REMEDY = (
    "Give another folder, or delete that one. To go on with it, ask for what it is made with: options without "
    "surroundings are --surroundings 0, without distractors --rivals"
)
ENCODING = {"preset": "superfast", "crf": 23, "audio_bitrate": "64k", "audio_coder": "fast"}


def write_corpus(out: Path | str, clips: int, seed: int, workers: int, settings: Settings = Settings()) -> Counts:
    """Make the corpus, or what is missing of it; shows and returns the counts that `corpus.json` holds.

    A finished corpus of the same options is left alone. Raises InputError for options that make no corpus or a folder
    that holds something else, WorkFailed when files cannot be made.
    """
    out = Path(out)
    options = _checked_options(clips, seed, settings)
    check_workers(workers)
    with writing(out):
        if finished := claim(out, options, "synthetic", REMEDY):
            print(f"{out} already holds this corpus of {clips} clips; nothing to do")
            return finished
        counts = _fill(out, options, settings, workers)
    summary(f"synthetic corpus {out}", counts)
    return counts


def _checked_options(clips: int, seed: int, settings: Settings) -> Options:
    """As options.json holds them; settings only where they are not UNNAMED, as in folders made before."""
    if clips < 1:
        raise InputError(f"--clips {clips}: a corpus needs at least one clip; a first try works well with 200")
    if seed < 0:
        raise InputError(f"--seed {seed}: seeds are whole numbers from 0 on")
    chosen: Options = {name: value for name, value in asdict(settings).items() if value != UNNAMED[name]}
    for name, value in chosen.items():
        if not 0 <= value <= 1:
            raise InputError(f"--{name} {value}: a share lies between 0 and 1")
    return {"version": VERSION, "clips": clips, "seed": seed, **chosen}


def _fill(out: Path, options: Options, settings: Settings, workers: int) -> Counts:
    seed, clips = int(options["seed"]), int(options["clips"])
    copies = min(MOST_IMAGES_PER_CLASS, max(2, clips // CLIPS_PER_IMAGE))
    (out / "video").mkdir(exist_ok=True)
    remove_unfinished(out, out / "video", *(out / "objects").glob("*"))
    with processes(min(workers, clips)) as at_work:
        make = partial(make_clip, out / "video", seed, settings)
        made = list(at_work.shown("clips", make, range(clips), "clips"))
        draw = partial(make_images, out / "objects", seed, copies)
        images = sum(at_work.shown("single-object images", draw, range(len(LABELS)), "classes"))
    return _describe(out, options, made, images)


def make_clip(folder: Path, seed: int, settings: Settings, index: int) -> tuple[list[Row], Impression]:
    """Write one clip unless it is there, and return its truth rows and what it is like."""
    scene = draw_scene(seed, index, settings)
    path, audio = folder / f"{scene.key}.mp4", waveform(scene)
    if is_whole(path):
        image = np.asarray(central_frame(scene))
    else:
        painted = frames(scene)
        encode_video(path, painted, FPS, audio, SAMPLE_RATE, **ENCODING)
        image = painted[MOMENT_FRAME]  # the central frame, not painted a second time
    return truth_rows(scene), impression(scene, image, audio)


def impression(scene: Scene, image: np.ndarray, audio: np.ndarray) -> Impression:
    """What a clip is like, of its central frame, of that frame without its objects, and of its sound."""
    empty = np.asarray(central_frame(replace(scene, things=())))
    return Impression(image_descriptor(image), image_descriptor(empty), audio_descriptor(audio), scene.place)


def waveform(scene: Scene) -> np.ndarray:
    """The clip's sound, mono float32 at SAMPLE_RATE."""
    voices = [(thing.performance, thing.gain) for thing in scene.things if thing.sounding]
    return mix(voices, SECONDS, np.random.default_rng(scene.audio_seed), hiss=scene.hiss, level=scene.level)


def make_images(folder: Path, seed: int, copies: int, number: int) -> int:
    """Write `copies` images of single objects of class `number`, but those that are there; returns `copies`."""
    target = folder / LABELS[number]
    target.mkdir(parents=True, exist_ok=True)
    for copy in range(copies):
        image, buffer = central_frame(draw_image(seed, number, copy, IMAGE_SIDE, IMAGE_SIDE)), io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        write_if_other(target / f"{copy}.jpg", buffer.getvalue())
    return copies


def _describe(out: Path, options: Options, made: list[tuple[list[Row], Impression]], images: int) -> Counts:
    truth, impressions = [rows for rows, _ in made], [impression for _, impression in made]
    counts, digests = write_annotations(out, truth, int(options["seed"]), DRAWN)
    counts["single-object images"] = images
    content = {"options": options, "counts": counts, "classes": LABELS, "sha256": digests}
    content |= {"statistics": measure(truth, impressions)}
    write_description(out, content | ({"surroundings": HOMES} if "surroundings" in options else {}))
    return counts
