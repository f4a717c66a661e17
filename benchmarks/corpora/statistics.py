"""What made corpora are worth: floors, prior, ceiling, neighbours as corpus.json holds them; and what composing costs.

The drawn corpora are described without encoding their videos. The composed ones need a folder of material laid out as
docs/corpora.md says (classes with pictures/ and audio/, backgrounds/), VGG-SS's own row its released boxes; neither is
part of the repository:

    python -m benchmarks.corpora.statistics --material MATERIAL --vggss vggss.json --out statistics.json
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import cpu_seconds, record, write
from manifests.readers.vggss import read_vggss
from pipeline.compose.corpus import MaterialFolders, write_composed
from pipeline.compose.settings import Settings as Composed
from pipeline.synth.corpus import impression, waveform
from pipeline.synth.folder import processes
from pipeline.synth.render import central_frame
from pipeline.synth.scene import draw_scene
from pipeline.synth.settings import HARD
from pipeline.synth.settings import Settings as Drawn
from pipeline.synth.statistics import Impression, measure, of_boxes, of_guesses
from pipeline.synth.truth import Row, truth_rows

DRAWN = {
    "synth --surroundings 0 --rivals": HARD,
    "synth --surroundings 0.8 --distractors 0.2": Drawn(surroundings=0.8, distractors=0.2),
}
COMPOSED = {
    "compose": Composed(),
    "compose --spread": Composed(spread=True),
    "compose --spread --surroundings 0 --distractors 0.4": Composed(spread=True, surroundings=0.0, distractors=0.4),
}
DRAWN_CLIPS, COMPOSED_CLIPS, WORKERS = 2400, 3600, 2


def describe(settings: Drawn, index: int) -> tuple[list[Row], Impression]:
    """Truth and impression of one drawn clip of seed 0."""
    scene = draw_scene(0, index, settings)
    return truth_rows(scene), impression(scene, np.asarray(central_frame(scene)), waveform(scene))


def drawn(settings: Drawn) -> dict[str, object]:
    with processes(WORKERS) as pool:
        made = list(pool.shown("drawn clips", partial(describe, settings), range(DRAWN_CLIPS), "clips"))
    return {"clips": DRAWN_CLIPS, **measure([rows for rows, _ in made], [each for _, each in made])}


def composed(material: Path, settings: Composed) -> dict[str, object]:
    """The statistics of a composed corpus, and the seconds it took, processes included."""
    asked = replace(settings, clips=COMPOSED_CLIPS)
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.monotonic(), cpu_seconds()
        out = Path(folder) / "corpus"
        write_composed(out, MaterialFolders(material, material, material / "backgrounds"), asked, WORKERS)
        spent = {"wall_s": round(time.monotonic() - start, 1), "cpu_s": round(cpu_seconds() - used, 1)}
        found = json.loads((out / "corpus.json").read_text())
    return {"counts": found["counts"], "split": found["split"], "spent": spent, **found["statistics"]}


def released(annotations: Path) -> dict[str, object]:
    """The same of VGG-SS's boxes; its prior is the mean of the boxes that it is scored on.

    A few corners were never set (-2.88e16): they count as the frame's edge, as where they are scored.
    """
    boxes = [np.clip(clip.boxes, 0, 1).tolist() for clip in read_vggss(annotations).annotations]
    clips = [[(x1, y1, x2, y2) for x1, y1, x2, y2 in each] for each in boxes]
    return {"clips": len(clips), "boxes": of_boxes(clips), "ciou50": of_guesses(clips, clips)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--material", type=Path)
    parser.add_argument("--vggss", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    report = record("benchmarks/corpora/statistics.py", ("numpy", "scipy", "pillow", "av"))
    report["corpora"] = {name: drawn(settings) for name, settings in DRAWN.items()}
    if asked.material:
        report["corpora"] |= {name: composed(asked.material, settings) for name, settings in COMPOSED.items()}
    if asked.vggss:
        report["corpora"]["VGG-SS"] = released(asked.vggss)
    write(asked.out, report)


if __name__ == "__main__":
    main()
