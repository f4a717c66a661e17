"""The picture at the top of README: what a demo run finds in test clips of the drawn corpus.

Above, the frame of a clip with the true boxes; below, the run's heat map over it. One clip a label, the best ones by
IoU, of clips whose object is not most of the frame: what a run can do, not what it does on average.

    python -m benchmarks.demo.picture demo/runs/demo --shards demo/shards --out docs/demo.jpg
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from manifests.annotations import Box
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training import Localizer
from training.run_folders.finished import resolve_run

COLUMNS, WIDTH, GAP = 6, 200, 8
LARGEST = 0.35  # share of the frame that is truth


def chosen(rows_of: Path) -> list[str]:
    """Keys of the best clips, of different labels."""
    table = pq.read_table(rows_of)
    table = table.filter((pc.field("map") == "audio_visual") & (pc.field("area") < LARGEST))
    best: dict[str, str] = {}
    for row in table.sort_by([("iou", "descending")]).to_pylist():
        best.setdefault(row["label"], row["key"])
    return list(best.values())[:COLUMNS]


def boxed(frame: Image.Image, boxes: tuple[Box, ...]) -> Image.Image:
    """The frame with its true boxes in white."""
    image = frame.copy()
    draw = ImageDraw.Draw(image)
    for x1, y1, x2, y2 in boxes:
        draw.rectangle((x1 * image.width, y1 * image.height, x2 * image.width, y2 * image.height), None, "white", 2)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("demo/synth"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    run = resolve_run(options.run)
    model, store = Localizer.load(run), ShardStore.open(options.shards)
    truth = {clip.key: clip.boxes for clip in read_truth(options.corpus / "vggss.json", "vggss").test_set.annotations}
    size = WIDTH, WIDTH * 3 // 4
    sheet = Image.new("RGB", (COLUMNS * (WIDTH + GAP) - GAP, 2 * size[1] + GAP), "white")
    for column, key in enumerate(chosen(run / "evaluation/synth-vggss.ezvsl.parquet")):
        moment = store.table["moment"][store.row_of(key)].as_py()
        result = model.localize(options.corpus / "video" / f"{key}.mp4", moments=[moment])
        frame = Image.fromarray(result.frames[0]).resize(size, Image.Resampling.LANCZOS)
        drawn = Image.fromarray(result.drawn(0, image=np.asarray(frame)))
        for row, image in enumerate((boxed(frame, truth[key]), drawn)):
            sheet.paste(image, (column * (WIDTH + GAP), row * (size[1] + GAP)))
    sheet.save(options.out, quality=82, optimize=True)


if __name__ == "__main__":
    main()
