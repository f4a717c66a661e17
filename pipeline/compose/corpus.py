"""`pipeline compose`: a folder of clips made of real images and real recordings, laid out as `pipeline synth` does.

    vggsound.csv, frames/<key>.jpg, audio/<key>.wav  VGGSound as frames and audio; with --video video/<key>.mp4
    vggss.json, vggss_test_plus_silent.csv           VGG-SS and Extended VGG-SS, over the test clips
    objects/<label>/<n>.jpg                          images of single training objects, to pretrain an image trunk on
    flickr/, avsbench/, music/, is3/, vpo/, lists/   the same test clips in other corpora's formats, with true masks
    truth.parquet                                    every object of every clip
    sources.parquet                                  which files each clip was made of
    rejects.parquet                                  files of the material that were left out, each with its reason
    options.json, corpus.json                        what was asked for; what was made, written last

Every file depends on the options, the material and its own number alone: not on the number of workers.
"""

import io
import wave
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.errors import InputError
from manifests.files.temporary import temporary_folder
from manifests.files.whole import write_if_other
from manifests.keys import safe_key
from pipeline.compose.collection import Collection, collect
from pipeline.compose.files import Rejection
from pipeline.compose.pieces import CutOut, Library, Scene
from pipeline.compose.render import Painted, Painter
from pipeline.compose.scene import draw_image, draw_scene
from pipeline.compose.settings import Settings
from pipeline.compose.soundtrack import passages, soundtrack
from pipeline.console import summary
from pipeline.media.encode import encode_video, is_whole
from pipeline.shards.codecs import FULL_SCALE, encode_jpeg
from pipeline.shards.record import REJECT_SCHEMA
from pipeline.sources.walk import readable
from pipeline.storage.files import replacing
from pipeline.synth.annotations import write_annotations
from pipeline.synth.audio import SAMPLE_RATE
from pipeline.synth.corpus import ENCODING
from pipeline.synth.descriptors import audio_descriptor, image_descriptor
from pipeline.synth.folder import (
    Counts,
    Workers,
    check_claim,
    check_workers,
    claim,
    processes,
    remove_unfinished,
    write_description,
    writing,
)
from pipeline.synth.formats import World, write_vpo
from pipeline.synth.scene import FPS
from pipeline.synth.statistics import Impression, measure
from pipeline.synth.truth import Row, rows_of

SOURCES_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("role", pa.string()),  # image, audio or background
        ("label", pa.string()),  # of the object; null of a background
        ("file", pa.string()),  # below the folder it was found in
        ("source", pa.string()),  # the recording or photograph that it comes from
        ("place", pa.int32()),  # of a background: which surroundings; else null
    ]
)
MEDIA_FOLDERS = {False: ("frames", "audio"), True: ("video",)}


@dataclass(frozen=True)
class MaterialFolders:
    """Where material lies; no backgrounds: they are drawn."""

    images: Path
    audio: Path
    backgrounds: Path | None = None


@dataclass(frozen=True)
class Made:
    """What one clip is: its truth rows, what it is like, and of a test clip the pixels that sound, packed."""

    scene: Scene
    rows: list[Row]
    impression: Impression
    mask: bytes | None


def write_composed(out: Path | str, material: MaterialFolders, settings: Settings, workers: int) -> Counts:
    """Make the corpus, or what is missing of it; shows and returns the counts that `corpus.json` holds.

    A finished corpus of the same options and material is left alone. Raises InputError for options or material that
    make no corpus or a folder that holds something else, WorkFailed when files cannot be made.
    """
    out = Path(out)
    settings.checked()
    check_workers(workers)
    _check_apart(out, material)
    with writing(out):
        check_claim(out, settings.described(), "composed")  # before the material is decoded, which takes long
        with temporary_folder("compose") as prepared, processes(workers) as at_work:
            return _write(out, material, settings, prepared, at_work)


def _write(out: Path, material: MaterialFolders, settings: Settings, prepared: Path, at_work: Workers) -> Counts:
    found = collect(material.images, material.audio, material.backgrounds, settings, prepared, at_work)
    options = {**settings.described(), "material": found.digest}
    if finished := claim(out, options, "composed"):
        print(f"{out} already holds this corpus of {settings.clips} clips; nothing to do")
        return finished
    folders = [out / name for name in MEDIA_FOLDERS[settings.video]]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    remove_unfinished(out, *folders)
    make = partial(make_clip, out, prepared, found.library, settings)
    clips = list(at_work.shown("clips", make, range(settings.clips), "clips"))
    images = _make_images(out, prepared, found.library, settings, at_work)
    counts = _describe(out, options, found, clips, images)
    summary(f"composed corpus {out}", counts)
    return counts


