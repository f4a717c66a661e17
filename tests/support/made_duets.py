"""A set of duets in MUSIC's layout over clips of a made corpus, for runs to be scored on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.test_sets import Truth
from manifests.truth import read_truth


def write_duets(folder: Path, keys: Sequence[str], boxes: list[dict[str, Any]]) -> tuple[list[str], Truth]:
    """`duet.json` with these two boxes on every frame, `music.csv` that says which clip is seen and heard, and
    `references.csv`: the first clips as the sounds of the two instruments. Gives the frames' names and the truth."""
    names = [f"{key}_0_1000/frame_013/00411.jpg" for key in keys]
    (folder / "duet.json").write_text(json.dumps({name: {"bbox": boxes} for name in names}))
    lines = ["name,video,audio", *(f"{name},{key},{key}" for name, key in zip(names, keys, strict=True))]
    (folder / "music.csv").write_text("\n".join(lines))
    truth = read_truth(folder / "duet.json", "music")
    assert truth.music is not None
    instruments = list(truth.music.frames[0].boxes)
    sounds = ["category,clip", *(f"{name},{keys[at]}" for at, name in enumerate(instruments))]
    (folder / "references.csv").write_text("\n".join(sounds))
    return names, truth
