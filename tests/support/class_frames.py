"""Folders of frames as AVSBench-semantic, ADE20K's prompts, IS3, VPO and AVSBench lay them out, of arrays given."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from manifests.class_maps import avss_colours


def write_image(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_rows(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)


def write_avss(folder: Path, videos: Mapping[tuple[str, str], np.ndarray], split: str = "test") -> Path:
    """Videos by (part, name), classes (frames, H, W); one more video in another split, whose frames are absent."""
    for (part, name), classes in videos.items():
        for number, frame in enumerate(classes):
            write_image(folder / part / name / "labels_rgb" / f"{number}.png", avss_colours()[frame])
    rows = [["vid", "uid", "s_min", "a_obj", "split", "label"]]
    rows += [["v", name, "0", "dog", split, part] for part, name in videos]
    write_rows(folder / "metadata.csv", [*rows, ["v", "elsewhere", "0", "dog", "train", "v2"]])
    return folder


def write_prompts(folder: Path, labels: np.ndarray, asked: Sequence[int]) -> Path:
    """An image for each prompt by sound, (N, H, W) of ADE20K's classes; rows of speech and of class 0 beside."""
    rows = [["image_location", "speech_prompt_file", "vggsound_file", "ade_class_id"]]
    for number, (one, name) in enumerate(zip(labels, asked, strict=True)):
        coded = np.stack([one // 256 * 10, one % 256, np.zeros_like(one)], axis=-1).astype(np.uint8)
        write_image(folder / "annotations" / "validation" / f"ADE_{number:03d}_seg.png", coded)
        rows.append([f"validation/ADE_{number:03d}.jpg", "", f"sounds/{number}.wav", f"{name}.0"])
    rows += [["validation/other.jpg", "word.wav", "", "4"], ["validation/none.jpg", "", "sounds/x.wav", "0"]]
    write_rows(folder / "prompted_segmentation.csv", rows)
    return folder


def write_grey_masks(folder: Path, masks: Mapping[str, np.ndarray], suffix: str = ".png") -> Path:
    """Masks (H, W) by name in gt_masks/."""
    for name, mask in masks.items():
        write_image(folder / "gt_masks" / f"{name}{suffix}", np.asarray(mask, np.uint8))
    return folder