def _check_apart(out: Path, material: MaterialFolders) -> None:
    """The corpus would be material of its own next time."""
    for folder in (material.images, material.audio, material.backgrounds):
        if folder and folder.resolve() in (out.resolve(), *out.resolve().parents):
            raise InputError(f"--out {out} lies in the material of {folder}. Choose a folder outside of it.")


def make_clip(out: Path, prepared: Path, library: Library, settings: Settings, index: int) -> Made:
    """Write one clip unless it is there, and return what it is."""
    scene = draw_scene(library, settings, index)
    painter, heard = Painter(scene, prepared), passages(scene, prepared)
    painted, sound = painter.central(), soundtrack(scene, heard)
    if settings.video:
        path = out / "video" / f"{scene.key}.mp4"
        if not is_whole(path):
            frames = painter.frames(lambda number, time: heard[number].activity(time) if number in heard else 0.0)
            encode_video(path, frames, FPS, sound, SAMPLE_RATE, **ENCODING)
    else:
        write_if_other(out / "frames" / f"{scene.key}.jpg", encode_jpeg(painted.frame))
        write_if_other(out / "audio" / f"{scene.key}.wav", encode_wav(sound, SAMPLE_RATE))
    mask = np.packbits(painted.mask).tobytes() if scene.split == "test" and painted.mask.any() else None
    return Made(scene, rows_of(scene, painted.sights), _impression(scene, painted, sound), mask)


def _make_images(out: Path, prepared: Path, library: Library, settings: Settings, at_work: Workers) -> int:
    """Write an image of every training object; returns how many."""
    cut_outs = [(label, each) for label, found in sorted(library.shelves["train"].images.items()) for each in found]
    make = partial(make_image, out / "objects", prepared, library, settings, cut_outs)
    return sum(at_work.shown("single-object images", make, range(len(cut_outs)), "images"))


def make_image(
    folder: Path,
    prepared: Path,
    library: Library,
    settings: Settings,
    objects: Sequence[tuple[str, CutOut]],
    index: int,
) -> int:
    """Write one image of a single object unless it is there; returns 1."""
    label, cut_out = objects[index]
    frame = Painter(draw_image(library, settings, label, cut_out), prepared).central().frame
    home = folder / (safe_key(label) if {"/", "\\"} & set(label) or label.startswith(".") else label)
    home.mkdir(parents=True, exist_ok=True)
    write_if_other(home / f"{cut_out.number}.jpg", encode_jpeg(frame))
    return 1


def _impression(scene: Scene, painted: Painted, sound: np.ndarray) -> Impression:
    image, background = image_descriptor(painted.frame), image_descriptor(painted.ground)
    return Impression(image, background, audio_descriptor(sound), scene.place)


def encode_wav(samples: np.ndarray, rate: int) -> bytes:
    """float32 (S,) mono in [-1, 1] as a wav of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(rate)
        handle.writeframes(np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype("<i2").tobytes())
    return buffer.getvalue()


def _describe(out: Path, options: dict[str, object], found: Collection, clips: Sequence[Made], images: int) -> Counts:
    truth = [made.rows for made in clips]
    masks = {made.scene.key: _unpacked(made.mask) for made in clips if made.mask is not None}
    labels = sorted(found.library.homes)
    counts, digests = write_annotations(out, truth, int(str(options["seed"])), World(labels, masks))
    counts |= write_vpo(out / "vpo", truth)
    counts["single-object images"] = images
    left_out = Counter(f"left out: {each.stage}, {each.reason}" for each in found.rejected)
    counts |= {"files left out": len(found.rejected), **dict(sorted(left_out.items()))}
    _write_table(out / "sources.parquet", list(chain.from_iterable(found.sources_of(each.scene) for each in clips)))
    _write_rejects(out / "rejects.parquet", found.rejected)
    content = {
        "options": options,
        "counts": counts,
        "classes": labels,
        "off-screen classes": found.foreign,
        "surroundings": found.library.homes,
        "split": found.split,
        "statistics": measure(truth, [made.impression for made in clips]),
        "sha256": digests,
    }
    write_description(out, content)
    return counts


def _unpacked(mask: bytes) -> np.ndarray:
    flat = np.unpackbits(np.frombuffer(mask, np.uint8)).astype(bool)
    side = int(np.sqrt(len(flat)))
    return flat.reshape(side, side)


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow.parquet as pq

    with replacing(path) as handle:
        pq.write_table(pa.Table.from_pylist(rows, SOURCES_SCHEMA), handle)


def _write_rejects(path: Path, rejected: Sequence[Rejection]) -> None:
    import pyarrow.parquet as pq

    rows = [
        {"path": readable(r.path), "stage": r.stage, "reason": r.reason, "message": readable(r.message)}
        for r in rejected
    ]
    with replacing(path) as handle:
        pq.write_table(pa.Table.from_pylist(rows, REJECT_SCHEMA), handle)
